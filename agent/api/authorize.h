// Who may call an agent: the fleet's controller, and nobody else.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/server_context.h>

#include <string>

namespace mtp {

// OK for `spiffe://<fleet>/controller` as the handshake proved it; else PERMISSION_DENIED.
absl::Status AuthorizeController(const grpc::ServerContextBase& context, const std::string& fleet);

}  // namespace mtp
