// Completion in shells: one logic for all, in `mtp-cli __complete`, and a small script for each
// shell that asks it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "cli/commands/contexts.h"

namespace mtp::cli {

struct Candidate {
  std::string word;
  std::string description;  // may be empty
};

// What can stand at a place of the command line beside words of the tree itself.
enum class Wanted {
  kNothing,
  kTenant,
  kTarget,
  kHost,
  kOperation,
  kOperator,
  kContext,
  kBackup,          // of CompletionPlace::tenant, or any
  kBackedUpTenant,  // one that has backups; it need not exist any more
  kRepository,
  kRollout,
};

struct CompletionPlace {
  std::vector<Candidate> fixed;      // from the tree
  Wanted wanted = Wanted::kNothing;  // from the fleet
  EndpointFlags endpoint;            // as typed so far
  std::string tenant;                // whose backups may stand here; empty for all
};

// What may stand as the last of `words` (which may be empty or begun). Pure.
CompletionPlace FindPlace(const CLI::App& tree, const std::vector<std::string>& words);

// The script for `bash`, `zsh` or `fish`; empty for any other.
std::string CompletionScript(const std::string& shell);

}  // namespace mtp::cli
