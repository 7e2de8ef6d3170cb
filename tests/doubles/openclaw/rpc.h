// The gateway's WebSocket RPC without the sockets (the real one's docs/gateway/protocol.md).
#pragma once

#include <nlohmann/json.hpp>

#include "gateway.h"

namespace openclaw_double {

// One caller, from its connection to its end.
class RpcSession {
 public:
  // Callers from elsewhere than the container's loopback may connect, and are granted nothing.
  RpcSession(Gateway& gateway, bool from_loopback)
      : gateway_(gateway), from_loopback_(from_loopback) {}

  // What the server says first.
  nlohmann::json Challenge() const;
  // The answer to one frame. When `closed()` is true afterwards, the connection is to be closed
  // with code 1008 and `close_reason()`.
  nlohmann::json Answer(const nlohmann::json& frame);

  bool closed() const { return !close_reason_.empty(); }
  const std::string& close_reason() const { return close_reason_; }

 private:
  nlohmann::json Connect(const nlohmann::json& id, const nlohmann::json& params);
  nlohmann::json Refuse(const nlohmann::json& id, const std::string& code,
                        const std::string& message, nlohmann::json details = nullptr);

  Gateway& gateway_;
  bool from_loopback_;
  bool connected_ = false;
  std::string close_reason_;
};

}  // namespace openclaw_double
