#include "model.h"

#include "http_client.h"
#include "log.h"

namespace openclaw_double {
namespace {

constexpr int kHistory = 20;
// As long as the real one's drain, which waits for turns.
constexpr std::chrono::seconds kTimeout{300};

}  // namespace

boost::asio::awaitable<ModelAnswer> AskModel(Gateway& gateway, std::string session_key) {
  nlohmann::json messages = nlohmann::json::array();
  for (const Message& message : gateway.sessions.History(session_key, kHistory)) {
    messages.push_back({{"role", message.role}, {"content", message.text}});
  }
  const Config& config = gateway.config;
  if (config.anthropic_base_url.empty()) {
    co_return ModelAnswer{"No model is reachable."};
  }
  // Named values: g++ 12 miscompiles initializer lists within a co_await expression.
  nlohmann::json body = {{"model", config.model}, {"max_tokens", 4096}, {"messages", messages}};
  std::vector<std::pair<std::string, std::string>> headers = {{"x-api-key", config.anthropic_key},
                                                              {"anthropic-version", "2023-06-01"}};
  const HttpAnswer answer = co_await PostJson(config.anthropic_base_url, "/v1/messages",
                                              std::move(body), std::move(headers), kTimeout);
  ModelAnswer result;
  if (answer.status != 200 || !answer.body.is_object()) {
    Log("gateway",
        "model call failed: " +
            (answer.status == 0 ? answer.error : "HTTP " + std::to_string(answer.status)));
    result.text = "The model did not answer; please try again.";
    co_return result;
  }
  for (const auto& part : answer.body.value("content", nlohmann::json::array())) {
    result.text += part.value("text", "");
  }
  const auto usage = answer.body.value("usage", nlohmann::json::object());
  result.input_tokens = usage.value("input_tokens", int64_t{0});
  result.output_tokens = usage.value("output_tokens", int64_t{0});
  co_return result;
}

}  // namespace openclaw_double
