// Ends a restic that reads again and again what will not change.
#pragma once

#include <absl/strings/string_view.h>

#include <set>
#include <string>

#include "common/process/subprocess.h"
#include "common/restic/said_lines.h"

namespace mtp {

// restic 0.14 tries each read that failed again for 15 minutes, and says so on standard error
// alone:
//   Load(<data/fd9257149b>, 300050, 0) returned error, retrying after 1.08s: ReadFull: unexpected
//   EOF
// A file in a folder that is shorter than it has to be stays so. Of a server's answer the same may
// be a connection that was lost.
//
// For one run, and for the thread that runs it.
class VainRetries final : public CancelToken {
 public:
  // `outer` may be null, and outlives it.
  explicit VainRetries(const CancelToken* outer) : outer_(outer) {}

  // Standard error as it comes.
  void Add(absl::string_view said);
  bool cancelled() const override;
  // What was read in vain twice, and why; empty while nothing was.
  const std::string& verdict() const { return verdict_; }

 private:
  void Line(absl::string_view line);

  const CancelToken* const outer_;
  SaidLines lines_{4096};
  std::set<std::string> failed_;  // what was read in vain once
  std::string verdict_;
};

}  // namespace mtp
