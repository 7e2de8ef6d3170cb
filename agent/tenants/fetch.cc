#include "agent/tenants/fetch.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "agent/backup/holes.h"
#include "agent/backup/manifest_file.h"
#include "agent/backup/tree_manifest.h"
#include "agent/tenants/repository_script.h"
#include "agent/tenants/room_token.h"
#include "common/base/atomic_file.h"
#include "common/base/sha256.h"
#include "common/base/status.h"
#include "common/restic/restic_command.h"

namespace mtp {
namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kSha256Digits = 64;

absl::Status CheckManifest(const std::string& path, const std::string& wanted) {
  MTP_ASSIGN_OR_RETURN(const std::string found, HashFile(path));
  if (found == wanted) return absl::OkStatus();
  return absl::DataLossError("the backup's manifest is not the one that was recorded");
}

absl::StatusOr<ManifestEnd> ReadTotals(const std::string& path) {
  ManifestReader lines(path, ManifestOf::kTree);
  while (true) {
    MTP_ASSIGN_OR_RETURN(const ManifestLineValue line, lines.Next());
    if (line.kind == ManifestLineValue::Kind::kEnd) return line.end;
  }
}

}  // namespace

BackupIdentity IdentityOf(const v1::BackupReference& backup) {
  return {.fleet = backup.fleet(), .tenant = backup.tenant(), .backup = backup.backup_id()};
}

absl::StatusOr<std::string> HashFile(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, path);
  Sha256 hash;
  std::string buffer(kReadBytes, '\0');
  while (true) {
    const ssize_t got = read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, path);
    if (got == 0) return hash.Finish();
    hash.Update(buffer.data(), static_cast<size_t>(got));
  }
}

void NoteDatabases(const DatabaseReport& report, PhaseContext& context) {
  nlohmann::json damaged = nlohmann::json::array();
  for (const DatabaseProblem& problem : report.damaged) damaged.push_back(problem.path);
  auto& result = *context.result;
  result["databases"] = absl::StrCat(report.checked);
  result["damaged_databases"] =
      damaged.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::Status CheckReference(const v1::BackupReference& backup,
                            const v1::RepositoryAccess& repository) {
  MTP_RETURN_IF_ERROR(CheckAccess(ToAccess(repository)));
  MTP_RETURN_IF_ERROR(TenantName::Parse(backup.tenant()).status());
  if (backup.manifest_sha256().size() != kSha256Digits ||
      !std::all_of(backup.manifest_sha256().begin(), backup.manifest_sha256().end(),
                   [](unsigned char c) { return absl::ascii_isxdigit(c); })) {
    return absl::InvalidArgumentError("the manifest's SHA-256 must be 64 hexadecimal digits");
  }
  return CheckIdentity(IdentityOf(backup));
}

absl::Status FetchBackup(const TenantTools& tools, Repository& repository, const std::string& home,
                         const v1::BackupReference& backup, PhaseContext& context) {
  context.progress("looking the backup up in its repository");
  MTP_ASSIGN_OR_RETURN(const RepositorySnapshot snapshot,
                       repository.Find(IdentityOf(backup), context.cancel));
  MTP_ASSIGN_OR_RETURN(const std::string folder, tools.restores->Make(home));
  auto remove = absl::MakeCleanup([&] { tools.restores->Remove(home).IgnoreError(); });
  context.progress("reading the backup");
  const RoomToken room(context.cancel, {tools.floor});
  const absl::Status restored = repository.Restore(snapshot.id, folder, &room);
  if (!restored.ok()) MTP_RETURN_IF_ERROR(room.Ended());
  // restic writes to this host's disk here, whatever its error takes for full.
  if (absl::IsResourceExhausted(restored)) {
    return ErrnoStatus(ENOSPC, "the backup does not fit on the disk");
  }
  MTP_RETURN_IF_ERROR(restored);
  // Before the comparison, so that this, too, is held to the manifest.
  MTP_RETURN_IF_ERROR(DigHoles(folder, context.stop));
  context.progress("comparing every file with the manifest");
  const std::string manifest = absl::StrCat(folder, "/", kBackupManifest);
  const std::string data = absl::StrCat(folder, "/", kBackupData);
  MTP_RETURN_IF_ERROR(CheckManifest(manifest, backup.manifest_sha256()));
  MTP_RETURN_IF_ERROR(CompareWithTree(data, manifest, TreeScanLimits(), context.stop));
  MTP_ASSIGN_OR_RETURN(const ManifestEnd totals, ReadTotals(manifest));
  context.progress("checking the databases");
  MTP_ASSIGN_OR_RETURN(const DatabaseReport report, tools.check_databases(data, context.cancel));
  NoteDatabases(report, context);
  auto& result = *context.result;
  result["snapshot"] = snapshot.id;
  result["files"] = absl::StrCat(totals.files);
  result["bytes"] = absl::StrCat(totals.content_bytes);
  std::move(remove).Cancel();
  return absl::OkStatus();
}

}  // namespace mtp
