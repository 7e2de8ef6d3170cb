// One HTTP exchange with the engine over its unix socket. The transport beneath engine.cc.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

namespace mtp {

struct EngineRequest {
  std::string call;    // For error sentences: `inspect mtp-acme`.
  std::string method;  // `GET`, `POST`
  std::string target;  // Path and query, already encoded.
  std::string body;    // JSON; empty means none.
  absl::Duration timeout =
      absl::Seconds(10);  // For the whole exchange; infinite for endless streams.
  std::stop_token stop;
  size_t max_body_bytes = 16 << 20;  // Of an answer that is collected; RESOURCE_EXHAUSTED beyond.
  // When set, the body of a 2xx answer is given here as it comes and not collected. A status that
  // is not OK ends the exchange with that status.
  std::function<absl::Status(std::string_view bytes)> sink;
  // When set, called once a 2xx answer's head has come.
  std::function<void()> on_head;
};

struct EngineAnswer {
  int http_status = 0;
  std::string body;
};

// Any complete answer is OK here, error answers too. UNAVAILABLE when nobody answers at the socket
// or the connection breaks, DEADLINE_EXCEEDED after the timeout, CANCELLED after a stop request.
// Blocks; thread-safe.
absl::StatusOr<EngineAnswer> ExchangeWithEngine(const std::string& socket_path,
                                                const EngineRequest& request);

// OK for 2xx and 304, otherwise the status that engine.h promises, with the engine's own words.
absl::Status EngineAnswerStatus(const EngineRequest& request, const EngineAnswer& answer);

// For one part of a path or a query.
std::string PercentEncode(std::string_view text);

}  // namespace mtp
