#include "common/tls/identity.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <vector>

#include "common/base/names.h"

namespace mtp::tls {
namespace {

// Host and operator names share one rule.
bool IsName(absl::string_view text) { return HostName::Parse(text).ok(); }

}  // namespace

absl::StatusOr<Identity> Identity::ParseUri(absl::string_view uri) {
  const absl::Status malformed =
      absl::InvalidArgumentError("the certificate carries no identity of this product");
  if (!absl::ConsumePrefix(&uri, "spiffe://")) return malformed;
  const std::vector<std::string> parts = absl::StrSplit(uri, '/');
  if (parts.size() < 2 || !IsName(parts[0])) return malformed;
  Identity identity;
  identity.fleet = parts[0];
  if (parts.size() == 2 && parts[1] == "controller") {
    identity.kind = Kind::kController;
    return identity;
  }
  if (parts.size() != 3 || !IsName(parts[2])) return malformed;
  identity.name = parts[2];
  if (parts[1] == "agent") {
    identity.kind = Kind::kAgent;
    return identity;
  }
  if (parts[1] == "operator") {
    identity.kind = Kind::kOperator;
    return identity;
  }
  return malformed;
}

std::string Identity::Uri() const {
  if (kind == Kind::kAnonymous) return "";
  return absl::StrCat("spiffe://", fleet, "/", ToString());
}

std::string Identity::ToString() const {
  switch (kind) {
    case Kind::kAnonymous:
      return "anonymous";
    case Kind::kController:
      return "controller";
    case Kind::kAgent:
      return "agent/" + name;
    case Kind::kOperator:
      return "operator/" + name;
  }
  return "anonymous";
}

std::string Identity::DnsName() const {
  switch (kind) {
    case Kind::kController:
      return "controller.mtp.internal";
    case Kind::kAgent:
      return name + ".agent.mtp.internal";
    case Kind::kAnonymous:
    case Kind::kOperator:
      return "";
  }
  return "";
}

}  // namespace mtp::tls
