// One gRPC server of the controller's, behind its doorman.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/log.h"
#include "common/tls/doorman.h"

namespace mtp {

class Listener {
 public:
  struct Options {
    std::string address;  // ADDRESS:PORT; port 0 means any
    std::shared_ptr<grpc::ServerCredentials> credentials;
    int max_request_bytes = 0;
    Log log = NullLog();
  };

  // The services outlive it. FAILED_PRECONDITION when the address is taken.
  absl::Status Open(const Options& options, const std::vector<grpc::Service*>& services);
  // Takes no more connections.
  void Close();
  // Ends the calls, those that go on at the deadline, too. After Close. Twice changes nothing.
  void Shutdown(absl::Time deadline);

  // As asked for, with the port that it is.
  std::string address() const { return address_; }

 private:
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<tls::Doorman> door_;
  std::string address_;
};

}  // namespace mtp
