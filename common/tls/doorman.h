// The listening socket of a server of ours. gRPC's own takes every connection there is, and when no
// descriptor is left for one it never takes another until the process is started anew (1.51,
// iomgr/tcp_server_posix.cc): a stranger could shut a controller off for good. This one turns away
// who is too many, and comes through a lack of descriptors.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "common/base/log.h"

namespace mtp::tls {

class Doorman {
 public:
  struct Options {
    // Connections at a time, those whose handshake goes on included; 0 means 4096, or a quarter of
    // the descriptors that the process may have beyond 1024 where that is less, and at least 64.
    int max_connections = 0;
    // Of one address (of IPv6 the first 64 bits) at most half of them: one stranger leaves room for
    // all others.
    Log log = NullLog();
  };

  // Listens at `address`, ADDRESS:PORT; port 0 means any. `0.0.0.0` is every address, those of IPv6
  // included, as with gRPC. Before builder.BuildAndStart(). FAILED_PRECONDITION when it cannot
  // listen there; INVALID_ARGUMENT for another form.
  static absl::StatusOr<std::unique_ptr<Doorman>> Open(
      grpc::ServerBuilder& builder, const std::string& address,
      std::shared_ptr<grpc::ServerCredentials> credentials, Options options);

  virtual ~Doorman() = default;

  // After builder.BuildAndStart(): takes connections, on a thread of its own. Who came before has
  // waited.
  virtual void Start() = 0;
  // Takes no more. Twice changes nothing. Before the server is shut down; the destructor does it,
  // too.
  virtual void Stop() = 0;

  virtual int port() const = 0;
  // Turned away so far, and how often none could be taken for want of a descriptor.
  virtual int64_t refused() const = 0;
  virtual int64_t lacked() const = 0;
};

// Whether a server could listen at `address` now. Errors as Doorman::Open.
absl::Status CanListen(const std::string& address);

}  // namespace mtp::tls
