#include "telegram.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "http_client.h"
#include "log.h"
#include "model.h"

namespace openclaw_double {
namespace {

namespace asio = boost::asio;
using Json = nlohmann::json;
using std::chrono::seconds;

constexpr size_t kMaxMessageBytes = 4000;
constexpr int kPollSeconds = 30;
constexpr seconds kPollGivenUpAfter{45};
constexpr int kMaxTurnsAtOnce = 8;

asio::awaitable<void> Sleep(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<HttpAnswer> Call(Gateway& gateway, std::string method, Json parameters,
                                 seconds timeout = seconds(20)) {
  return PostJson(gateway.config.telegram_api_root,
                  "/bot" + gateway.config.bot_token + "/" + method, std::move(parameters), {},
                  timeout);
}

std::string Description(const HttpAnswer& answer) {
  if (answer.status == 0) return answer.error;
  return answer.body.is_object() ? answer.body.value("description", "") : "no JSON";
}

bool IsForTheBot(const Gateway& gateway, const Json& message) {
  if (message["chat"].value("type", "") == "private") return true;
  return message.value("text", "").find("@" + gateway.telegram.username) != std::string::npos;
}

std::string SessionKey(const Json& chat) {
  if (chat.value("type", "") == "private") return "agent:main:main";
  return "agent:main:telegram:group:" + std::to_string(chat.value("id", int64_t{0}));
}

asio::awaitable<void> RunTurn(Gateway& gateway, std::string key, int64_t chat_id) {
  ++gateway.running_turns;
  // Named values: g++ 12 miscompiles initializer lists within a co_await expression.
  Json typing = {{"chat_id", chat_id}, {"action", "typing"}};
  co_await Call(gateway, "sendChatAction", std::move(typing));
  const ModelAnswer answer = co_await AskModel(gateway, key);
  for (const std::string& chunk : Chunks(answer.text, kMaxMessageBytes)) {
    Json message = {{"chat_id", chat_id}, {"text", chunk}};
    const HttpAnswer sent = co_await Call(gateway, "sendMessage", std::move(message));
    if (sent.status != 200) Log("telegram", "sendMessage failed: " + Description(sent));
  }
  try {
    gateway.sessions.Answer(key, answer.text, answer.input_tokens, answer.output_tokens);
  } catch (const std::exception& error) {
    Log("gateway", error.what());
  }
  --gateway.running_turns;
}

asio::awaitable<void> Receive(Gateway& gateway, const Json& update) {
  const Json message = update.value("message", Json::object());
  const bool wanted =
      message.contains("chat") && message.contains("text") && IsForTheBot(gateway, message);
  const Json chat = message.value("chat", Json::object());
  const std::string key = wanted ? SessionKey(chat) : "";
  const std::string kind = chat.value("type", "") == "private" ? "direct" : "group";
  if (!gateway.sessions.Receive(update.value("update_id", int64_t{0}), key, kind,
                                message.value("text", "")) ||
      !wanted) {
    co_return;
  }
  while (gateway.running_turns >= kMaxTurnsAtOnce) co_await Sleep(std::chrono::milliseconds(50));
  asio::co_spawn(co_await asio::this_coro::executor,
                 RunTurn(gateway, key, chat.value("id", int64_t{0})), asio::detached);
}

void EndForGood(Gateway& gateway, const std::string& why) {
  gateway.telegram.terminal = true;
  gateway.telegram.running = gateway.telegram.connected = false;
  gateway.telegram.last_error = why;
  Log("telegram", "[default] channel exited: " + why);
  Log("telegram", "[default] auto-restart skipped, terminal disconnect");
}

// How long to wait before asking again, by what went wrong: the real one's figures.
class Backoff {
 public:
  std::chrono::milliseconds Next(int status) {
    if (status == 409) {
      conflict_s_ = conflict_s_ == 0 ? 34 : std::min(conflict_s_ * 2, 120);
      return seconds(conflict_s_);
    }
    failure_s_ = failure_s_ == 0 ? 1 : std::min(failure_s_ * 2, 30);
    return seconds(failure_s_);
  }
  void Reset() { conflict_s_ = failure_s_ = 0; }

 private:
  int conflict_s_ = 0;
  int failure_s_ = 0;
};

// Waits in short pieces, so that a drain is not held up.
asio::awaitable<void> Wait(Gateway& gateway, std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (!gateway.draining && std::chrono::steady_clock::now() < until) {
    co_await Sleep(std::chrono::milliseconds(100));
  }
}

}  // namespace

std::vector<std::string> Chunks(const std::string& text, size_t limit) {
  std::vector<std::string> chunks;
  size_t at = 0;
  while (text.size() - at > limit) {
    size_t end = text.find_last_of(" \n", at + limit);
    if (end == std::string::npos || end <= at) {
      end = at + limit;
      while (end > at + 1 && (text[end] & 0xC0) == 0x80) --end;
    }
    chunks.push_back(text.substr(at, end - at));
    at = text[end] == ' ' || text[end] == '\n' ? end + 1 : end;
  }
  if (at < text.size() || chunks.empty()) chunks.push_back(text.substr(at));
  return chunks;
}

void MeetConflict(Gateway& gateway) {
  ChannelState& channel = gateway.telegram;
  channel.conflicts = true;
  channel.connected = false;
  channel.last_error = "Conflict: terminated by other getUpdates request";
  Log("telegram", "getUpdates conflict: " + channel.last_error);
}

asio::awaitable<void> RunTelegram(Gateway& gateway) {
  ChannelState& channel = gateway.telegram;
  channel.configured = !gateway.config.bot_token.empty();
  if (!channel.configured || gateway.config.telegram_api_root.empty()) co_return;
  channel.running = true;
  Backoff backoff;
  bool introduced = false;
  while (!gateway.draining) {
    HttpAnswer answer;
    if (introduced && gateway.IsBotTaken()) {
      MeetConflict(gateway);
      co_await Wait(gateway, backoff.Next(409));
      continue;
    }
    if (!introduced) {
      answer = co_await Call(gateway, "getMe", Json::object());
      if (answer.status == 200) {
        introduced = channel.connected = true;
        channel.username = answer.body["result"].value("username", "");
        Log("telegram", "[default] starting provider (@" + channel.username + ")");
        co_await Call(gateway, "deleteWebhook", Json::object());
        continue;
      }
    } else {
      Json poll = {{"offset", gateway.sessions.update_offset()}, {"timeout", kPollSeconds}};
      answer = co_await Call(gateway, "getUpdates", std::move(poll), kPollGivenUpAfter);
      // What it brought is not confirmed, so it is not lost.
      if (gateway.IsBotTaken()) continue;
    }
    if (answer.status == 401) {
      EndForGood(gateway, "Unauthorized");
      co_return;
    }
    channel.conflicts = answer.status == 409;
    // Other failures are tried again without giving the channel up.
    channel.connected = introduced && !channel.conflicts;
    if (answer.status == 200) {
      backoff.Reset();
      channel.last_error.clear();
      for (const Json& update : answer.body.value("result", Json::array())) {
        co_await Receive(gateway, update);
      }
      continue;
    }
    channel.last_error = Description(answer);
    const auto wait = backoff.Next(answer.status);
    Log("telegram",
        std::string(answer.status == 409 ? "getUpdates conflict: " : "polling failed: ") +
            channel.last_error + "; restarting in " +
            std::to_string(std::chrono::duration_cast<seconds>(wait).count()) + "s.");
    co_await Wait(gateway, wait);
  }
}

}  // namespace openclaw_double
