// When backups are due: properties over many names, policies and moments.
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "controller/backups/due.h"

namespace mtp {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);
const absl::Time kNow = absl::FromUnixSeconds(1'767'225'600);  // 2026-01-01, a midnight

v1::BackupPolicy Policy(absl::Duration interval, int start_minute, absl::Duration window) {
  v1::BackupPolicy policy;
  policy.mutable_interval()->set_seconds(absl::ToInt64Seconds(interval));
  policy.set_window_start_minute(start_minute);
  policy.mutable_window()->set_seconds(absl::ToInt64Seconds(window));
  return policy;
}

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back(absl::StrCat("client-", i));
  return names;
}

absl::Duration OfDay(absl::Time time) { return (time - absl::UnixEpoch()) % kDay; }

// How many fall into each of ten parts of `length` after `begin`.
std::vector<int> Tenths(const std::vector<absl::Duration>& offsets, absl::Duration length) {
  std::vector<int> tenths(10);
  for (const absl::Duration offset : offsets) {
    EXPECT_GE(offset, absl::ZeroDuration());
    EXPECT_LT(offset, length);
    if (offset >= absl::ZeroDuration() && offset < length) ++tenths[offset * 10 / length];
  }
  return tenths;
}

TEST(Due, ComesAgainAfterEachPeriodAndLiesAroundNow) {
  for (const absl::Duration interval : {absl::Minutes(15), absl::Minutes(95), absl::Hours(6), kDay,
                                        2 * kDay, 7 * kDay, 31 * kDay}) {
    const v1::BackupPolicy policy = Policy(interval, 23 * 60, absl::Hours(3));
    for (const char* name : {"acme", "beta", "x"}) {
      const Cadence cadence = BackupCadence(policy, name);
      EXPECT_EQ(cadence.period, interval);
      for (int i = -40; i < 40; ++i) {
        const absl::Time now = kNow + i * absl::Minutes(1777);
        const absl::Time last = LastDue(cadence, now);
        const absl::Time next = NextDue(cadence, now);
        EXPECT_LE(last, now);
        EXPECT_GT(next, now);
        EXPECT_EQ(next - last, interval);
        EXPECT_EQ(LastDue(cadence, last), last);
        EXPECT_EQ(NextDue(cadence, last), next);
        EXPECT_EQ(LastDue(cadence, next - absl::Nanoseconds(1)), last);
      }
    }
  }
}

TEST(Due, HoldsBeforeTheEpoch) {
  const Cadence cadence = BackupCadence(v1::BackupPolicy(), "acme");
  const absl::Time now = absl::UnixEpoch() - absl::Hours(100);
  EXPECT_LE(LastDue(cadence, now), now);
  EXPECT_GT(NextDue(cadence, now), now);
}

TEST(Due, DailyBackupsLieInTheWindowAndAreSpreadOverIt) {
  std::vector<absl::Duration> offsets;
  for (const std::string& name : Names()) {
    const absl::Time due = NextDue(BackupCadence(v1::BackupPolicy(), name), kNow);
    offsets.push_back(OfDay(due) - absl::Hours(1));  // 01:00-05:00
  }
  for (const int tenth : Tenths(offsets, absl::Hours(4))) {
    EXPECT_GE(tenth, 60);
    EXPECT_LE(tenth, 140);
  }
}

TEST(Due, AWindowMayCrossMidnight) {
  const v1::BackupPolicy policy = Policy(kDay, 22 * 60, absl::Hours(4));
  std::vector<absl::Duration> offsets;
  for (const std::string& name : Names()) {
    const absl::Time due = NextDue(BackupCadence(policy, name), kNow);
    offsets.push_back((OfDay(due) + absl::Hours(2)) % kDay);  // since 22:00
  }
  for (const int tenth : Tenths(offsets, absl::Hours(4))) EXPECT_GE(tenth, 60);
}

TEST(Due, WeeklyBackupsAreSpreadOverTheDaysAndLieInTheWindow) {
  const v1::BackupPolicy policy = Policy(7 * kDay, 60, absl::Hours(1));
  std::map<int64_t, int> days;
  for (const std::string& name : Names()) {
    const absl::Time due = NextDue(BackupCadence(policy, name), kNow);
    EXPECT_GE(OfDay(due), absl::Hours(1));
    EXPECT_LT(OfDay(due), absl::Hours(2));
    ++days[(due - kNow) / kDay];
  }
  ASSERT_EQ(days.size(), 7);
  for (const auto& [day, count] : days) EXPECT_GE(count, 90) << day;
}

TEST(Due, OtherIntervalsAreSpreadOverAllOfThem) {
  for (const absl::Duration interval : {absl::Minutes(15), absl::Hours(6), absl::Hours(36)}) {
    std::vector<absl::Duration> offsets;
    for (const std::string& name : Names()) {
      const Cadence cadence = BackupCadence(Policy(interval, 60, absl::Hours(4)), name);
      offsets.push_back(NextDue(cadence, kNow) - kNow - absl::Nanoseconds(1));
    }
    for (const int tenth : Tenths(offsets, interval)) {
      EXPECT_GE(tenth, 60);
      EXPECT_LE(tenth, 140);
    }
  }
}

TEST(Due, DrillsGoThroughAllTenantsOverAMonth) {
  std::vector<absl::Duration> offsets;
  for (const std::string& name : Names()) {
    const Cadence cadence = DrillCadence(v1::BackupPolicy(), name);
    EXPECT_EQ(cadence.period, 30 * kDay);
    offsets.push_back(NextDue(cadence, kNow) - kNow - absl::Nanoseconds(1));
  }
  for (const int tenth : Tenths(offsets, 30 * kDay)) {
    EXPECT_GE(tenth, 60);
    EXPECT_LE(tenth, 140);
  }
}

// A build that hashes otherwise would move every tenant's backups.
TEST(Due, AreTheSameInEveryBuild) {
  EXPECT_EQ(absl::FormatTime(NextDue(BackupCadence(v1::BackupPolicy(), "acme"), kNow),
                             absl::UTCTimeZone()),
            "2026-01-01T01:02:56+00:00");
  EXPECT_EQ(absl::FormatTime(NextDue(DrillCadence(v1::BackupPolicy(), "acme"), kNow),
                             absl::UTCTimeZone()),
            "2026-01-21T21:21:15+00:00");
}

TEST(Due, DefaultsAreThoseOfTheProto) {
  const v1::BackupPolicy policy;
  EXPECT_EQ(IntervalOf(policy), kDay);
  EXPECT_EQ(WindowOf(policy), absl::Hours(4));
  EXPECT_EQ(WindowStartMinute(policy), 60);
  EXPECT_EQ(KeepLastOf(policy), 7);
  EXPECT_EQ(KeepDaysOf(policy), 30);
  EXPECT_EQ(DrillIntervalOf(policy), 30 * kDay);
}

}  // namespace
}  // namespace mtp
