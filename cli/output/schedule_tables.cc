#include "cli/output/schedule_tables.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/timestamps.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kDay = 24 * 3600;
constexpr int kMinutesOfDay = 24 * 60;

// The policy's values with the defaults of backup.proto.
int64_t IntervalSeconds(const v1::BackupPolicy& policy) {
  return policy.has_interval() ? policy.interval().seconds() : kDay;
}
int64_t DrillSeconds(const v1::BackupPolicy& policy) {
  return policy.has_drill_interval() ? policy.drill_interval().seconds() : 30 * kDay;
}
int StartMinute(const v1::BackupPolicy& policy) {
  return policy.has_window_start_minute() ? policy.window_start_minute() : 60;
}
int EndMinute(const v1::BackupPolicy& policy) {
  const int64_t length = policy.has_window() ? policy.window().seconds() / 60 : 4 * 60;
  return static_cast<int>((StartMinute(policy) + length) % kMinutesOfDay);
}
int KeepLast(const v1::BackupPolicy& policy) {
  return policy.keep_last() == 0 ? 7 : policy.keep_last();
}
int KeepDays(const v1::BackupPolicy& policy) {
  return policy.keep_days() == 0 ? 30 : policy.keep_days();
}

std::string TimeOfDay(int minute) { return absl::StrFormat("%02d:%02d", minute / 60, minute % 60); }

// `6h`, `1d`, `90m`, `1d12h`.
std::string SpanText(int64_t seconds) {
  std::string text;
  for (const auto& [unit, length] :
       {std::pair<const char*, int64_t>{"d", kDay}, {"h", 3600}, {"m", 60}, {"s", 1}}) {
    if (seconds >= length) absl::StrAppend(&text, seconds / length, unit);
    seconds %= length;
  }
  return text.empty() ? "0s" : text;
}

std::string Until(bool set, const google::protobuf::Timestamp& time, absl::Time now) {
  if (!set) return "-";
  const absl::Duration left = FromTimestamp(time) - now;
  return left <= absl::ZeroDuration() ? "now" : absl::StrCat("in ", HumanDuration(left));
}

}  // namespace

Json PolicyJson(const NamedPolicy& named) {
  const v1::BackupPolicy& policy = named.policy;
  return {
      {"tenant", named.tenant.empty() ? Json(nullptr) : Json(named.tenant)},
      {"own", policy.own()},
      {"off", policy.off()},
      {"every_s", IntervalSeconds(policy)},
      {"window_start", TimeOfDay(StartMinute(policy))},
      {"window_end", TimeOfDay(EndMinute(policy))},
      {"keep_last", KeepLast(policy)},
      {"keep_days", KeepDays(policy)},
      {"repository", policy.repository().empty() ? Json(nullptr) : Json(policy.repository())},
      {"drill_every_s", DrillSeconds(policy)},
      {"next_backup", TimeJson(policy.has_next_backup_time(), policy.next_backup_time())},
      {"next_drill", TimeJson(policy.has_next_drill_time(), policy.next_drill_time())},
  };
}

std::string PoliciesTable(const std::vector<NamedPolicy>& policies, absl::Time now, int width,
                          bool colour) {
  Table table({{.title = "TENANT", .min_width = 12},
               {.title = "POLICY", .rank = 3},
               {.title = "EVERY"},
               {.title = "WINDOW (UTC)", .rank = 2},
               {.title = "KEEP", .rank = 2},
               {.title = "REPOSITORY", .rank = 4, .min_width = 8},
               {.title = "NEXT BACKUP"},
               {.title = "DRILL EVERY", .rank = 3},
               {.title = "NEXT DRILL", .rank = 1}});
  for (const auto& [tenant, policy] : policies) {
    const bool fleet = tenant.empty();
    const int64_t interval = IntervalSeconds(policy);
    const int64_t drills = policy.off() ? 0 : DrillSeconds(policy);
    table.Add({
        fleet ? Cell("(fleet)", Tone::kDim) : Cell(tenant, Tone::kStrong),
        {fleet          ? ""
         : policy.own() ? "own"
                        : "fleet"},
        policy.off() ? Cell("off", Tone::kWarning) : Cell(SpanText(interval)),
        {policy.off() || interval % kDay != 0
             ? "-"
             : absl::StrCat(TimeOfDay(StartMinute(policy)), "-", TimeOfDay(EndMinute(policy)))},
        {absl::StrCat(KeepLast(policy), ", ", KeepDays(policy), "d")},
        {policy.repository()},
        {fleet ? "" : Until(policy.has_next_backup_time(), policy.next_backup_time(), now)},
        {drills == 0 ? "off" : SpanText(drills)},
        {fleet ? "" : Until(policy.has_next_drill_time(), policy.next_drill_time(), now)},
    });
  }
  return table.Render(width, colour);
}

}  // namespace mtp::cli
