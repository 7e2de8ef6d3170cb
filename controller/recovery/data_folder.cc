#include "controller/recovery/data_folder.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "common/base/atomic_file.h"
#include "common/base/secret_box.h"
#include "common/base/status.h"
#include "common/kv/sqlite_store.h"
#include "controller/recovery/collect.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;

// There while the folder is being written.
constexpr char kMarker[] = "recovering";
// Written last: without it `run` finds no fleet.
constexpr char kSettings[] = "controller.yaml";

bool IsLeftover(const std::string& data_dir) {
  std::error_code error;
  return fs::exists(absl::StrCat(data_dir, "/", kMarker), error) &&
         !fs::exists(absl::StrCat(data_dir, "/", kSettings), error);
}

absl::Status CheckFiles(const state::v1::StateCopy& copy) {
  for (const auto& file : copy.files()) {
    if (std::find(std::begin(kCopiedFiles), std::end(kCopiedFiles), file.path()) ==
        std::end(kCopiedFiles)) {
      return absl::DataLossError("the copy names a file that does not belong into it");
    }
  }
  for (const absl::string_view path : kCopiedFiles) {
    const bool there = std::any_of(copy.files().begin(), copy.files().end(),
                                   [path](const auto& file) { return file.path() == path; });
    if (!there) return absl::DataLossError(absl::StrCat("the copy lacks ", path));
  }
  return absl::OkStatus();
}

absl::Status WriteRecords(const state::v1::StateCopy& copy, const std::string& path) {
  MTP_ASSIGN_OR_RETURN(const auto store, kv::OpenSqliteStore(path));
  kv::Txn txn;
  for (const auto& record : copy.records()) {
    txn.Put(record.key(), record.value());
    if (txn.puts.size() < kv::kMaxChanges) continue;
    MTP_RETURN_IF_ERROR(store->Commit(txn).status());
    txn = kv::Txn();
  }
  return txn.puts.empty() ? absl::OkStatus() : store->Commit(txn).status();
}

absl::Status Empty(const std::string& data_dir) {
  std::error_code error;
  // The marker goes last, so that this too can be begun again.
  for (const auto& entry : fs::directory_iterator(data_dir, error)) {
    if (entry.path().filename() == kMarker) continue;
    fs::remove_all(entry.path(), error);
    if (error) break;
  }
  return error ? ErrnoStatus(error.value(), absl::StrCat("empty ", data_dir)) : absl::OkStatus();
}

}  // namespace

absl::Status CheckDataFolder(const std::string& data_dir) {
  std::error_code error;
  const fs::file_status status = fs::status(data_dir, error);
  if (status.type() == fs::file_type::not_found) return absl::OkStatus();
  if (status.type() == fs::file_type::directory) {
    const bool empty = fs::is_empty(data_dir, error);
    if (error) return ErrnoStatus(error.value(), absl::StrCat("read ", data_dir));
    if (empty || IsLeftover(data_dir)) return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat(data_dir,
                   " is not an empty folder; a fleet is recovered into a new one: choose "
                   "another --data-dir, or move away what is there"));
}

absl::StatusOr<std::vector<Interrupted>> WriteDataFolder(state::v1::StateCopy* copy,
                                                         const std::string& data_dir,
                                                         absl::Time now) {
  MTP_RETURN_IF_ERROR(CheckDataFolder(data_dir));
  MTP_RETURN_IF_ERROR(CheckFiles(*copy));
  MTP_RETURN_IF_ERROR(MakeFolders(data_dir, 0700));
  const std::string marker = absl::StrCat(data_dir, "/", kMarker);
  MTP_RETURN_IF_ERROR(WriteFileAtomically(marker, "", 0600));
  MTP_RETURN_IF_ERROR(Empty(data_dir));
  std::error_code error;
  fs::permissions(data_dir, fs::perms::owner_all, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("change the mode of ", data_dir));
  MTP_RETURN_IF_ERROR(MakeFolders(data_dir + "/pki", 0700));
  std::string settings;
  for (const auto& file : copy->files()) {
    if (file.path() == kSettings) {
      settings = file.content();
      continue;
    }
    MTP_RETURN_IF_ERROR(
        WriteFileAtomically(absl::StrCat(data_dir, "/", file.path()), file.content(), 0600));
  }
  MTP_ASSIGN_OR_RETURN(const SecretBox box, SecretBox::OpenExisting(data_dir + "/master.key"));
  std::vector<Interrupted> interrupted = AdjustState(copy, box, now);
  MTP_RETURN_IF_ERROR(WriteRecords(*copy, data_dir + "/state.db"));
  MTP_RETURN_IF_ERROR(WriteFileAtomically(absl::StrCat(data_dir, "/", kSettings), settings, 0600));
  fs::remove(marker, error);
  if (error) return ErrnoStatus(error.value(), absl::StrCat("remove ", marker));
  MTP_RETURN_IF_ERROR(SyncFolder(data_dir));
  return interrupted;
}

}  // namespace mtp
