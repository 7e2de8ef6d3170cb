#include "common/tls/peer.h"

#include "common/tls/keys.h"

namespace mtp::tls {

Peer ReadPeer(const grpc::AuthContext& context) {
  Peer peer;
  const auto pems = context.FindPropertyValues("x509_pem_cert");
  if (pems.empty() || !context.IsPeerAuthenticated()) return peer;
  auto facts = ReadCertificate(absl::string_view(pems[0].data(), pems[0].size()));
  if (!facts.ok()) return peer;
  peer.identity = facts->identity;
  peer.serial = facts->serial;
  return peer;
}

std::string PeerAddress(const std::string& grpc_peer) {
  const size_t scheme = grpc_peer.find(':');
  const size_t port = grpc_peer.rfind(':');
  if (scheme == std::string::npos || port <= scheme) return grpc_peer;
  return grpc_peer.substr(scheme + 1, port - scheme - 1);
}

}  // namespace mtp::tls
