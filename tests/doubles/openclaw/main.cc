// A light double of OpenClaw for tests of scale and faults: under 10 MB of memory where the real
// one takes 800. It keeps the real one's contract with the agent (probes, RPC, files, signals,
// logs) and with the Bot API and the Anthropic API; contract_test.py runs the same cases against
// both.
//
//   openclaw gateway [--bind lan] [--port N]
//   openclaw config validate [--json]
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>

#include "config.h"
#include "gateway.h"
#include "log.h"
#include "server.h"
#include "telegram.h"

namespace openclaw_double {
namespace {

namespace asio = boost::asio;
using Json = nlohmann::json;

constexpr int kDrainMs = 315000;

Json Rows(const std::vector<Issue>& issues) {
  Json rows = Json::array();
  for (const Issue& issue : issues)
    rows.push_back({{"path", issue.path}, {"message", issue.message}});
  return rows;
}

int ValidateConfig(bool as_json) {
  const ConfigReport report = LoadConfig(ConfigPath());
  const bool valid = report.issues.empty();
  if (as_json) {
    Json out = {{"valid", valid}, {"path", ConfigPath()}};
    if (valid) {
      out["warnings"] = Rows(report.warnings);
    } else {
      out["ok"] = false;
      out["error"] = {{"type", "cli_error"}, {"message", "OpenClaw config is invalid"}};
      out["issues"] = Rows(report.issues);
    }
    std::cout << out.dump() << "\n";
  } else if (!valid) {
    std::cerr << "OpenClaw config is invalid: " << ConfigPath() << "\n";
    for (const Issue& issue : report.issues) {
      std::cerr << "  × " << issue.path << ": " << issue.message << "\n";
    }
  }
  return valid ? 0 : 1;
}

// Takes and keeps memory, as a leak does.
void Leak(int mib, std::vector<std::unique_ptr<char[]>>& kept) {
  if (mib <= 0) return;
  const size_t bytes = static_cast<size_t>(mib) << 20;
  kept.push_back(std::make_unique<char[]>(bytes));
  std::memset(kept.back().get(), 1, bytes);
}

asio::awaitable<void> WatchFaults(Gateway& gateway, asio::io_context& context, int& exit_code) {
  std::vector<std::unique_ptr<char[]>> leaked;
  while (true) {
    gateway.faults = ReadFaults(StateFolder());
    Leak(gateway.faults.leak_mib_per_s, leaked);
    // Also of the poll that waits.
    if (gateway.IsBotTaken() && !gateway.telegram.conflicts) MeetConflict(gateway);
    if (gateway.faults.exit_after_s &&
        gateway.UptimeMs() >= *gateway.faults.exit_after_s * 1000LL) {
      Log("gateway", "fault: ends now");
      exit_code = 1;
      context.stop();
    }
    asio::steady_timer timer(context, std::chrono::seconds(1));
    co_await timer.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<void> DrainOnSignal(Gateway& gateway, asio::io_context& context) {
  asio::signal_set signals(context, SIGTERM, SIGINT);
  do {
    co_await signals.async_wait(asio::use_awaitable);
    Log("gateway", "signal received");
  } while (gateway.faults.ignore_sigterm);
  gateway.draining = true;
  Log("gateway", "shutdown: drain=" + std::to_string(kDrainMs) + "ms shutdown=325000ms, " +
                     std::to_string(gateway.running_turns) + " running turns");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kDrainMs);
  while (gateway.running_turns > 0 && std::chrono::steady_clock::now() < deadline) {
    asio::steady_timer timer(context, std::chrono::milliseconds(50));
    co_await timer.async_wait(asio::use_awaitable);
  }
  Log("gateway", "shutdown complete");
  context.stop();
}

int RunGateway(int port) {
  Log("gateway", "loading configuration…");
  ConfigReport report = LoadConfig(ConfigPath());
  if (!report.issues.empty()) return ValidateConfig(false);
  report.config.port = port;
  if (report.config.gateway_token.empty()) {
    std::cerr << "gateway.auth.token is not set; a gateway that binds to a network needs one\n";
    return 1;
  }
  Log("gateway", "starting...");
  const std::string refused = ReadFaults(StateFolder()).refuse_state;
  if (!refused.empty() && std::filesystem::exists(StateFolder() + "/../workspace/" + refused)) {
    Log("gateway", "fault: cannot work with this state");
    return 1;
  }
  Gateway gateway(std::move(report.config), StateFolder());
  asio::io_context context(1);
  int exit_code = 0;
  const auto end_on_failure = [&](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const std::exception& failure) {
      Log("gateway", failure.what());
      exit_code = 1;
      context.stop();
    }
  };
  asio::co_spawn(context, DrainOnSignal(gateway, context), end_on_failure);
  asio::co_spawn(context, WatchFaults(gateway, context, exit_code), end_on_failure);
  asio::co_spawn(context, RunServer(gateway), end_on_failure);
  asio::co_spawn(context, RunTelegram(gateway), end_on_failure);
  Log("gateway", "ready");
  context.run();
  return exit_code;
}

int Main(const std::vector<std::string>& arguments) {
  int port = 18789;
  bool as_json = false;
  std::vector<std::string> words;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--port" && i + 1 < arguments.size()) {
      port = std::atoi(arguments[++i].c_str());
    } else if (arguments[i] == "--bind" && i + 1 < arguments.size()) {
      ++i;
    } else if (arguments[i] == "--json") {
      as_json = true;
    } else {
      words.push_back(arguments[i]);
    }
  }
  if (words == std::vector<std::string>{"config", "validate"}) return ValidateConfig(as_json);
  if (words == std::vector<std::string>{"gateway"}) return RunGateway(port);
  std::cerr
      << "usage: openclaw gateway [--bind lan] [--port N] | openclaw config validate [--json]\n";
  return 2;
}

}  // namespace
}  // namespace openclaw_double

int main(int argc, char** argv) {
  // As the container's first process it has no default action for these until it asks for one.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return openclaw_double::Main({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
