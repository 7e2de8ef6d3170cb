// From a copy of the state to a data folder that `mtp-controller run` goes on from, and the
// operator's own copy in a file.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/secret_string.h"
#include "controller/recovery/adjust.h"
#include "controller/recovery/fetch.h"

namespace mtp {

// What a fleet was recovered to.
struct Recovered {
  std::string fleet;
  std::string copy_id;
  absl::Time time;  // that the copy holds
  std::string from;
  int tenants = 0;
  int hosts = 0;
  int backups = 0;
  int backups_left_out = 0;
  std::vector<std::string> operators;
  std::vector<Interrupted> interrupted;
  std::vector<std::string> unread;  // as FetchedCopy
};

// From the repositories of a kit. FAILED_PRECONDITION when `data_dir` is not an empty folder, which
// is looked at first; DATA_LOSS when the copy is damaged or of another fleet than the kit; else as
// FetchCopy and WriteDataFolder.
absl::StatusOr<Recovered> RecoverFromKit(const v1::RecoveryKit& kit, const FetchRequest& request,
                                         const OpenPart& open, const std::string& data_dir,
                                         const Clock& clock);

// From a file that BackUpToFile has written.
absl::StatusOr<Recovered> RecoverFromFile(const std::string& file, const SecretString& passphrase,
                                          const std::string& data_dir, const Clock& clock);

// Writes a copy of the state in `data_dir` (of `fleet`) into `file`, for its owner alone, sealed
// under the passphrase. The controller may run meanwhile. The copy's id.
absl::StatusOr<std::string> BackUpToFile(const std::string& data_dir, const std::string& fleet,
                                         const std::string& file, const SecretString& passphrase,
                                         const Clock& clock, Random& random);

}  // namespace mtp
