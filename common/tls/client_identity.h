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
  // Files in `folder` as in credentials.h; read again every `refresh_s`.
  explicit ClientIdentity(const std::string& folder, unsigned refresh_s = 10);

  // Whether a serial number (lowercase hexadecimal) may be used now. Called in each handshake, on
  // a thread of gRPC's: it must not block.
  using Accept = std::function<bool(const std::string& serial)>;

  // Shows this identity. Beyond the chain of trust, the server's certificate must carry exactly
  // the identity `peer` and a serial number that `accept` is true for: a host's replaced
  // certificate is refused although it has not expired. Calls on a refused connection end
  // UNAVAILABLE.
  std::shared_ptr<grpc::ChannelCredentials> CredentialsFor(const Identity& peer,
                                                           Accept accept) const;

 private:
  std::shared_ptr<grpc::experimental::CertificateProviderInterface> files_;
};

}  // namespace mtp::tls
