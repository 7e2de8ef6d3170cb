#include "agent/tenants/export.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>

#include "agent/backup/beneath.h"
#include "agent/backup/tar_stream.h"
#include "agent/backup/tree_walk.h"
#include "agent/tenants/fetch.h"
#include "agent/tenants/repository_script.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kMaxChunk = 64 << 10;
// No tenant's name, neither among the folders nor among those who wait for a place.
constexpr char kFolder[] = ".export";

absl::Status Gone() { return absl::CancelledError("nobody takes the export any more"); }

absl::Status WaitForPlace(SlotTicket& ticket, const std::function<void(std::string)>& tell,
                          const std::stop_token& stop) {
  struct Turn {
    std::mutex mutex;
    std::condition_variable_any changed;
    bool woken = false;
  };
  // Whoever wakes may still be about it when this has returned.
  const auto turn = std::make_shared<Turn>();
  const auto wake = [turn] {
    const std::lock_guard lock(turn->mutex);
    turn->woken = true;
    turn->changed.notify_all();
  };
  while (const int ahead = ticket.Ask(wake)) {
    tell(absl::StrCat("waiting for other backups of this host (", ahead, " ahead)"));
    std::unique_lock lock(turn->mutex);
    if (!turn->changed.wait(lock, stop, [&turn] { return turn->woken; })) return Gone();
    turn->woken = false;
  }
  return absl::OkStatus();
}

// An export leaves nothing out without a word.
absl::Status RefuseSkipped(const std::string& line) {
  if (line.find("\"skipped\"") == std::string::npos) return absl::OkStatus();
  MTP_ASSIGN_OR_RETURN(const ManifestLineValue value, ParseManifestLine(line));
  if (value.entry.type != EntryType::kSkipped) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the backup's ", value.entry.path, " cannot be exported: ", value.entry.reason));
}

// Sends `home/tenant` as an archive, in pieces.
absl::Status SendArchive(const std::string& home, const std::string& tenant,
                         const Exporter::Send& send, const std::stop_token& stop) {
  MTP_ASSIGN_OR_RETURN(const FileDescriptor root, OpenFolder(home));
  MTP_ASSIGN_OR_RETURN(
      const std::unique_ptr<TarWriter> tar, TarWriter::Open([&send](std::string_view bytes) {
        for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kMaxChunk))) {
          v1::ExportChunk chunk;
          chunk.set_data(std::string(bytes.substr(0, kMaxChunk)));
          if (!send(std::move(chunk))) return Gone();
        }
        return absl::OkStatus();
      }));
  ArchiveRequest request;
  request.root = home;
  request.names = {tenant};
  TreeWalk walk(request, tar.get(), RefuseSkipped, nullptr, stop);
  MTP_RETURN_IF_ERROR(walk.Add(root.get(), tenant));
  if (!walk.changed().empty()) {
    return absl::AbortedError(absl::StrCat("something changed ", walk.changed().front(),
                                           " in the agent's folder while it was sent; export "
                                           "again"));
  }
  v1::ExportChunk last;
  int64_t bytes = 0;
  MTP_RETURN_IF_ERROR(tar->Close(last.mutable_sha256(), &bytes));
  last.set_finished(true);
  return send(std::move(last)) ? absl::OkStatus() : Gone();
}

}  // namespace

absl::Status Exporter::Fetch(const v1::ExportFromRepositoryRequest& request, const Send& send,
                             const std::stop_token& stop) {
  CancelToken cancel;
  const std::stop_callback on_stop(stop, [&cancel] { cancel.Cancel(); });
  google::protobuf::Map<std::string, std::string> result;
  std::string told;
  PhaseContext context;
  context.cancel = &cancel;
  context.stop = stop;
  context.progress = [&](std::string message) {
    if (message == told) return;
    told = message;
    v1::ExportChunk chunk;
    chunk.set_progress(std::move(message));
    // One who has gone is seen by `stop`.
    send(std::move(chunk));
  };
  context.result = &result;
  context.save_result = [] { return absl::OkStatus(); };
  SlotTicket ticket(tools_->backups, kFolder);
  MTP_RETURN_IF_ERROR(WaitForPlace(ticket, context.progress, stop));
  MTP_ASSIGN_OR_RETURN(const auto repository,
                       tools_->open_repository(ToAccess(request.repository())));
  MTP_RETURN_IF_ERROR(
      FetchBackup(*tools_, *repository, std::string(kFolder), request.backup(), context));
  context.progress("sending");
  return absl::OkStatus();
}

absl::Status Exporter::Export(const v1::ExportFromRepositoryRequest& request, const Send& send,
                              std::stop_token stop) {
  MTP_RETURN_IF_ERROR(CheckReference(request.backup(), request.repository()));
  if (busy_.exchange(true)) {
    return absl::ResourceExhaustedError(
        "this host exports another backup just now; try again when that has ended");
  }
  const auto free = absl::MakeCleanup([this] { busy_ = false; });
  const auto remove = absl::MakeCleanup([this] {
    const absl::Status removed = tools_->restores->Remove(kFolder);
    if (!removed.ok()) tools_->log.Warning(absl::StrCat("an export's data: ", removed.message()));
  });
  MTP_RETURN_IF_ERROR(Fetch(request, send, stop));
  const std::string home = tools_->restores->Path(kFolder);
  const std::string& tenant = request.backup().tenant();
  const std::string data = absl::StrCat(home, "/", kBackupData);
  if (rename(data.c_str(), absl::StrCat(home, "/", tenant).c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("rename ", data));
  }
  return SendArchive(home, tenant, send, stop);
}

}  // namespace mtp
