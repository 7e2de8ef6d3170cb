// What may reach the engine through the filtered socket: written down once more, by itself, to hold
// agent/docker/read_only_routes.h to.
#pragma once

#include <absl/strings/string_view.h>

#include <string>

namespace mtp::fuzz {

// Whether this request target is one that only reads, with the project's label among the filters
// of lists and events, and of harmless characters alone.
bool MayPass(absl::string_view target, const std::string& project);

}  // namespace mtp::fuzz
