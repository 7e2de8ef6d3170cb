#include "controller/recovery/collect.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <openssl/sha.h>

#include <algorithm>
#include <limits>
#include <map>

#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/base/version.h"
#include "controller/recovery/copy_pack.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp {
namespace {

constexpr absl::string_view kAudit = "/audit/";
constexpr absl::string_view kBackups = "/backups/";
constexpr absl::string_view kJoinTokens = "/join-tokens/";
constexpr absl::string_view kLocks = "/locks/";
// Of an operation, which does not go on after a recovery.
constexpr absl::string_view kNextSecrets = "/next-secrets/";
constexpr absl::string_view kOperations = "/operations/";
constexpr absl::string_view kRequests = "/requests/";
constexpr absl::string_view kRollouts = "/rollouts/";
constexpr absl::string_view kSchedules = "/schedules/";
constexpr int kAuditKept = 1000;
constexpr int kRolloutsKept = 20;
constexpr size_t kFileBytesMax = 1 << 20;
// Tried one after another until the copy is small enough.
constexpr int kDepths[] = {std::numeric_limits<int>::max(), 100, 30, 10, 3, 1};

bool HasEnded(const v1::Operation& operation) {
  switch (operation.state()) {
    case v1::OPERATION_STATE_SUCCEEDED:
    case v1::OPERATION_STATE_FAILED:
    case v1::OPERATION_STATE_CANCELLED:
      return true;
    default:
      return false;
  }
}

std::string DigestOf(absl::string_view text) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

// Chooses from the newest to the oldest, since what is dropped is the old.
class Collector {
 public:
  Collector(const CopySource& source, int backups_per_tenant, state::v1::StateCopy* copy)
      : source_(source), backups_per_tenant_(backups_per_tenant), copy_(copy) {}

  // A record that cannot be read is copied as it is.
  void Run() {
    for (auto entry = source_.records.rbegin(); entry != source_.records.rend(); ++entry) {
      if (!IsWanted(*entry)) continue;
      auto* record = copy_->add_records();
      record->set_key(entry->key);
      record->set_value(entry->value);
      if (absl::StartsWith(entry->key, kBackups)) ShareSecrets(record);
    }
    std::reverse(copy_->mutable_records()->begin(), copy_->mutable_records()->end());
  }

 private:
  bool IsWanted(const kv::Entry& entry) {
    const absl::string_view key = entry.key;
    if (absl::StartsWith(key, kLocks) || absl::StartsWith(key, kJoinTokens) ||
        absl::StartsWith(key, kNextSecrets)) {
      return false;
    }
    if (absl::StartsWith(key, kAudit)) return ++audit_ <= kAuditKept;
    if (absl::StartsWith(key, kBackups)) return IsBackupWanted(entry.value);
    if (absl::StartsWith(key, kOperations)) return GoesOn(entry.value);
    if (absl::StartsWith(key, kRequests)) return IsRequestWanted(entry.value);
    if (absl::StartsWith(key, kRollouts)) {
      state::v1::RolloutRecord record;
      return !record.ParseFromString(entry.value) || !record.rollout().has_end_time() ||
             ++rollouts_ <= kRolloutsKept;
    }
    return true;
  }

  bool IsBackupWanted(const std::string& value) {
    state::v1::BackupRecord record;
    if (!record.ParseFromString(value)) return true;
    const bool wanted = ++backups_[record.backup().tenant()] <= backups_per_tenant_;
    if (!wanted) copy_->set_backups_left_out(copy_->backups_left_out() + 1);
    return wanted;
  }

  static bool GoesOn(const std::string& value) {
    state::v1::OperationRecord record;
    return !record.ParseFromString(value) || !HasEnded(record.operation());
  }

  // A request without its operation would refuse the caller's next one for ever.
  bool IsRequestWanted(const std::string& value) const {
    state::v1::RequestRecord request;
    if (!request.ParseFromString(value)) return false;
    const std::string key = absl::StrCat(kOperations, request.operation());
    const auto found = std::lower_bound(
        source_.records.begin(), source_.records.end(), key,
        [](const kv::Entry& one, const std::string& name) { return one.key < name; });
    return found != source_.records.end() && found->key == key && GoesOn(found->value);
  }

  // Sealed each with a nonce of its own, equal secrets could not be compressed.
  void ShareSecrets(state::v1::StateCopy::Record* record) {
    state::v1::BackupRecord backup;
    if (!backup.ParseFromString(record->value()) || backup.sealed_secrets().empty()) return;
    const auto plain = source_.box->Open(backup.sealed_secrets(), record->key());
    if (!plain.ok()) return;
    const auto [at, fresh] = secrets_.emplace(DigestOf(plain->Reveal()), 0);
    if (fresh) {
      copy_->add_secrets(std::string(plain->Reveal()));
      at->second = copy_->secrets_size();
    }
    record->set_secrets(at->second);
    backup.clear_sealed_secrets();
    record->set_value(backup.SerializeAsString());
  }

  const CopySource& source_;
  const int backups_per_tenant_;
  state::v1::StateCopy* const copy_;
  int audit_ = 0;
  int rollouts_ = 0;
  std::map<std::string, int> backups_;
  // By digest, so that no secret stays in memory.
  std::map<std::string, int> secrets_;
};

}  // namespace

bool IsWorthACopy(absl::string_view key) {
  const auto below = [key](absl::string_view prefix) { return absl::StartsWith(key, prefix); };
  return !below(kAudit) && !below(kJoinTokens) && !below(kLocks) && !below(kNextSecrets) &&
         !below(kOperations) && !below(kRequests) && !below(kSchedules);
}

absl::StatusOr<state::v1::StateCopy> CollectState(const CopySource& source,
                                                  int backups_per_tenant) {
  state::v1::StateCopy copy;
  copy.set_format(kCopyFormat);
  copy.set_fleet(source.fleet);
  copy.set_copy_id(source.copy_id);
  *copy.mutable_create_time() = ToTimestamp(source.time);
  copy.set_controller_version(kVersion);
  Collector(source, backups_per_tenant, &copy).Run();
  for (const char* path : kCopiedFiles) {
    MTP_ASSIGN_OR_RETURN(std::string content,
                         ReadFile(absl::StrCat(source.data_dir, "/", path), kFileBytesMax));
    auto* file = copy.add_files();
    file->set_path(path);
    file->set_content(std::move(content));
  }
  return copy;
}

absl::StatusOr<SecretString> PackState(const CopySource& source, size_t max_bytes) {
  for (const int depth : kDepths) {
    MTP_ASSIGN_OR_RETURN(state::v1::StateCopy copy, CollectState(source, depth));
    absl::StatusOr<SecretString> packed = PackCopy(copy);
    WipeCopy(&copy);
    if (!packed.ok() || packed->size() <= max_bytes) return packed;
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("the state is larger than a copy may be (", max_bytes >> 10,
                   " KiB); keep copies by `mtp-controller backup` instead"));
}

}  // namespace mtp
