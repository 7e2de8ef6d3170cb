#include "rpc.h"

#include <functional>
#include <map>
#include <random>

#include "log.h"

namespace openclaw_double {
namespace {

using Json = nlohmann::json;

std::string RandomHex() {
  std::random_device random;
  char text[33];
  std::snprintf(text, sizeof text, "%08x%08x%08x%08x", random(), random(), random(), random());
  return text;
}

Json Account(const ChannelState& channel) {
  Json account = {
      {"accountId", "default"},
      {"enabled", true},
      {"configured", channel.configured},
      {"running", channel.running},
      {"connected", channel.connected},
      {"mode", "polling"},
      {"tokenStatus", "available"},
      {"lifecycle", channel.terminal    ? "blocked"
                    : channel.conflicts ? "recovering"
                                        : "ready"},
      {"lastError", channel.last_error.empty() ? Json(nullptr) : Json(channel.last_error)}};
  if (channel.terminal) {
    account["terminalDisconnect"] = true;
    account["healthState"] = "terminal-disconnect";
  }
  return account;
}

Json SessionRows(Gateway& gateway) {
  Json rows = Json::array();
  for (const Session& session : gateway.sessions.List()) {
    rows.push_back({{"key", session.key},
                    {"sessionId", session.session_id},
                    {"agentId", "main"},
                    {"kind", session.kind},
                    {"channel", "telegram"},
                    {"updatedAt", session.updated_at_ms},
                    {"inputTokens", session.input_tokens},
                    {"outputTokens", session.output_tokens},
                    {"totalTokens", session.input_tokens + session.output_tokens}});
  }
  return rows;
}

Json SessionSummary(Gateway& gateway) {
  const Json rows = SessionRows(gateway);
  return {{"path", gateway.sessions.path()}, {"count", rows.size()}, {"recent", rows}};
}

Json Health(Gateway& gateway, const Json&) {
  Json channels = Json::object();
  if (gateway.telegram.configured) {
    channels["telegram"] = Account(gateway.telegram);
    channels["telegram"]["accounts"] = {{"default", Account(gateway.telegram)}};
  }
  return {{"ok", true},
          {"ts", NowMs()},
          {"durationMs", 0},
          {"channels", channels},
          {"channelOrder", gateway.telegram.configured ? Json::array({"telegram"}) : Json::array()},
          {"defaultAgentId", "main"},
          {"sessions", SessionSummary(gateway)}};
}

Json Status(Gateway& gateway, const Json&) {
  return {{"runtimeVersion", kVersion}, {"sessions", SessionSummary(gateway)}};
}

Json ChannelsStatus(Gateway& gateway, const Json&) {
  Json channels = Json::object();
  Json accounts = Json::object();
  if (gateway.telegram.configured) {
    channels["telegram"] = Account(gateway.telegram);
    accounts["telegram"] = Json::array({Account(gateway.telegram)});
  }
  return {{"ts", NowMs()}, {"channels", channels}, {"channelAccounts", accounts}};
}

// With `activeOnly` those that run or are queued. The double counts turns, not whose they are.
Json SessionsList(Gateway& gateway, const Json& params) {
  const bool active_only = params.is_object() && params.value("activeOnly", false);
  const Json rows =
      active_only && gateway.running_turns == 0 ? Json::array() : SessionRows(gateway);
  return {{"ts", NowMs()},
          {"path", gateway.sessions.path()},
          {"count", rows.size()},
          {"sessions", rows}};
}

Json ConfigGet(Gateway& gateway, const Json&) {
  return {{"path", ConfigPath()},
          {"exists", true},
          {"raw", gateway.config.raw},
          {"parsed", gateway.config.parsed},
          {"hash", std::to_string(std::hash<std::string>{}(gateway.config.raw))}};
}

const std::map<std::string, Json (*)(Gateway&, const Json&)>& Methods() {
  static const std::map<std::string, Json (*)(Gateway&, const Json&)> methods = {
      {"health", Health},
      {"status", Status},
      {"channels.status", ChannelsStatus},
      {"sessions.list", SessionsList},
      {"config.get", ConfigGet},
  };
  return methods;
}

std::string TextOf(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_string()
             ? object[key].get<std::string>()
             : "";
}

}  // namespace

Json RpcSession::Challenge() const {
  return {{"type", "event"},
          {"event", "connect.challenge"},
          {"payload", {{"nonce", RandomHex()}, {"ts", NowMs()}}}};
}

Json RpcSession::Refuse(const Json& id, const std::string& code, const std::string& message,
                        Json details) {
  Json error = {{"code", code}, {"message", message}};
  if (!details.is_null()) error["details"] = std::move(details);
  return {{"type", "res"}, {"id", id}, {"ok", false}, {"error", error}};
}

Json RpcSession::Connect(const Json& id, const Json& params) {
  const Json auth = params.is_object() ? params.value("auth", Json::object()) : Json::object();
  if (TextOf(auth, "token") != gateway_.config.gateway_token) {
    close_reason_ = "unauthorized: gateway token mismatch (provide gateway auth token)";
    return Refuse(id, "INVALID_REQUEST", close_reason_,
                  {{"code", "AUTH_TOKEN_MISMATCH"}, {"authReason", "token_mismatch"}});
  }
  connected_ = true;
  Json methods = Json::array();
  for (const auto& [name, call] : Methods()) methods.push_back(name);
  return {{"type", "res"},
          {"id", id},
          {"ok", true},
          {"payload",
           {{"type", "hello-ok"},
            {"protocol", 4},
            {"server", {{"version", kVersion}, {"connId", RandomHex()}}},
            {"features", {{"methods", methods}}}}}};
}

Json RpcSession::Answer(const Json& frame) {
  const Json id = frame.is_object() ? frame.value("id", Json("")) : Json("");
  const std::string method = TextOf(frame, "method");
  if (TextOf(frame, "type") != "req" || (!connected_ && method != "connect")) {
    close_reason_ = "invalid request frame";
    return Refuse(id, "INVALID_REQUEST", close_reason_);
  }
  if (!connected_) return Connect(id, frame.value("params", Json::object()));
  const auto found = Methods().find(method);
  if (found == Methods().end()) return Refuse(id, "INVALID_REQUEST", "unknown method: " + method);
  if (!from_loopback_) return Refuse(id, "FORBIDDEN", "missing scope: operator.read");
  try {
    return {{"type", "res"},
            {"id", id},
            {"ok", true},
            {"payload", found->second(gateway_, frame.value("params", Json::object()))}};
  } catch (const std::exception& error) {
    return Refuse(id, "INTERNAL", error.what());
  }
}

}  // namespace openclaw_double
