// The engine's answers as values; pure. Any bytes may come in: what is missing or mistyped reads as
// its default, and text that is no JSON of the right outer shape is INTERNAL.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "agent/docker/engine.h"

namespace mtp {

// From `/info` and `/version`.
absl::StatusOr<EngineInfo> ParseEngineInfo(std::string_view info, std::string_view version);
absl::StatusOr<std::vector<ContainerSummary>> ParseContainerList(std::string_view text);
absl::StatusOr<ContainerDetails> ParseContainerDetails(std::string_view text);
absl::StatusOr<ContainerStats> ParseContainerStats(std::string_view text);
absl::StatusOr<ImageDetails> ParseImageDetails(std::string_view text);
// From `/distribution/…/json`; always `sha256:` and 64 hexadecimal digits.
absl::StatusOr<std::string> ParseRegistryDigest(std::string_view text);
absl::StatusOr<EngineEvent> ParseEngineEvent(std::string_view line);

// The `Id` of what was created.
absl::StatusOr<std::string> ParseCreatedId(std::string_view text);

struct ExecState {
  bool running = false;
  int pid = 0;
  int exit_code = 0;
};
absl::StatusOr<ExecState> ParseExecState(std::string_view text);

// The sentence in an error answer, at most 500 characters on one line; `no reason given` when there
// is none.
std::string ParseErrorMessage(std::string_view text);

ContainerState ParseContainerState(std::string_view word);

// Whether the text can be a container's name or id: letters, digits, `_.-`, at most 128, not
// beginning with a sign.
bool IsContainerReference(std::string_view text);

}  // namespace mtp
