// The agent as one object: everything it is made of, in the order in which it begins and ends.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>

#include "agent/daemon/settings.h"
#include "common/base/log.h"

namespace mtp {

struct DaemonAccess {
  std::shared_ptr<grpc::ServerCredentials> credentials;
  // OK when the caller may use the agent's service.
  std::function<absl::Status(const grpc::ServerContextBase&)> authorize;
};

// Not thread-safe; owned by main().
class Daemon {
 public:
  virtual ~Daemon() = default;

  // Port that it listens on.
  virtual int port() const = 0;
  // Ends cleanly: calls are ended, running actions stay in the journal for the next life, tenants
  // keep running. Twice changes nothing.
  virtual void Stop() = 0;
};

// Opens the journal, brings the folder to what it says, resumes actions, listens.
// FAILED_PRECONDITION when Docker's command line is missing, another agent runs on this data
// folder, or the address cannot be listened on. The engine may be away: the host is then reported
// so.
absl::StatusOr<std::unique_ptr<Daemon>> StartDaemon(const AgentSettings& settings,
                                                    DaemonAccess access, const Log& log);

}  // namespace mtp
