#include "agent/tenants/config_check.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <openssl/sha.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kConfigInContainer[] = "/home/node/.openclaw/openclaw.json";
constexpr size_t kMaxIssues = 3;
// `docker run` itself failed; all other codes are the program's.
constexpr int kDockerFailed = 125;

std::string Hash(const std::string& text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

// Values of no meaning for all that a configuration may refer to; a URL where one is expected.
std::map<std::string, std::string> StandInEnvironment() {
  return {{"XDG_CACHE_HOME", "/tmp/cache"},
          {"OPENCLAW_GATEWAY_TOKEN", "0"},
          {"TELEGRAM_BOT_TOKEN", "1:x"},
          {"ANTHROPIC_API_KEY", "x"},
          {"OPENAI_API_KEY", "x"},
          {"OPENROUTER_API_KEY", "x"},
          {"TELEGRAM_API_ROOT", "http://host"},
          {"ANTHROPIC_BASE_URL", "http://host"}};
}

}  // namespace

std::string ConfigIssues(const std::string& json) {
  const auto answer = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("issues") || !answer["issues"].is_array()) return "";
  std::vector<std::string> issues;
  for (const auto& issue : answer["issues"]) {
    if (!issue.is_object() || issues.size() == kMaxIssues) continue;
    const auto path = issue.find("path");
    const auto message = issue.find("message");
    if (path == issue.end() || !path->is_string()) continue;
    if (message == issue.end() || !message->is_string()) continue;
    issues.push_back(
        absl::StrCat(path->get<std::string>(), ": ", message->get<std::string>().substr(0, 200)));
  }
  return absl::StrJoin(issues, "; ");
}

absl::Status CheckConfig(TenantTools& tools, const std::string& tenant, const std::string& image,
                         const std::string& config, PhaseContext& context) {
  auto details = tools.engine->InspectImage(image);
  if (!details.ok()) return details.status();
  const std::string hash = Hash(absl::StrCat(details->id, "\n", config));
  if (tools.journal->IsConfigAccepted(hash)) return absl::OkStatus();

  context.progress("checking the configuration with the image's own OpenClaw");
  // Readable for the container's user; there are no secrets in it.
  const std::string file = absl::StrCat(tools.folder->path(), "/run/config-", tenant, ".json5");
  MTP_RETURN_IF_ERROR(WriteFileAtomically(file, config, 0644));
  Compose::OneOff run;
  run.image = image;
  run.command = {"openclaw", "config", "validate", "--json"};
  run.env = StandInEnvironment();
  run.file = file;
  run.target = kConfigInContainer;
  auto result = tools.compose->RunOneOff(run, context.cancel);
  unlink(file.c_str());
  if (!result.ok()) return Annotate(result.status(), "checking the configuration");
  if (result->exit_code == kDockerFailed) {
    return Annotate(ComposeError(result->stderr_text), "checking the configuration");
  }
  const std::string issues = result->exit_code == 1 ? ConfigIssues(result->stdout_text) : "";
  if (!issues.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "OpenClaw refuses the configuration made from config/tenant-template.json5: ", issues));
  }
  if (result->exit_code != 0) {
    tools.log.Warning(absl::StrCat("image ", image, " cannot check configurations (exit code ",
                                   result->exit_code, "); going on without"));
  }
  return tools.journal->SetConfigAccepted(hash);
}

}  // namespace mtp
