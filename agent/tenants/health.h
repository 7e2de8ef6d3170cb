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

// A ready tenant's last kill for lack of memory is told of for so long.
inline constexpr absl::Duration kOomNews = absl::Hours(24);

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
  // What StartHeldBackChannels said since the container's start; unset until it has.
  std::optional<std::string> held_back;
  std::optional<CgroupMemory> memory;
  // Processes of it that the kernel killed for lack of memory since its container was created, when
  // it killed the last one, and the container's limit then.
  int64_t oom_kills = 0;
  absl::Time last_oom_kill = absl::InfinitePast();
  int64_t oom_limit_bytes = 0;
  // An action is starting it right now.
  bool being_started = false;
  absl::Time now;
};

// Everything but `host`, which is the controller's.
v1::TenantStatus ObserveTenant(const TenantFacts& facts);

}  // namespace mtp
