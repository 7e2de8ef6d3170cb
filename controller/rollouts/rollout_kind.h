// The operation kind that carries a rollout out. Its ULID is the rollout's; the names of kind and
// steps are part of the API and of the stored state.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>

#include "controller/hosts/agent_client.h"
#include "controller/operations/engine.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"
#include "mtp/v1/rollout.pb.h"

namespace mtp {

// Begins the update of one tenant, as Updates::Begin.
using BeginUpdate = std::function<absl::StatusOr<v1::Operation>(
    const std::string& caller, const std::string& request_id, const std::string& tenant,
    const v1::RolloutSettings& settings, const std::string& pinned_image)>;

// What the steps act through. The pointed-to objects must outlive the engine.
struct RolloutClients {
  // The steps change the rollout's record while they wait.
  kv::Store* store = nullptr;
  AgentDirectory* agents = nullptr;
  operations::Engine* engine = nullptr;
  const Observations* observations = nullptr;
  BeginUpdate begin;
  // Image of tenants whose specs name none.
  std::string default_image;
};

// resolve → waves → finish.
//
// resolve: every host brings the image onto itself, and all must have got the same one; then it is
// known who has it already, and the waves are made of the others. waves: begins the tenants' own
// updates and waits for them; cancelled, it cancels those and waits until they have ended.
operations::Kind RolloutKind(const RolloutClients& clients);

// Wakes a rollout whenever an update that it has begun changes, as long as the result lives. To be
// called before the engine starts; what happened before is found by a slow recheck.
absl::StatusOr<std::unique_ptr<kv::Watch>> WakeRollouts(kv::Store* store,
                                                        operations::Engine* engine);

// Caller of the updates that a rollout begins, `rollout/<ULID>`; their request ids are the tenants'
// names.
std::string RolloutCaller(const std::string& id);

// Why the tenant is to be left alone: it is gone, stopped, never started, or has `image` (pinned;
// may be empty) already. Empty when it is to be updated.
std::string WhyLeftAlone(const Tables& tables, const std::string& tenant, const std::string& image);

// Tenants of the fleet that are meant to run.
int MeantToRun(const Tables& tables);

}  // namespace mtp
