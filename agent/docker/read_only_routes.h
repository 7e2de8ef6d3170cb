// Which requests of the Engine API only read this project; pure. Whatever is not on the list, or is
// spelled in any way but the plain one, is refused.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

namespace mtp {

enum class ReadOnlyCall {
  kPing,
  kVersion,
  kInfo,
  kListContainers,
  kInspectContainer,
  kContainerLogs,
  kContainerStats,
  kContainerTop,
  kEvents,
  kListImages,
  kInspectImage,
  kListNetworks,
  kInspectNetwork,
};

struct ReadOnlyRequest {
  ReadOnlyCall call = ReadOnlyCall::kPing;
  std::string version;  // `/v1.45` or empty.
  std::string object;   // Container, image or network as named; empty for the others.
  std::string query;    // Written anew, `?all=1&filters=…`; empty when there is none.
  bool head_only = false;

  // Of a container or network that must be shown to be of the project first.
  bool NamesProjectObject() const;
  // The request target for the engine, with `object` in the object's place: an id that belongs to
  // the project.
  std::string EngineTarget(const std::string& object) const;
};

// PERMISSION_DENIED, with a sentence for the caller, for all that is not plainly reading. The
// filters of lists and events come back with the project's label added. The path may have a
// version, `/v1.45`; HEAD is only for `/_ping`.
absl::StatusOr<ReadOnlyRequest> ParseReadOnlyRequest(std::string_view method,
                                                     std::string_view target,
                                                     const std::string& project);

}  // namespace mtp
