// A host of the fleet whose Docker Engine is simulated. All else is the agent's own: identity and
// mutual TLS, actions with their journal (in memory), the board and its watch streams, the keeping
// of its trust.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <string>

#include "common/base/executor.h"
#include "common/tls/join_token.h"

namespace mtp::load {

struct SimHostOptions {
  // Identity and nothing else is in it.
  std::string folder;
  // For 50 tenants and their sandboxes.
  int64_t memory_mib = 96 << 10;
  // It listens on the first port from here on that is free.
  int first_port = 21'000;
  // What each action takes.
  absl::Duration work = absl::Milliseconds(200);
};

class SimHost {
 public:
  virtual ~SimHost() = default;

  // Joins with the token, listens on a port of 127.0.0.1 and serves the controller. The executor
  // must outlive it, and be stopped before it goes.
  static absl::StatusOr<std::unique_ptr<SimHost>> Start(const tls::JoinToken& token,
                                                        const SimHostOptions& options,
                                                        Executor* executor);
  virtual void Stop() = 0;
};

}  // namespace mtp::load
