// The operation kinds of tenants. Each is a short list of steps; the names of kinds and steps are
// part of the API and of the stored state.
#pragma once

#include "common/base/secret_box.h"
#include "controller/hosts/agent_client.h"
#include "controller/operations/engine.h"
#include "controller/state/tables.h"

namespace mtp {

// What the steps act through. The pointed-to objects must outlive the engine.
struct TenantClients {
  const kv::Store* store = nullptr;
  AgentDirectory* agents = nullptr;
  const SecretBox* box = nullptr;
};

// Fact of a provision: what to do with kept data, the number of v1::KeptData.
inline constexpr char kKeptDataFact[] = "kept_data";
// Fact of a removal: `true` when the data folder stays.
inline constexpr char kKeepDataFact[] = "keep_data";
// Fact of a removal: `true` when the tenant was meant to run, so that an undone removal starts it
// again.
inline constexpr char kWasRunningFact[] = "was_running";
// Fact of whatever puts a tenant under its host's lease, from the agent's result: kLeaseBound then.
inline constexpr char kLeaseFact[] = "lease";
inline constexpr char kLeaseBound[] = "bound";
// Facts of a reconfiguration: what differs, with commas (`telegram_token,environment`), empty when
// nothing does; the bot that it gets, if that is another one; `true` when the new settings stay
// whatever becomes of the tenant; how long it has to stay ready, in seconds.
inline constexpr char kChangedFact[] = "changed";
inline constexpr char kNewBotFact[] = "new_bot";
inline constexpr char kKeepFact[] = "keep_on_failure";
inline constexpr char kSettledAfterFact[] = "soak_s";
// Fact of a backup and a removal: short name of the repository. A removal without it makes its
// final backup as an archive on the tenant's host.
inline constexpr char kRepositoryFact[] = "repository";

operations::Kind ProvisionKind(TenantClients clients);
operations::Kind SetKind(TenantClients clients);
operations::Kind SetFailoverKind(TenantClients clients);
operations::Kind ReconfigureKind(TenantClients clients);
operations::Kind StartKind(TenantClients clients);
operations::Kind StopKind(TenantClients clients);
operations::Kind RestartKind(TenantClients clients);

}  // namespace mtp
