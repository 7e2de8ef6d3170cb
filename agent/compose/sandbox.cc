#include "agent/compose/sandbox.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "agent/compose/render.h"
#include "agent/compose/service_text.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// The form that OpenClaw accepts; no bot has it.
constexpr char kNoBot[] = "1000000000:AADrill-without-a-bot-0000000000000";
constexpr char kNoKey[] = "no-key-in-a-drill";
// Nothing listens there.
constexpr char kNowhere[] = "http://127.0.0.1:9";

std::string ProjectOf(const TenantName& name) { return SandboxContainer(name); }

}  // namespace

std::string SandboxService(const TenantName& name) { return absl::StrCat("drill_", name.value()); }

std::string SandboxContainer(const TenantName& name) {
  return absl::StrCat(kProjectName, "-", SandboxService(name));
}

absl::StatusOr<ComposeService> RenderSandbox(const Sandbox& sandbox) {
  MTP_ASSIGN_OR_RETURN(const std::string service, SandboxServiceText(sandbox));
  return ComposeService{SandboxService(sandbox.name),
                        absl::StrCat("name: ", ProjectOf(sandbox.name), "\n\n", SharedSettings(),
                                     "\nservices:\n", service),
                        ProjectOf(sandbox.name)};
}

ComposeService SandboxStub(const TenantName& name) {
  return {SandboxService(name),
          absl::StrCat("name: ", ProjectOf(name), "\nservices:\n  \"", SandboxService(name),
                       "\": {image: none, network_mode: none}\n"),
          ProjectOf(name)};
}

std::map<std::string, std::string> SandboxEnvironment(absl::string_view config,
                                                      const v1::TenantSpec& spec,
                                                      const std::string& gateway_token) {
  const auto address = [](const std::string& own) { return own.empty() ? kNowhere : own; };
  const std::map<std::string, std::string> stand_ins = {
      {"TELEGRAM_BOT_TOKEN", kNoBot},
      {"ANTHROPIC_API_KEY", kNoKey},
      {"OPENAI_API_KEY", kNoKey},
      {"OPENROUTER_API_KEY", kNoKey},
      {"TELEGRAM_API_ROOT", address(spec.telegram_api_root())},
      {"ANTHROPIC_BASE_URL", address(spec.anthropic_api_root())}};
  std::map<std::string, std::string> environment(spec.environment().begin(),
                                                 spec.environment().end());
  environment["OPENCLAW_GATEWAY_TOKEN"] = gateway_token;
  for (const auto& [name, value] : stand_ins) {
    if (absl::StrContains(config, absl::StrCat("${", name, "}"))) environment[name] = value;
  }
  return environment;
}

}  // namespace mtp
