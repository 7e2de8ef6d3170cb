// What the controller accepts of callers, every agent can carry out.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "agent/compose/env_file.h"
#include "agent/compose/render.h"
#include "cli/commands/secret_input.h"
#include "common/base/environment.h"
#include "controller/tenants/validation.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/tenant_input.h"

namespace mtp::fuzz {
namespace {

constexpr int64_t kMinLimitMib = 768;
constexpr int64_t kDefaultReservationMib = 1024;
constexpr char kDefaultImage[] = "ghcr.io/openclaw/openclaw:main";

void CheckRendered(const v1::TenantSpec& spec, const v1::TenantSecrets& secrets) {
  mtp::Project project{.default_image = kDefaultImage,
                       .subnets = *SubnetPool::Parse("10.214.0.0/16")};
  ProjectTenant tenant{.name = *TenantName::Parse("acme"), .spec = spec, .port = 18800};
  tenant.subnet_index = 1;
  tenant.secrets = secrets;
  tenant.secrets.set_gateway_token("token");
  project.tenants = {std::move(tenant)};
  const auto files = RenderProject(project);
  MTP_HOLDS(files.ok());
  const auto variables = ParseEnvFile(files->front().content);
  MTP_HOLDS(variables.ok());
  const auto value = [&variables](const std::string& name) {
    const auto found = variables->find("ACME_" + name);
    return found == variables->end() ? std::string() : found->second;
  };
  MTP_HOLDS(value("TELEGRAM_TOKEN") == secrets.telegram_token());
  MTP_HOLDS(value("ANTHROPIC_KEY") == secrets.anthropic_key());
  MTP_HOLDS(value("OPENAI_KEY") == secrets.openai_key());
  MTP_HOLDS(value("OPENROUTER_KEY") == secrets.openrouter_key());
}

}  // namespace

// Lines: a spec, secrets, a label (and, where it can be one, a variable), a request id.
void TenantRequest(absl::string_view input) {
  Input lines(input);
  v1::TenantSpec spec = ReadSpec(&lines);
  const v1::TenantSecrets secrets = ReadSecrets(&lines);
  const std::string key = ReadText(&lines);
  if (!key.empty()) {
    google::protobuf::Map<std::string, std::string> variable;
    variable[key] = (*spec.mutable_labels())[key] = ReadText(&lines);
    if (CheckEnvironment(variable).ok()) *spec.mutable_environment() = variable;
  }

  const absl::Status refused = CheckSecrets(secrets, /*required=*/true);
  for (const std::string& secret : {secrets.telegram_token(), secrets.anthropic_key()}) {
    // The sentence's own words are shorter.
    MTP_HOLDS(secret.size() < 100 || !absl::StrContains(refused.message(), secret));
  }
  if (refused.ok() && CheckSpec(spec).ok()) {
    const v1::TenantSpec resolved = Resolve(spec, kDefaultReservationMib, kDefaultImage);
    if (CheckLimit(resolved, kMinLimitMib).ok()) {
      MTP_HOLDS(CheckSpec(resolved).ok());
      CheckRendered(resolved, secrets);
    }
  }

  // What the CLI takes from a file.
  const auto secret = cli::CheckSecret(SecretString(secrets.anthropic_key()), "the key");
  if (secret.ok()) MTP_HOLDS(secret->Reveal() == secrets.anthropic_key());
  MTP_HOLDS(secret.ok() || absl::IsInvalidArgument(secret.status()));

  const std::string request_id(lines.Rest());
  if (CheckRequestId(request_id).ok()) {
    MTP_HOLDS(request_id.size() <= 128 && !absl::StrContains(request_id, '/'));
  }
}

}  // namespace mtp::fuzz
