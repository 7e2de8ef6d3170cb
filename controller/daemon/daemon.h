// The running controller: everything put together.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "common/base/log.h"
#include "controller/daemon/settings.h"

namespace mtp {

class Daemon {
 public:
  virtual ~Daemon() = default;
  // Ends listeners, sessions and steps; operations go on after the next start. Twice changes
  // nothing.
  virtual void Stop() = 0;
  // Where the API listens, with the port that was given for port 0.
  virtual std::string api_address() const = 0;
  virtual std::string enroll_address() const = 0;
};

// Opens the state in `data_dir`, takes up what was under way, and serves. FAILED_PRECONDITION when
// another process has the state or an address is taken.
absl::StatusOr<std::unique_ptr<Daemon>> StartDaemon(const std::string& data_dir,
                                                    const ControllerSettings& settings, Log log);

}  // namespace mtp
