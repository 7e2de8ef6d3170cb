// What the admin instance may see of the engine's answers; pure. Each answer is written anew from
// fields that are known to hold no secrets: environments, commands, log driver options and labels
// of strangers are not among them.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "agent/docker/read_only_routes.h"

namespace mtp {

// The JSON answer to `call`, cut down. INTERNAL when the engine's answer is not the JSON that it
// should be. Not for logs and statistics, which pass as they are, nor for events.
absl::StatusOr<std::string> ReadOnlyView(ReadOnlyCall call, std::string_view answer,
                                         const std::string& project);

// One event, without line end; empty when it is not one of the project's containers.
std::string ReadOnlyEvent(std::string_view line, const std::string& project);

// The id in the answer to an inspection of a container or network, when it carries the project's
// label; otherwise empty.
std::string ProjectObjectId(std::string_view answer, const std::string& project);

}  // namespace mtp
