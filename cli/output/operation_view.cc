#include "cli/output/operation_view.h"

#include <absl/algorithm/container.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_replace.h>

#include "cli/output/names.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/timestamps.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

Json StepJson(const v1::OperationStep& step) {
  return {
      {"name", step.name()},
      {"state", StateName(step.state())},
      {"attempts", step.attempts()},
      {"message", step.message()},
      {"start_time", TimeJson(step.has_start_time(), step.start_time())},
      {"end_time", TimeJson(step.has_end_time(), step.end_time())},
  };
}

std::string Age(const v1::Operation& operation, absl::Time now) {
  if (!operation.has_create_time()) return "-";
  return absl::StrCat(HumanDuration(now - FromTimestamp(operation.create_time())), " ago");
}

// What to show of an operation in one line.
std::string Summary(const v1::Operation& operation) {
  return operation.has_error() ? operation.error().message() : operation.message();
}

std::string StepTime(const v1::OperationStep& step, absl::Time now) {
  return step.has_start_time() ? HumanDuration(Elapsed(step, now)) : "";
}

}  // namespace

std::string ResultOf(const v1::Operation& operation, const std::string& key) {
  const auto found = operation.result().find(key);
  return found == operation.result().end() ? "" : found->second;
}

std::string ResultLines(const v1::Operation& operation) {
  // What the controller and its agents tell one another.
  static constexpr absl::string_view kForPrograms[] = {"container_id", "image_id", "snapshot",
                                                       "started_before", "unpacked"};
  std::string text;
  // Named: a temporary would be gone before the first turn of the loop.
  const auto results = LabelsJson(operation.result());
  for (const auto& [key, value] : results.items()) {
    const std::string shown = value.get<std::string>();
    if (shown.empty() || shown == "[]" || absl::c_linear_search(kForPrograms, key)) continue;
    absl::StrAppend(&text, "  ", Visible(absl::StrReplaceAll(key, {{"_", " "}})), " ",
                    Visible(shown), "\n");
  }
  return text;
}

absl::Duration Elapsed(const v1::Operation& operation, absl::Time now) {
  return TimeTaken(operation, now);
}

absl::Duration Elapsed(const v1::OperationStep& step, absl::Time now) {
  if (!step.has_start_time()) return absl::ZeroDuration();
  return (step.has_end_time() ? FromTimestamp(step.end_time()) : now) -
         FromTimestamp(step.start_time());
}

Json OperationJson(const v1::Operation& operation) {
  Json steps = Json::array();
  for (const v1::OperationStep& step : operation.steps()) steps.push_back(StepJson(step));
  return {
      {"name", operation.name()},
      {"kind", operation.kind()},
      {"target", operation.target()},
      {"host", operation.host()},
      {"state", StateName(operation.state())},
      {"message", operation.message()},
      {"error", ErrorJson(operation)},
      {"steps", std::move(steps)},
      {"result", LabelsJson(operation.result())},
      {"request_id", operation.request_id()},
      {"created_by", operation.created_by()},
      {"cancel_requested", operation.cancel_requested()},
      {"create_time", TimeJson(operation.has_create_time(), operation.create_time())},
      {"update_time", TimeJson(operation.has_update_time(), operation.update_time())},
      {"end_time", TimeJson(operation.has_end_time(), operation.end_time())},
  };
}

Json PlacementJson(const v1::PlacementDecision& placement) {
  Json rejections = Json::array();
  for (const v1::HostRejection& rejection : placement.rejections()) {
    rejections.push_back({{"host", rejection.host()}, {"reason", rejection.reason()}});
  }
  return {
      {"host", placement.host()},
      {"reason", placement.reason()},
      {"rejections", std::move(rejections)},
  };
}

std::string OperationsTable(const std::vector<v1::Operation>& operations, absl::Time now, int width,
                            bool colour) {
  if (operations.empty()) return "No operations.\n";
  Table table({{"OPERATION", 0},
               {"KIND", 1},
               {"TARGET", 1, 16},
               {"STATE"},
               {"TOOK", 3, 0, true},
               {"STARTED", 2, 0, true},
               {"HOST", 4, 6},
               {"BY", 6, 8},
               {"MESSAGE", 5, 16}});
  for (const v1::Operation& operation : operations) {
    const std::string state(StateName(operation.state()));
    table.Add({{ShortName(operation.name()), Tone::kStrong},
               {operation.kind()},
               {ShortName(operation.target())},
               {state, ToneOf(state)},
               {HumanDuration(Elapsed(operation, now))},
               {Age(operation, now)},
               {operation.host()},
               {operation.created_by()},
               {Summary(operation), Tone::kDim}});
  }
  return table.Render(width, colour);
}

std::string OperationDetails(const v1::Operation& operation, absl::Time now, int width,
                             bool colour) {
  const std::string state(StateName(operation.state()));
  std::string text;
  const DetailLines line{&text, 11, colour};
  line("operation", operation.name(), Tone::kStrong);
  line("kind", operation.kind());
  line("target", operation.target());
  line("host", operation.host());
  line("state",
       operation.cancel_requested() && !HasEnded(operation.state())
           ? absl::StrCat(state, " (asked to stop)")
           : state,
       ToneOf(state));
  line("started", absl::StrCat(Age(operation, now), " by ", operation.created_by()));
  line("took", HumanDuration(Elapsed(operation, now)));
  line("request", operation.request_id());
  line("message", operation.message());
  if (operation.has_error()) line("error", operation.error().message(), Tone::kBad);
  // Named: a temporary would be gone before the first turn of the loop.
  const auto results = LabelsJson(operation.result());
  for (const auto& [key, value] : results.items()) {
    line(key, value.get<std::string>());
  }
  if (operation.steps().empty()) return text;

  Table steps({{"STEP", 0, 12},
               {"STATE"},
               {"TIME", 1, 0, true},
               {"TRIES", 2, 0, true},
               {"MESSAGE", 3, 16}});
  for (const v1::OperationStep& step : operation.steps()) {
    const std::string step_state(StateName(step.state()));
    steps.Add({{step.name()},
               {step_state, ToneOf(step_state)},
               {StepTime(step, now)},
               {step.attempts() > 0 ? absl::StrCat(step.attempts()) : ""},
               {step.message(), Tone::kDim}});
  }
  return absl::StrCat(text, "\n", steps.Render(width, colour));
}

std::string PlacementText(const v1::PlacementDecision& placement, bool colour) {
  std::string text;
  if (placement.host().empty()) {
    text = absl::StrCat(Paint("No host has room.", Tone::kBad, colour), "\n");
  } else {
    text =
        absl::StrCat("Would be placed on ", Paint(Visible(placement.host()), Tone::kGood, colour),
                     placement.reason().empty() ? "" : ": ", Visible(placement.reason()), "\n");
  }
  for (const v1::HostRejection& rejection : placement.rejections()) {
    absl::StrAppend(&text, "  ", Visible(rejection.host()), ": ", Visible(rejection.reason()),
                    "\n");
  }
  return text;
}

}  // namespace mtp::cli
