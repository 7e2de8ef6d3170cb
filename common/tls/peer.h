// Who called, as the TLS handshake proved it.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/security/auth_context.h>

#include <string>

#include "common/tls/identity.h"

namespace mtp::tls {

struct Peer {
  Identity
      identity;  // anonymous without a certificate, or with one that carries no identity of ours
  std::string serial;  // of its certificate, lowercase hexadecimal
};

// Never fails: what cannot be read is anonymous.
Peer ReadPeer(const grpc::AuthContext& context);

// `ipv4:10.0.0.1:4711` without its port, as far as it can be told.
std::string PeerAddress(const std::string& grpc_peer);

}  // namespace mtp::tls
