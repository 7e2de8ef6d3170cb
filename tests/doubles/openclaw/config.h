// The tenant's openclaw.json: reading, `${ENV}` substitution, and the checks of
// `openclaw config validate`.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace openclaw_double {

struct Issue {
  std::string path;  // `gateway.mode`
  std::string message;
};

// What the double needs of a configuration. Empty strings mean not configured.
struct Config {
  std::string gateway_token;
  int port = 18789;
  std::string telegram_api_root;
  std::string bot_token;
  std::string anthropic_base_url;
  std::string anthropic_key;
  std::string model;  // Without the provider: `claude-sonnet-4-5-20250929`.

  std::string raw;        // The file's text.
  nlohmann::json parsed;  // Before substitution, as `config.get` shows it.
};

struct ConfigReport {
  Config config;
  std::vector<Issue> issues;  // Empty means valid.
  std::vector<Issue> warnings;
};

// $OPENCLAW_CONFIG_PATH, or openclaw.json in the state folder.
std::string ConfigPath();
// $OPENCLAW_STATE_DIR, or $HOME/.openclaw.
std::string StateFolder();

ConfigReport LoadConfig(const std::string& path);

}  // namespace openclaw_double
