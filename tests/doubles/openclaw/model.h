// The model's side of a turn: one call of the Anthropic Messages API.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "gateway.h"

namespace openclaw_double {

struct ModelAnswer {
  std::string text;  // What the person reads, also when the call failed.
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
};

// Asks with the session's last messages.
boost::asio::awaitable<ModelAnswer> AskModel(Gateway& gateway, std::string session_key);

}  // namespace openclaw_double
