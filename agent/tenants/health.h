// What the observed facts say about a tenant. Pure.
#pragma once

#include <absl/time/time.h>

#include <optional>

#include "agent/docker/engine.h"
#include "agent/memory/cgroup.h"
#include "agent/openclaw/probe.h"
#include "mtp/state/v1/state.pb.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

// A container that was never ready is called starting for so long after its start.
inline constexpr absl::Duration kStartLimit = absl::Minutes(15);

struct TenantFacts {
  state::v1::AgentTenantRecord record;
  // False while the engine does not answer: all below is then old.
  bool engine_up = true;
  // Unset when there is no such container.
  std::optional<ContainerDetails> container;
  // Unset when not probed since the container's start.
  std::optional<ProbeResult> probe;
  // Whether it was ready at some time since the container's start.
  bool was_ready = false;
  std::optional<CgroupMemory> memory;
  // An action is starting it right now.
  bool being_started = false;
  absl::Time now;
};

// Everything but `host`, which is the controller's.
v1::TenantStatus ObserveTenant(const TenantFacts& facts);

}  // namespace mtp
