#include "agent/compose/service_text.h"

#include <absl/strings/str_cat.h>

#include <map>

#include "agent/compose/yaml_text.h"
#include "common/base/image_reference.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// Swap that a container may use beyond its memory limit: as much again. Cold pages of an idle
// tenant can then be swapped out, and a leak still ends at a bound.
constexpr int kSwapFactor = 2;

// One `NAME: "value"` of `environment:`.
void Variable(std::string* text, absl::string_view name, absl::string_view quoted_value) {
  absl::StrAppend(text, "      ", name, ": ", quoted_value, "\n");
}

// `"${PREFIX_SUFFIX}"`: Compose fills it in from `.env`.
std::string Reference(absl::string_view prefix, absl::string_view suffix) {
  return absl::StrCat("\"${", prefix, "_", suffix, "}\"");
}

// A required variable fails loudly when `.env` lost it, before a container starts without it.
std::string Required(absl::string_view prefix, absl::string_view suffix) {
  return absl::StrCat("\"${", prefix, "_", suffix, ":?is missing in .env}\"");
}

// What every OpenClaw here gets, besides its secrets.
void CommonVariables(std::string* text) {
  // Halves the peak of a start and lowers what stays.
  Variable(text, "NODE_OPTIONS", "\"--max-semi-space-size=2\"");
  // The root is read-only; OpenClaw ends at once when it cannot write its cache.
  Variable(text, "XDG_CACHE_HOME", "/home/node/.openclaw/cache");
}

void SecretVariables(std::string* text, absl::string_view prefix,
                     const v1::TenantSecrets& secrets) {
  Variable(text, "OPENCLAW_GATEWAY_TOKEN", Required(prefix, "GATEWAY_TOKEN"));
  if (!secrets.telegram_token().empty()) {
    Variable(text, "TELEGRAM_BOT_TOKEN", Required(prefix, "TELEGRAM_TOKEN"));
  }
  if (!secrets.anthropic_key().empty()) {
    Variable(text, "ANTHROPIC_API_KEY", Reference(prefix, "ANTHROPIC_KEY"));
  }
  if (!secrets.openai_key().empty()) {
    Variable(text, "OPENAI_API_KEY", Reference(prefix, "OPENAI_KEY"));
  }
  if (!secrets.openrouter_key().empty()) {
    Variable(text, "OPENROUTER_API_KEY", Reference(prefix, "OPENROUTER_KEY"));
  }
}

// In the order of their names, so that the same settings are the same text.
absl::Status SpecVariables(std::string* text, const v1::TenantSpec& spec) {
  const std::map<std::string, std::string> sorted(spec.environment().begin(),
                                                  spec.environment().end());
  for (const auto& [name, value] : sorted) {
    MTP_ASSIGN_OR_RETURN(const std::string quoted, QuoteComposeText(value));
    Variable(text, name, quoted);
  }
  return absl::OkStatus();
}

std::string BindMount(absl::string_view source, absl::string_view target, bool read_only = false) {
  // create_host_path: a missing folder is an error; Docker would make it as root's.
  return absl::StrCat("      - {type: bind, source: ", source, ", target: ", target,
                      read_only ? ", read_only: true" : "", ", bind: {create_host_path: false}}\n");
}

std::string DataMounts(absl::string_view folder) {
  return absl::StrCat(
      "    volumes:\n",
      BindMount(absl::StrCat("./data/", folder, "/.openclaw"), "/home/node/.openclaw"),
      BindMount(absl::StrCat("./data/", folder, "/workspace"), "/home/node/workspace"));
}

std::string MemoryLimits(int64_t limit_mib) {
  return absl::StrCat("    mem_limit: ", limit_mib,
                      "m\n    memswap_limit: ", SwapLimitMib(limit_mib), "m\n");
}

// The same host name in every container of a tenant, ever. OpenClaw 2026.9 writes its own and its
// process into a lease on its state; in another container it takes a lease of the same host over at
// once, since that process is gone, and waits five minutes for one of another host: after a crash,
// an update, and a restore.
std::string Name(absl::string_view container, absl::string_view host_name) {
  return absl::StrCat("    container_name: ", container, "\n    hostname: ", host_name, "\n");
}

std::string Name(absl::string_view container) { return Name(container, container); }

}  // namespace

int64_t SwapLimitMib(int64_t memory_limit_mib) { return memory_limit_mib * kSwapFactor; }

std::string SharedSettings() {
  return absl::StrCat(R"(x-openclaw: &openclaw
  restart: unless-stopped
  # OpenClaw drains running turns for up to 315 s after SIGTERM.
  stop_grace_period: )",
                      kStopGraceSeconds, R"(s
  init: true
  user: "1000:1000"
  read_only: true
  tmpfs: ["/tmp:size=256m,mode=1777"]
  cap_drop: [ALL]
  security_opt: ["no-new-privileges:true"]
  pids_limit: 512
  logging: {driver: json-file, options: {max-size: 50m, max-file: "3"}}
)");
}

