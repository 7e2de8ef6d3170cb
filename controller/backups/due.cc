#include "controller/backups/due.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstdint>

namespace mtp {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kDefaultWindow = absl::Hours(4);
constexpr int kDefaultWindowStart = 60;
constexpr int kDefaultKeepLast = 7;
constexpr int kDefaultKeepDays = 30;
constexpr absl::Duration kDefaultDrillInterval = absl::Hours(30 * 24);

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

// FNV-1a, then SplitMix64's last step: FNV alone spreads short names badly. What it gives is kept
// for ever, since it moves everybody's backups.
uint64_t StableHash(absl::string_view text) {
  uint64_t hash = 14695981039346656037U;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211U;
  }
  hash ^= hash >> 30;
  hash *= 0xbf58476d1ce4e5b9U;
  hash ^= hash >> 27;
  hash *= 0x94d049bb133111ebU;
  return hash ^ (hash >> 31);
}

// A whole number of seconds below `length`, the tenant's own for this `purpose`.
absl::Duration Share(absl::string_view purpose, absl::string_view tenant, absl::Duration length) {
  const int64_t seconds = std::max<int64_t>(absl::ToInt64Seconds(length), 1);
  return absl::Seconds(static_cast<int64_t>(StableHash(absl::StrCat(purpose, "/", tenant)) %
                                            static_cast<uint64_t>(seconds)));
}

}  // namespace

absl::Duration IntervalOf(const v1::BackupPolicy& policy) {
  return policy.has_interval() ? FromProto(policy.interval()) : kDay;
}

absl::Duration WindowOf(const v1::BackupPolicy& policy) {
  return policy.has_window() ? FromProto(policy.window()) : kDefaultWindow;
}

int WindowStartMinute(const v1::BackupPolicy& policy) {
  return policy.has_window_start_minute() ? policy.window_start_minute() : kDefaultWindowStart;
}

int KeepLastOf(const v1::BackupPolicy& policy) {
  return policy.keep_last() == 0 ? kDefaultKeepLast : policy.keep_last();
}

int KeepDaysOf(const v1::BackupPolicy& policy) {
  return policy.keep_days() == 0 ? kDefaultKeepDays : policy.keep_days();
}

absl::Duration DrillIntervalOf(const v1::BackupPolicy& policy) {
  return policy.has_drill_interval() ? FromProto(policy.drill_interval()) : kDefaultDrillInterval;
}

Cadence BackupCadence(const v1::BackupPolicy& policy, absl::string_view tenant) {
  const absl::Duration period = std::max(IntervalOf(policy), absl::Seconds(1));
  if (period % kDay != absl::ZeroDuration()) return {period, Share("backup", tenant, period)};
  const absl::Duration of_day = absl::Minutes(WindowStartMinute(policy)) +
                                Share("backup", tenant, std::min(WindowOf(policy), kDay));
  const absl::Duration day =
      Share("backup-day", tenant, period / kDay * absl::Seconds(1)) / absl::Seconds(1) * kDay;
  return {period, (day + of_day) % period};
}

Cadence DrillCadence(const v1::BackupPolicy& policy, absl::string_view tenant) {
  const absl::Duration period = std::max(DrillIntervalOf(policy), absl::Seconds(1));
  return {period, Share("drill", tenant, period)};
}

absl::Time LastDue(const Cadence& cadence, absl::Time now) {
  absl::Duration since = (now - absl::UnixEpoch() - cadence.offset) % cadence.period;
  if (since < absl::ZeroDuration()) since += cadence.period;  // before the epoch
  return now - since;
}

absl::Time NextDue(const Cadence& cadence, absl::Time now) {
  return LastDue(cadence, now) + cadence.period;
}

}  // namespace mtp
