// This program as the caller of many servers, each of which must prove who it is.
#pragma once

#include <grpcpp/security/credentials.h>

#include <functional>
#include <memory>
#include <string>

#include "common/tls/identity.h"

namespace grpc::experimental {
class CertificateProviderInterface;
}

namespace mtp::tls {

// Thread-safe. One watch over the identity folder serves all channels, however many hosts there
// are.
class ClientIdentity {
 public:
  // Files in `folder` as in credentials.h; read again every 10 s.
  explicit ClientIdentity(const std::string& folder);

  // Shows this identity. Beyond the chain of trust, the server's certificate must carry exactly
  // the identity `peer`, and `serial_in_use` must accept its serial number (lowercase hexadecimal):
  // so a host's replaced certificate is refused although it has not expired. `serial_in_use` runs
  // at each handshake on a thread of gRPC's; it must be quick and must not call gRPC. It is kept as
  // long as a channel has the credentials. Calls on a refused connection end UNAVAILABLE.
  std::shared_ptr<grpc::ChannelCredentials> CredentialsFor(
      const Identity& peer, std::function<bool(const std::string& serial)> serial_in_use) const;

 private:
  std::shared_ptr<grpc::experimental::CertificateProviderInterface> files_;
};

}  // namespace mtp::tls
