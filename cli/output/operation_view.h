// Operations as JSON, as a table, and in full. Pure.
#pragma once

#include <absl/time/time.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mtp/v1/operation.pb.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp::cli {

nlohmann::ordered_json OperationJson(const v1::Operation& operation);
nlohmann::ordered_json PlacementJson(const v1::PlacementDecision& placement);

// One line an operation, newest first as they come.
std::string OperationsTable(const std::vector<v1::Operation>& operations, absl::Time now, int width,
                            bool colour);

// The operation's facts and its steps with their times.
std::string OperationDetails(const v1::Operation& operation, absl::Time now, int width,
                             bool colour);

// The decision in words, with a line for every host that was not chosen.
std::string PlacementText(const v1::PlacementDecision& placement, bool colour);

// A fact of the operation's result; empty when there is none.
std::string ResultOf(const v1::Operation& operation, const std::string& key);

// What people may want to know of the operation's result, in lines. `op show` has all of it.
std::string ResultLines(const v1::Operation& operation);

// How long it took, or takes until `now`.
absl::Duration Elapsed(const v1::Operation& operation, absl::Time now);
absl::Duration Elapsed(const v1::OperationStep& step, absl::Time now);

}  // namespace mtp::cli
