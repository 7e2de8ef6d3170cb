#include "agent/api/authorize.h"

#include <absl/strings/str_cat.h>

#include "common/tls/peer.h"

namespace mtp {

absl::Status AuthorizeController(const grpc::ServerContextBase& context, const std::string& fleet) {
  const auto auth = context.auth_context();
  const tls::Identity caller = auth ? tls::ReadPeer(*auth).identity : tls::Identity();
  if (caller.kind == tls::Identity::Kind::kController && caller.fleet == fleet) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(
      absl::StrCat(caller.ToString(), " may not call an agent; only the fleet's controller may"));
}

}  // namespace mtp
