// Who is at the other end of a connection: identities as URI SANs.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

namespace mtp::tls {

struct Identity {
  enum class Kind { kAnonymous, kController, kAgent, kOperator };
  Kind kind = Kind::kAnonymous;
  std::string fleet;
  std::string name;  // host or operator; empty for the controller

  // `spiffe://<fleet>/agent/<name>` and so on; INVALID_ARGUMENT for anything else.
  static absl::StatusOr<Identity> ParseUri(absl::string_view uri);
  std::string Uri() const;
  // For people and the audit log: `operator/alice`, `agent/h1`, `controller`, `anonymous`.
  std::string ToString() const;
  // DNS name that servers of this identity carry: `controller.mtp.internal`,
  // `h1.agent.mtp.internal`; empty for identities that serve nothing.
  std::string DnsName() const;

  bool operator==(const Identity&) const = default;
};

}  // namespace mtp::tls