absl::StatusOr<std::string> TenantServiceText(const ProjectTenant& tenant) {
  const std::string& name = tenant.name.value();
  const std::string prefix = tenant.name.EnvPrefix();
  const v1::TenantSpec& spec = tenant.spec;
  MTP_RETURN_IF_ERROR(CheckImageReference(spec.image()));

  std::string text =
      absl::StrCat("  \"", name, "\":\n    <<: *openclaw\n", Name(tenant.name.Container()),
                   "    image: \"", spec.image(), "\"\n", "    environment:\n");
  CommonVariables(&text);
  SecretVariables(&text, prefix, tenant.secrets);
  if (!spec.telegram_api_root().empty()) {
    MTP_ASSIGN_OR_RETURN(const std::string root, QuoteComposeText(spec.telegram_api_root()));
    Variable(&text, "TELEGRAM_API_ROOT", root);
  }
  if (!spec.anthropic_api_root().empty()) {
    MTP_ASSIGN_OR_RETURN(const std::string root, QuoteComposeText(spec.anthropic_api_root()));
    Variable(&text, "ANTHROPIC_BASE_URL", root);
  }
  MTP_RETURN_IF_ERROR(SpecVariables(&text, spec));
  absl::StrAppend(&text, DataMounts(name), MemoryLimits(spec.memory_limit_mib()));
  if (!spec.port_unpublished()) {
    // Loopback only: a published port bypasses the host's firewall.
    absl::StrAppend(&text, "    ports: [\"127.0.0.1:${", prefix,
                    "_PORT:?is missing in .env}:18789\"]\n");
  }
  absl::StrAppend(&text, "    networks: [\"", name, "\"]\n    labels: {", kTenantLabel, ": \"",
                  name, "\"}\n",
                  // The agent probes from outside; a process in the container every few seconds
                  // would cost more than the tenant itself.
                  "    healthcheck: {disable: true}\n");
  return text;
}

absl::StatusOr<std::string> AdminServiceText(const ProjectAdmin& admin) {
  MTP_RETURN_IF_ERROR(CheckImageReference(admin.image));
  std::string text =
      absl::StrCat("  \"", kAdminService, "\":\n    <<: *openclaw\n", Name(kAdminContainer),
                   "    image: \"${OPENCLAW_IMAGE:?is missing in .env}\"\n", "    environment:\n");
  CommonVariables(&text);
  SecretVariables(&text, "ADMIN", admin.secrets);
  absl::StrAppend(
      &text, DataMounts(kAdminService),
      // A socket of the agent's that passes only reading. /var/run is a link to /run inside.
      BindMount(absl::StrCat("./", kAdminSocketFolder), "/run", /*read_only=*/true),
      MemoryLimits(admin.memory_limit_mib), "    ports: [\"127.0.0.1:${ADMIN_PORT:?is missing in ",
      ".env}:18789\"]\n    networks: [\"", kAdminService,
      "\"]\n    labels: {mtp.admin: \"true\"}\n",
      // Without a helper program: bash opens the connection itself.
      R"(    healthcheck:
      test:
        - CMD
        - bash
        - -c
        - 'exec 3<>/dev/tcp/127.0.0.1/18789 && printf "GET /healthz HTTP/1.0\r\n\r\n" >&3 &&
          read -r line <&3 && [[ $$line == *" 200"* ]]'
      interval: 10s
      timeout: 5s
      retries: 3
      start_period: 300s
)");
  return text;
}

absl::StatusOr<std::string> SandboxServiceText(const Sandbox& sandbox) {
  MTP_RETURN_IF_ERROR(CheckImageReference(sandbox.image));
  std::string text = absl::StrCat(
      "  \"", SandboxService(sandbox.name), "\":\n    <<: *openclaw\n",
      Name(SandboxContainer(sandbox.name), sandbox.data_of.Container()), "    image: \"",
      sandbox.image, "\"\n    restart: \"no\"\n    network_mode: none\n    environment:\n");
  CommonVariables(&text);
  for (const auto& [name, value] : sandbox.environment) {
    MTP_ASSIGN_OR_RETURN(const std::string quoted, QuoteComposeText(value));
    Variable(&text, name, quoted);
  }
  absl::StrAppend(&text, DataMounts(sandbox.folder), MemoryLimits(sandbox.memory_limit_mib),
                  "    labels: {", kDrillLabel, ": \"", sandbox.name.value(),
                  "\"}\n    healthcheck: {disable: true}\n");
  return text;
}

std::string NetworkText(absl::string_view service, absl::string_view subnet,
                        absl::string_view tenant) {
  std::string text = absl::StrCat("  \"", service, "\":\n    driver: bridge\n    ipam: {config: [",
                                  "{subnet: ", subnet, "}]}\n");
  if (!tenant.empty()) {
    absl::StrAppend(&text, "    labels: {", kTenantLabel, ": \"", tenant, "\"}\n");
  }
  return text;
}

}  // namespace mtp
