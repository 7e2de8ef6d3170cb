// What of the controller's state a copy holds.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

#include "common/base/secret_box.h"
#include "common/kv/store.h"
#include "mtp/state/v1/state_copy.pb.h"

namespace mtp {

// Files of the data folder that a copy holds; all are needed. The controller's own identity is made
// anew by the authority.
inline constexpr const char* kCopiedFiles[] = {"controller.yaml", "master.key", "pki/ca.pem",
                                               "pki/ca-key.sealed"};

// Whether a change of this record is worth a new copy: not what only says how things go on
// (operations, requests, locks, due times) and not the audit log.
bool IsWorthACopy(absl::string_view key);

struct CopySource {
  std::vector<kv::Entry> records;  // of the whole store, as of one moment
  std::string data_dir;
  const SecretBox* box = nullptr;  // of the data folder's master key
  std::string fleet;
  std::string copy_id;
  absl::Time time;
};

// At most `backups_per_tenant` of the catalogue, the newest. Errors of reading a file as ReadFile.
absl::StatusOr<state::v1::StateCopy> CollectState(const CopySource& source, int backups_per_tenant);

// A packed copy of at most `max_bytes`: with so many backups of each tenant as fit.
// RESOURCE_EXHAUSTED when not even the newest ones do.
absl::StatusOr<SecretString> PackState(const CopySource& source, size_t max_bytes);

}  // namespace mtp
