#include "agent/tenants/health.h"

#include <absl/strings/str_cat.h>

#include "common/base/timestamps.h"

namespace mtp {
namespace {

struct Verdict {
  v1::TenantState state;
  v1::TenantHealth health;
  std::string message;
};

std::string HowItEnded(const ContainerDetails& container) {
  if (container.oom_killed) {
    return absl::StrCat("the kernel killed it for want of memory (limit ",
                        container.memory_limit_bytes >> 20, " MiB)");
  }
  if (!container.error.empty()) return absl::StrCat("it could not start: ", container.error);
  return absl::StrCat("it ended with exit code ", container.exit_code);
}

bool IsParked(const TenantFacts& facts) {
  return !facts.record.parked_reason().empty() && !facts.being_started &&
         facts.record.run_policy() != v1::RUN_POLICY_STOP &&
         !(facts.container && facts.container->HasProcesses());
}

// Whether kills for lack of memory are still worth a word: not once the limit was raised, nor of a
// tenant that has been well for long.
bool LacksMemory(const TenantFacts& facts, v1::TenantHealth health) {
  if (facts.oom_kills == 0 || !facts.container) return false;
  if (facts.container->memory_limit_bytes > facts.oom_limit_bytes) return false;
  return health != v1::TENANT_HEALTH_READY || facts.now - facts.last_oom_kill < kOomNews;
}

// What the operator sees of kills, and of being parked, besides the verdict.
std::string Advice(const TenantFacts& facts, const Verdict& verdict) {
  const std::string& name = facts.record.name();
  const std::string then_start =
      IsParked(facts) ? absl::StrCat("then mtp-cli start ", name) : std::string();
  if (LacksMemory(facts, verdict.health)) {
    return absl::StrCat("killed for lack of memory ", facts.oom_kills,
                        facts.oom_kills == 1 ? " time" : " times", "; its limit is ",
                        facts.container->memory_limit_bytes >> 20,
                        " MiB; raise it: mtp-cli tenant set ", name, " --memory-limit MIB",
                        then_start.empty() ? "" : ", ", then_start);
  }
  if (then_start.empty()) return "";
  return absl::StrCat("see why: mtp-cli tenant show ", name, ", ", then_start);
}

Verdict NotRunning(const TenantFacts& facts, std::string why) {
  if (facts.being_started) {
    return {v1::TENANT_STATE_STARTING, v1::TENANT_HEALTH_STARTING, "being started"};
  }
  if (facts.record.run_policy() == v1::RUN_POLICY_STOP) {
    return {v1::TENANT_STATE_STOPPED, v1::TENANT_HEALTH_DOWN, "stopped"};
  }
  if (IsParked(facts)) why = absl::StrCat("parked: ", facts.record.parked_reason());
  return {v1::TENANT_STATE_FAILED, v1::TENANT_HEALTH_DOWN, std::move(why)};
}

Verdict Running(const TenantFacts& facts, const ContainerDetails& container) {
  const absl::Duration age = facts.now - container.started_at.value_or(facts.now);
  const std::string words = facts.probe ? facts.probe->message : "not asked yet";
  if (facts.probe && facts.probe->ready) {
    const std::string held_back = facts.held_back.value_or("");
    return {v1::TENANT_STATE_RUNNING,
            held_back.empty() ? v1::TENANT_HEALTH_READY : v1::TENANT_HEALTH_DEGRADED, held_back};
  }
  if (!facts.was_ready && age < kStartLimit) {
    return {v1::TENANT_STATE_STARTING, v1::TENANT_HEALTH_STARTING, words};
  }
  if (!facts.probe) return {v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_UNSPECIFIED, words};
  if (facts.probe->live) return {v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_DEGRADED, words};
  return {v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_DOWN, words};
}

Verdict Judge(const TenantFacts& facts) {
  if (!facts.engine_up) {
    return {v1::TENANT_STATE_UNSPECIFIED, v1::TENANT_HEALTH_UNSPECIFIED,
            "the host's Docker Engine does not answer"};
  }
  if (!facts.container) return NotRunning(facts, "its container is missing");
  const ContainerDetails& container = *facts.container;
  switch (container.state) {
    case ContainerState::kRunning:
      return Running(facts, container);
    case ContainerState::kPaused:
      return {
          v1::TENANT_STATE_RUNNING, v1::TENANT_HEALTH_DEGRADED,
          "its container is paused: a backup is taking its moment, or somebody paused it by hand"};
    case ContainerState::kRestarting:
      return {facts.being_started ? v1::TENANT_STATE_STARTING : v1::TENANT_STATE_FAILED,
              v1::TENANT_HEALTH_DOWN,
              absl::StrCat("its container keeps ending: ", HowItEnded(container), ", restarted ",
                           container.restart_count, " times")};
    case ContainerState::kCreated:
    case ContainerState::kExited:
    case ContainerState::kDead:
    case ContainerState::kRemoving:
      return NotRunning(facts, HowItEnded(container));
    case ContainerState::kUnknown:
      return {v1::TENANT_STATE_UNSPECIFIED, v1::TENANT_HEALTH_UNSPECIFIED,
              "the engine reports a state that this agent does not know"};
  }
  return {v1::TENANT_STATE_UNSPECIFIED, v1::TENANT_HEALTH_UNSPECIFIED, ""};
}

}  // namespace

v1::TenantStatus ObserveTenant(const TenantFacts& facts) {
  const state::v1::AgentTenantRecord& record = facts.record;
  v1::TenantStatus status;
  status.set_epoch(record.epoch());
  status.set_container(absl::StrCat("mtp-", record.name()));
  status.set_port(record.port());
  status.set_image(record.spec().image());
  status.set_memory_reservation_mib(record.spec().memory_reservation_mib());
  status.set_memory_limit_mib(record.spec().memory_limit_mib());
  if (record.has_last_backup_time()) {
    *status.mutable_last_backup_time() = record.last_backup_time();
  }
  *status.mutable_observe_time() = ToTimestamp(facts.now);

  Verdict verdict = Judge(facts);
  status.set_state(verdict.state);
  status.set_health(verdict.health);
  const std::string advice =
      facts.engine_up && verdict.state != v1::TENANT_STATE_STOPPED ? Advice(facts, verdict) : "";
  status.set_message(
      absl::StrCat(verdict.message, verdict.message.empty() || advice.empty() ? "" : "; ", advice));
  status.set_oom_kills(static_cast<int32_t>(facts.oom_kills));
  if (IsParked(facts)) {
    status.set_parked(true);
    *status.mutable_last_log_lines() = record.last_log_lines();
  }

  if (!facts.container) return status;
  const ContainerDetails& container = *facts.container;
  status.set_image_id(container.image_id);
  status.set_restart_count(container.restart_count);
  if (container.memory_limit_bytes > 0) {
    status.set_memory_limit_mib(container.memory_limit_bytes >> 20);
  }
  if (container.HasProcesses()) {
    if (container.started_at) *status.mutable_start_time() = ToTimestamp(*container.started_at);
    if (facts.memory) status.set_memory_mib(facts.memory->used_bytes >> 20);
  }
  return status;
}

}  // namespace mtp
