#include "common/base/words.h"

#include <absl/strings/str_cat.h>

#include <utility>

namespace mtp {

absl::string_view HealthName(v1::TenantHealth health) {
  switch (health) {
    case v1::TENANT_HEALTH_READY:
      return "ready";
    case v1::TENANT_HEALTH_STARTING:
      return "starting";
    case v1::TENANT_HEALTH_DEGRADED:
      return "degraded";
    case v1::TENANT_HEALTH_DOWN:
      return "down";
    case v1::TENANT_HEALTH_UNSPECIFIED:
    case v1::TenantHealth_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::TenantHealth_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "unknown";
}

absl::string_view RoleName(v1::Role role) {
  switch (role) {
    case v1::ROLE_VIEWER:
      return "viewer";
    case v1::ROLE_OPERATOR:
      return "operator";
    case v1::ROLE_ADMIN:
      return "admin";
    case v1::ROLE_UNSPECIFIED:
    case v1::Role_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Role_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "none";
}

absl::string_view FailoverName(v1::FailoverPolicy policy) {
  switch (policy) {
    case v1::FAILOVER_POLICY_FAILOVER:
      return "failover";
    case v1::FAILOVER_POLICY_STAY:
    case v1::FAILOVER_POLICY_UNSPECIFIED:
    case v1::FailoverPolicy_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::FailoverPolicy_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  // Also what a newer program means by a word that this build does not know: nothing is moved.
  return "stay";
}

absl::string_view SettingName(absl::string_view field) {
  static constexpr std::pair<absl::string_view, absl::string_view> kNames[] = {
      {"telegram_token", "bot token"},    {"anthropic_key", "Anthropic key"},
      {"openai_key", "OpenAI key"},       {"openrouter_key", "OpenRouter key"},
      {"gateway_token", "gateway token"}, {"port_unpublished", "publishing of its port"},
  };
  for (const auto& [name, words] : kNames) {
    if (name == field) return words;
  }
  return field;
}

std::string StepInTurn(const v1::Operation& operation) {
  for (const v1::OperationStep& step : operation.steps()) {
    if (step.state() != v1::STEP_STATE_RUNNING) continue;
    return step.message().empty() ? step.name() : absl::StrCat(step.name(), ": ", step.message());
  }
  return operation.message();
}

}  // namespace mtp
