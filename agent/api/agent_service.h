// The agent's gRPC service (agent.proto). Handlers authorise, call one thing and translate; nothing
// blocks gRPC's own threads.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/api/store_state.h"
#include "agent/api/target.h"
#include "agent/docker/engine.h"
#include "agent/lease/lease.h"
#include "agent/openclaw/openclaw.h"
#include "agent/tenants/actions.h"
#include "agent/tenants/board.h"
#include "agent/tenants/export.h"
#include "agent/trust/trust.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/log.h"
#include "mtp/v1/agent.grpc.pb.h"

namespace mtp {

struct AgentServiceDeps {
  Actions* actions = nullptr;
  Board* board = nullptr;
  const Targets* targets = nullptr;
  Engine* engine = nullptr;
  OpenClaw* openclaw = nullptr;
  StateStore* state_store = nullptr;
  Exporter* exporter = nullptr;
  Trust* trust = nullptr;
  // Null: events carry no stamp, and leases are refused.
  Lease* lease = nullptr;
  // How long a caller may take nothing of an export before it is ended. Default 10 minutes.
  absl::Duration export_patience = absl::Minutes(10);
  const Clock* clock = nullptr;
  // For calls that touch the disk, and for timers.
  Executor* calls = nullptr;
  // For streams, commands and gateway calls, which block for long.
  Executor* blocking = nullptr;
  // At most so many of these at a time; RESOURCE_EXHAUSTED beyond.
  int max_blocking = 16;
  Log log = NullLog();
  // OK when the caller may use this service; else UNAUTHENTICATED or PERMISSION_DENIED.
  std::function<absl::Status(const grpc::ServerContextBase& context)> authorize;
};

// All deps outlive it. The server is shut down first, then the executors, then this goes.
std::unique_ptr<grpc::Service> NewAgentService(AgentServiceDeps deps);

}  // namespace mtp
