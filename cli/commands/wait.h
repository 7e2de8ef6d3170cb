// Waiting for operations.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/commands/invocation.h"
#include "mtp/v1/operation.pb.h"

namespace mtp::cli {

// Flags of every command that begins an operation.
struct ChangeOptions {
  std::string request_id;
  std::string timeout = "15m";
  bool no_wait = false;
  bool wait = false;
  bool dry_run = false;
};
void AddChangeFlags(CLI::App* command, ChangeOptions* options);

// INVALID_ARGUMENT for flags that make no sense; to be called before anything is sent.
absl::Status CheckChangeFlags(const ChangeOptions& options);

// The given request id, or a new one.
std::string RequestId(Invocation& invocation, const ChangeOptions& options);

// Follows the operation with progress on standard error until it has ended, and returns it then,
// however it ended. A lost connection is made again. After `timeout`: DEADLINE_EXCEEDED with exit
// code 5.
absl::StatusOr<v1::Operation> Follow(Invocation& invocation, const v1::Operation& operation,
                                     absl::Duration timeout);

// OK for a succeeded operation; else what went wrong, with exit code 1.
absl::Status Outcome(const v1::Operation& operation);

// What all mutating commands do once their operation is accepted: wait unless told not to, print
// the operation (`json` makes the object, `done` the text for a succeeded one), and return how it
// ended.
absl::StatusOr<int> Conclude(
    Invocation& invocation, const v1::Operation& accepted, const ChangeOptions& options,
    const std::function<nlohmann::ordered_json(const v1::Operation&)>& json,
    const std::function<std::string(const v1::Operation&)>& done);

}  // namespace mtp::cli
