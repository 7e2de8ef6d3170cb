// Policies of backups as JSON and as tables. Pure.
#pragma once

#include <absl/time/time.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mtp/v1/backup.pb.h"

namespace mtp::cli {

// A policy and whose it is.
struct NamedPolicy {
  std::string tenant;  // `acme`; empty for the fleet's
  v1::BackupPolicy policy;
};

// The documented object of a policy (docs/cli.md), with the defaults filled in.
nlohmann::ordered_json PolicyJson(const NamedPolicy& named);

// One line a policy, as they come.
std::string PoliciesTable(const std::vector<NamedPolicy>& policies, absl::Time now, int width,
                          bool colour);

}  // namespace mtp::cli
