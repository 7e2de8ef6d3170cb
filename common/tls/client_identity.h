// This program as the caller of many servers, each of which must prove who it is.
#pragma once

#include <grpcpp/security/credentials.h>

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
  // the identity `peer` and the serial number `serial` (lowercase hexadecimal): a host's replaced
  // certificate is refused although it has not expired. Calls on a refused connection end
  // UNAVAILABLE.
  std::shared_ptr<grpc::ChannelCredentials> CredentialsFor(const Identity& peer,
                                                           const std::string& serial) const;

 private:
  std::shared_ptr<grpc::experimental::CertificateProviderInterface> files_;
};

}  // namespace mtp::tls
