// All that the CLI touches outside itself, so that tests put a fake in its place.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>
#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/secret_string.h"

namespace mtp::cli {

// Where the controller is, and who the caller is.
struct Endpoint {
  std::string controller;       // `address:port`
  std::string identity_folder;  // key.pem, cert.pem, ca.pem
};

struct Environment {
  std::ostream& out;
  std::ostream& err;
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  // Size of the terminal at this moment; 120 columns when there is none.
  std::function<int()> columns;
  std::function<int()> rows;
  // A variable of the process's environment.
  std::function<std::optional<std::string>(const std::string& name)> variable;
  // Standard input to its end; RESOURCE_EXHAUSTED beyond `max_bytes`.
  std::function<absl::StatusOr<SecretString>(size_t max_bytes)> read_input;
  // A line from the terminal, shown as typed or hidden.
  std::function<absl::StatusOr<SecretString>(absl::string_view prompt, bool hidden)> ask;
  // FAILED_PRECONDITION when the identity folder is unusable.
  std::function<absl::StatusOr<std::shared_ptr<grpc::Channel>>(const Endpoint&)> connect;
  // Whether anything takes connections at `address:port`; asked only to explain a failure.
  std::function<bool(const std::string& address)> listens;
  std::function<void(absl::Duration)> sleep;
  const Clock& clock;
  Random& random;
};

// The real one, with standard streams.
Environment SystemEnvironment(const Clock& clock, Random& random);

}  // namespace mtp::cli
