// Faults that a test turns on. From $MTP_DOUBLE_FAULTS, and from the file `double-faults` in the
// state folder, which is read again every second; words with commas or blanks between them:
//   never-ready          /readyz says no for ever
//   slow-ready=S         /readyz says no in the first S seconds
//   exit-after=S         ends with exit code 1 after S seconds; 0 means at once
//   ignore-sigterm       goes on after SIGTERM
//   leak-mib-per-s=N     takes and touches N MiB every second
//   hang-probes          takes HTTP connections and does not answer
//   lose-channel-after=S another poller has the bot after S seconds, for good
//   migrate              makes its database one that a double without this word refuses
//   refuse-state=FILE    does not start when the workspace has a file of that name
#pragma once

#include <optional>
#include <string>

namespace openclaw_double {

struct Faults {
  bool never_ready = false;
  bool ignore_sigterm = false;
  bool hang_probes = false;
  int slow_ready_s = 0;
  int leak_mib_per_s = 0;
  std::optional<int> exit_after_s;
  std::optional<int> lose_channel_after_s;
  bool migrate = false;
  std::string refuse_state;
};

// Unknown words are ignored.
Faults ParseFaults(const std::string& text);
Faults ReadFaults(const std::string& state_folder);

}  // namespace openclaw_double
