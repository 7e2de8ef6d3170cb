// Waiting for a moment in which a tenant's OpenClaw has no turn running, so that stopping it
// interrupts nobody.
//
// OpenClaw tells: `sessions.list` with `activeOnly` lists the sessions that run or are queued, from
// the live owners of the runs (2026.9.6: one entry while a model call hangs, none right after it
// ended). Its `gateway.suspend.prepare` would also keep new turns out, but between that and the
// stop it takes messages from the channel and drops them. So a turn may still begin in the second
// between the last look and the stop; OpenClaw's own drain waits for that one.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <optional>

#include "agent/tenants/action_script.h"
#include "agent/tenants/tenant_tools.h"
#include "common/base/names.h"

namespace mtp {

// One wait, for one thread; begins anew when it is made anew.
class IdleWait {
 public:
  // Waits at most `bound`. `tools` outlives it.
  IdleWait(TenantTools* tools, TenantName name, absl::Duration bound)
      : tools_(tools), name_(std::move(name)), bound_(bound) {}

  // One look. Done when nothing runs, when the bound is over, when the container has no process,
  // and when it cannot be told: an OpenClaw that does not answer for a while, or knows no such
  // question, is stopped as it is.
  PhaseResult LookOnce(PhaseContext& context);

 private:
  absl::StatusOr<bool> HasRunningTurn(PhaseContext& context);

  TenantTools* const tools_;
  const TenantName name_;
  const absl::Duration bound_;
  std::optional<absl::Duration> begin_;
  int unanswered_ = 0;
};

// Whether the answer to `sessions.list` with `activeOnly` has a session in it. INTERNAL when it is
// no such answer. Pure.
absl::StatusOr<bool> ListsActiveSessions(absl::string_view json);

}  // namespace mtp
