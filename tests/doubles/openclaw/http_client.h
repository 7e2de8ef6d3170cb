// One HTTP POST of JSON, over plain HTTP to a numeric address: all that stand-ins need. A static
// binary in an empty image has neither name resolution nor certificates.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace openclaw_double {

struct HttpAnswer {
  int status = 0;  // 0: no answer; `error` says why.
  nlohmann::json body;
  std::string error;
};

// `base_url` is `http://ADDRESS[:PORT][/PATH]`; `target` is appended to it as it stands.
boost::asio::awaitable<HttpAnswer> PostJson(
    std::string base_url, std::string target, nlohmann::json body,
    std::vector<std::pair<std::string, std::string>> headers, std::chrono::seconds timeout);

}  // namespace openclaw_double
