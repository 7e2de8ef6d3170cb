#include "config.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "json5.h"

namespace openclaw_double {
namespace {

using Json = nlohmann::json;

std::string Environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

// `${NAME}` of a variable that is not set stays as it stands, as with the real one.
std::string Substitute(const std::string& text) {
  static const std::regex kVariable(R"(\$\{([A-Z_][A-Z0-9_]*)\})");
  std::string result;
  size_t last = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), kVariable), end; it != end; ++it) {
    const std::string name = (*it)[1];
    result += text.substr(last, it->position() - last);
    result += std::getenv(name.c_str()) == nullptr ? it->str() : Environment(name);
    last = it->position() + it->length();
  }
  return result + text.substr(last);
}

Json SubstituteAll(const Json& value) {
  if (value.is_string()) return Substitute(value.get<std::string>());
  if (!value.is_structured()) return value;
  Json result = value;
  for (auto& element : result) element = SubstituteAll(element);
  return result;
}

std::string Text(const Json& root, const std::string& pointer) {
  const Json::json_pointer path(pointer);
  return root.contains(path) && root[path].is_string() ? root[path].get<std::string>() : "";
}

void CheckKeys(const Json& object, const std::string& path, const std::set<std::string>& known,
               std::vector<Issue>& issues) {
  if (!object.is_object()) return;
  for (const auto& [key, value] : object.items()) {
    if (!known.contains(key)) issues.push_back({path, "Unrecognized key: \"" + key + "\""});
  }
}

void Check(const Json& root, ConfigReport& report) {
  auto& issues = report.issues;
  CheckKeys(
      root, "<root>",
      {"$schema", "meta", "env", "logging", "gateway", "channels", "models", "agents", "tools",
       "plugins", "skills", "cron", "hooks", "session", "messages", "commands", "browser"},
      issues);
  CheckKeys(root.value("gateway", Json::object()), "gateway",
            {"mode", "bind", "port", "auth", "controlUi", "reload", "remote", "tls", "http",
             "trustedProxies", "tailscale"},
            issues);
  const std::string mode = Text(root, "/gateway/mode");
  if (!mode.empty() && mode != "local" && mode != "remote") {
    issues.push_back({"gateway.mode", R"(Invalid input (allowed: "local", "remote"))"});
  }
  const std::string api_root = Text(root, "/channels/telegram/apiRoot");
  if (!api_root.empty() && api_root.find("://") == std::string::npos) {
    issues.push_back({"channels.telegram.apiRoot", R"(invalid config: must match format "uri")"});
  }
  const std::string account = "/channels/telegram/accounts/default";
  if (Text(root, account + "/dmPolicy") == "open" &&
      !root.contains(Json::json_pointer(account + "/allowFrom"))) {
    report.warnings.push_back(
        {"channels.telegram.accounts.default.allowFrom",
         "dmPolicy=\"open\" but allowFrom is unset; all DMs will be dropped"});
  }
}

void Fill(const Json& root, Config& config) {
  config.gateway_token = Text(root, "/gateway/auth/token");
  if (config.gateway_token.empty()) config.gateway_token = Environment("OPENCLAW_GATEWAY_TOKEN");
  if (root.contains("channels") && root["channels"].contains("telegram")) {
    config.telegram_api_root = Text(root, "/channels/telegram/apiRoot");
    config.bot_token = Text(root, "/channels/telegram/accounts/default/botToken");
    if (config.bot_token.empty()) config.bot_token = Text(root, "/channels/telegram/botToken");
  }
  config.anthropic_base_url = Text(root, "/models/providers/anthropic/baseUrl");
  config.anthropic_key = Environment("ANTHROPIC_API_KEY");
  const std::string model = Text(root, "/agents/defaults/model/primary");
  config.model = model.substr(model.find('/') + 1);
}

}  // namespace

std::string StateFolder() {
  const std::string folder = Environment("OPENCLAW_STATE_DIR");
  return folder.empty() ? Environment("HOME") + "/.openclaw" : folder;
}

std::string ConfigPath() {
  const std::string path = Environment("OPENCLAW_CONFIG_PATH");
  return path.empty() ? StateFolder() + "/openclaw.json" : path;
}

ConfigReport LoadConfig(const std::string& path) {
  ConfigReport report;
  std::ifstream file(path, std::ios::binary);
  report.config.raw.assign(std::istreambuf_iterator<char>(file), {});
  try {
    report.config.parsed = ParseJson5(report.config.raw);
  } catch (const Json5Error& error) {
    report.issues.push_back(
        {"<root>", std::string("JSON5 parse failed: SyntaxError: ") + error.what()});
    return report;
  }
  if (!report.config.parsed.is_object()) {
    report.issues.push_back({"<root>", "Invalid input: expected object"});
    return report;
  }
  const Json root = SubstituteAll(report.config.parsed);
  Check(root, report);
  Fill(root, report.config);
  return report;
}

}  // namespace openclaw_double
