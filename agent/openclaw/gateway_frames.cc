#include "agent/openclaw/gateway_frames.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "agent/docker/json_fields.h"
#include "agent/openclaw/gateway.h"
#include "common/base/version.h"

namespace mtp {
namespace {

using json_fields::Field;
using json_fields::Json;
using json_fields::String;

constexpr size_t kMaxMethod = 128;
constexpr size_t kMaxErrorMessage = 500;

std::string ToText(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool IsMethod(std::string_view text) {
  return !text.empty() && text.size() <= kMaxMethod &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
                  c == '-';
         });
}

std::string OneLine(std::string text) {
  if (text.size() > kMaxErrorMessage) text.resize(kMaxErrorMessage);
  for (char& c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return text;
}

absl::StatusCode CodeOf(const std::string& code, const std::string& detail) {
  if (detail.rfind("AUTH_", 0) == 0 || code == "UNAUTHORIZED" || detail == "PAIRING_REQUIRED") {
    return absl::StatusCode::kUnauthenticated;
  }
  if (code == "FORBIDDEN" || detail == "MISSING_SCOPE") return absl::StatusCode::kPermissionDenied;
  if (code == "INVALID_REQUEST") return absl::StatusCode::kInvalidArgument;
  if (code == "UNAVAILABLE") return absl::StatusCode::kUnavailable;
  if (code == "NOT_FOUND") return absl::StatusCode::kNotFound;
  return absl::StatusCode::kInternal;
}

void ReadError(const Json& error, GatewayFrame* frame) {
  const Json& details = Field(error, "details");
  const std::string code = OneLine(String(error, "code"));
  const std::string detail = OneLine(String(details, "code"));
  const std::string reason = OneLine(String(details, "reason"));
  std::string sentence = absl::StrCat("the gateway answers ", code.empty() ? "an error" : code);
  if (!detail.empty()) absl::StrAppend(&sentence, " (", detail, ")");
  if (!reason.empty()) absl::StrAppend(&sentence, " (", reason, ")");
  const std::string message = OneLine(String(error, "message"));
  if (!message.empty()) absl::StrAppend(&sentence, ": ", message);
  frame->status = absl::Status(CodeOf(code, detail), sentence);
  // UNAVAILABLE is said before the method runs (transport.md), while sidecars start or the queue is
  // full.
  frame->retry = code == "UNAVAILABLE" &&
                 (reason == "startup-sidecars" || json_fields::Bool(error, "retryable"));
}

}  // namespace

std::string ConnectFrame(std::string_view id, const SecretString& token) {
  Json frame = {{"type", "req"},
                {"id", id},
                {"method", "connect"},
                {"params",
                 {{"minProtocol", 3},
                  {"maxProtocol", 4},
                  {"client",
                   {{"id", "gateway-client"},
                    {"version", kVersion},
                    {"platform", "linux"},
                    {"mode", "backend"}}},
                  {"role", "operator"},
                  {"scopes",
                   {"operator.read", "operator.write", "operator.admin", "operator.approvals",
                    "operator.pairing"}},
                  {"caps", Json::array()},
                  {"auth", {{"token", token.Reveal()}}}}}};
  std::string text = ToText(frame);
  WipeString(frame["params"]["auth"]["token"].get_ptr<std::string*>());
  return text;
}

absl::StatusOr<std::string> RequestFrame(std::string_view id, std::string_view method,
                                         std::string_view params_json) {
  if (!IsMethod(method)) {
    return absl::InvalidArgumentError(
        "a gateway method is named by letters, digits, dots, hyphens and underscores");
  }
  if (params_json.size() > kMaxGatewayParamsBytes) {
    return absl::InvalidArgumentError("gateway parameters are at most 1 MiB");
  }
  Json params = params_json.empty() ? Json::object() : json_fields::Parse(params_json);
  if (!params.is_object()) {
    return absl::InvalidArgumentError("gateway parameters must be one JSON object");
  }
  return ToText({{"type", "req"}, {"id", id}, {"method", method}, {"params", std::move(params)}});
}

absl::StatusOr<GatewayFrame> ParseGatewayFrame(std::string_view text) {
  const Json json = json_fields::Parse(text);
  if (!json.is_object()) return absl::InternalError("the gateway sent something that is no frame");
  GatewayFrame frame;
  const std::string type = String(json, "type");
  if (type == "event" && String(json, "event") == "connect.challenge") {
    frame.kind = GatewayFrame::Kind::kChallenge;
  } else if (type == "res") {
    frame.kind = GatewayFrame::Kind::kAnswer;
    frame.id = String(json, "id");
    if (json_fields::Bool(json, "ok")) {
      frame.payload_json = ToText(Field(json, "payload"));
    } else {
      ReadError(Field(json, "error"), &frame);
    }
  }
  return frame;
}

}  // namespace mtp
