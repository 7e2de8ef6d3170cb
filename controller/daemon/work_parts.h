// What operations are made of: the engine, what can be asked of tenants, backups and rollouts, and
// the sessions with the hosts that carry the steps out.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <memory>
#include <string>

#include "common/kv/store.h"
#include "controller/backups/backups.h"
#include "controller/backups/policies.h"
#include "controller/backups/repositories.h"
#include "controller/backups/schedule.h"
#include "controller/backups/updates.h"
#include "controller/daemon/foundation.h"
#include "controller/hosts/agent_sessions.h"
#include "controller/operations/engine.h"
#include "controller/rollouts/rollouts.h"
#include "controller/tenants/tenants.h"

namespace mtp {

struct WorkParts {
  // Who else hears of the hosts, from the start of the sessions on.
  struct Edges {
    std::function<void()> on_connected;
    std::function<void(const std::string& host, const v1::LeaseStamp& stamp)> on_stamp;
  };

  // `on` is open and outlives it.
  WorkParts(Foundation* on, Edges edges);

  // Takes up what was under way. Once all kinds are registered.
  absl::Status StartOperations();
  // Once hosts are heard.
  absl::Status StartSchedule();
  // Ends both, once the sessions have ended; operations go on after the next start. Twice changes
  // nothing.
  void Stop();

  Foundation& base;
  const Edges edges;
  operations::Engine engine;
  AgentSessions sessions;
  Repositories repositories;
  Updates updates;
  Tenants tenants;
  Backups backups;
  Policies policies;
  Rollouts rollouts;
  std::unique_ptr<kv::Watch> rollout_waker;
  std::shared_ptr<Schedule> schedule;

 private:
  operations::Engine::Options EngineOptions();
  AgentSessions::Callbacks SessionCallbacks();
  Tenants::Options TenantOptions();
  void RegisterKinds();
  void CancelIfAbandoned(const std::string& operation, const std::string& host,
                         const v1::Action& action);
  void WakeHost(const std::string& host);
};

}  // namespace mtp
