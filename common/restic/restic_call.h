// One run of restic: its private files, its password, its locks.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <functional>
#include <string>
#include <vector>

#include "common/restic/repository.h"
#include "common/restic/restic_command.h"

namespace mtp {

struct ResticCall {
  std::vector<std::string> arguments;  // the subcommand and what follows
  bool moves_data = false;             // the long deadline
  absl::Duration deadline;             // another one than the options say; zero: none
  bool use_cache = true;
  std::string working_folder;
  // As SubprocessOptions::on_stdout. A call that is tried again begins its output anew.
  std::function<void(absl::string_view)> on_stdout;
};

// Thread-safe.
class ResticRunner {
 public:
  // Both as OpenResticRepository has checked them.
  ResticRunner(RepositoryAccess access, ResticOptions options);

  // Makes the state folder and removes what an earlier process left in it.
  absl::Status Prepare();

  // Standard output of a run that ended with 0; else the error by ResticError. While the repository
  // is locked: removes stale locks and tries again until `lock_wait` is over. A cancelled one
  // leaves no lock behind.
  absl::StatusOr<std::string> Run(const ResticCall& call, const CancelToken* cancel);

  // For a repository that was just made and is empty: a lost key would lose all that is in it. Only
  // a folder can be; best effort, since restic's own key file opens as well. See key_file.h.
  void MakeCheapToOpen() const;

 private:
  absl::StatusOr<std::string> RunOnce(const ResticCall& call, const CancelToken* cancel);
  absl::Status WriteFiles(const CallFiles& files) const;

  const RepositoryAccess access_;
  const ResticOptions options_;
  const RepositoryAddress address_;
};

}  // namespace mtp
