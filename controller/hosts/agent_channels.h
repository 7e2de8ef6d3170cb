// Connections to agents: as the controller, to the host that is meant, with a certificate that it
// may use.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "common/tls/client_identity.h"
#include "controller/state/tables.h"

namespace grpc {
class Channel;
}

namespace mtp {

// Thread-safe. The arguments must outlive it and its channels.
class AgentChannels {
 public:
  AgentChannels(const kv::Store* store, const tls::ClientIdentity* identity, std::string fleet)
      : tables_(store), identity_(identity), fleet_(std::move(fleet)) {}

  // In each handshake the host's record says which certificates will do.
  std::shared_ptr<grpc::Channel> To(const std::string& host, const std::string& address) const;
  // A connection of its own, whatever others there are, in which only the certificate with that
  // serial will do. NOT_FOUND when there is no such host.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> New(const std::string& host,
                                                     const std::string& serial) const;

 private:
  const Tables tables_;
  const tls::ClientIdentity* const identity_;
  const std::string fleet_;
};

}  // namespace mtp
