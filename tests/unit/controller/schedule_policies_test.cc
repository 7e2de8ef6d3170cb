// Policies of backups: what may be set, whose is in force, and what is shown of it.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>

#include "common/base/timestamps.h"
#include "tests/unit/controller/schedule_fixture.h"

namespace mtp {
namespace {

using google::protobuf::util::MessageDifferencer;
using ::testing::HasSubstr;

constexpr absl::Duration kDay = absl::Hours(24);

class SchedulePolicies : public ScheduleFixture {
 protected:
  SchedulePolicies() { Provision("acme"); }

  // Changes a policy that would be fine and expects it to be refused with that sentence.
  void Refuses(const std::string& sentence, const std::function<void(v1::BackupPolicy&)>& change) {
    v1::BackupPolicy policy;
    change(policy);
    const auto set = SetPolicy(policy, "acme");
    EXPECT_EQ(set.status().code(), absl::StatusCode::kInvalidArgument) << policy.DebugString();
    EXPECT_THAT(set.status().message(), HasSubstr(sentence));
    EXPECT_FALSE(Policy("acme").own());
  }
};

TEST_F(SchedulePolicies, ATenantHasTheFleetsUntilItHasItsOwn) {
  EXPECT_FALSE(Policy("acme").own());
  ASSERT_TRUE(SetPolicy(Every(absl::Hours(6))).ok());
  EXPECT_EQ(Policy("acme").interval().seconds(), 6 * 3600);
  EXPECT_FALSE(Policy("acme").own());
  const auto own = SetPolicy(Every(absl::Hours(1)), "acme");
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_TRUE(own->own());
  EXPECT_EQ(Policy("acme").interval().seconds(), 3600);
  EXPECT_EQ(Policy().interval().seconds(), 6 * 3600);
  v1::SetBackupPolicyRequest back;
  back.set_tenant("tenants/acme");
  const auto inherited = policies_.Set(back);
  ASSERT_TRUE(inherited.ok()) << inherited.status();
  EXPECT_FALSE(inherited->own());
  EXPECT_EQ(inherited->interval().seconds(), 6 * 3600);
}

TEST_F(SchedulePolicies, WhatIsUnsetStaysUnset) {
  EXPECT_TRUE(MessageDifferencer::Equals(Policy(), v1::BackupPolicy()));
  v1::BackupPolicy policy;
  policy.set_keep_last(3);
  v1::BackupPolicy sent = policy;
  sent.set_own(true);
  *sent.mutable_next_backup_time() = ToTimestamp(clock_.Now());
  *sent.mutable_next_drill_time() = ToTimestamp(clock_.Now());
  ASSERT_TRUE(SetPolicy(sent).ok());
  EXPECT_TRUE(MessageDifferencer::Equals(Policy(), policy)) << Policy().DebugString();
}

TEST_F(SchedulePolicies, RefusesWhatIsOutOfRange) {
  Refuses("interval", [](auto& p) { p.mutable_interval()->set_seconds(899); });
  Refuses("interval", [](auto& p) { p.mutable_interval()->set_seconds(31 * 86400 + 1); });
  Refuses("interval", [](auto& p) { p.mutable_interval(); });
  Refuses("interval", [](auto& p) { p.mutable_interval()->set_seconds(-86400); });
  Refuses("window must", [](auto& p) { p.mutable_window()->set_seconds(59); });
  Refuses("window must", [](auto& p) { p.mutable_window()->set_seconds(86401); });
  Refuses("window_start_minute", [](auto& p) { p.set_window_start_minute(1440); });
  Refuses("window_start_minute", [](auto& p) { p.set_window_start_minute(-1); });
  Refuses("keep_last", [](auto& p) { p.set_keep_last(10'001); });
  Refuses("keep_last", [](auto& p) { p.set_keep_last(-1); });
  Refuses("keep_days", [](auto& p) { p.set_keep_days(36'501); });
  Refuses("drill_interval", [](auto& p) { p.mutable_drill_interval()->set_seconds(86399); });
  Refuses("drill_interval", [](auto& p) { p.mutable_drill_interval()->set_seconds(367 * 86400); });
}

TEST_F(SchedulePolicies, TakesWhatIsJustInRange) {
  v1::BackupPolicy policy;
  policy.mutable_interval()->set_seconds(900);
  policy.mutable_window()->set_seconds(60);
  policy.set_window_start_minute(1439);
  policy.set_keep_last(10'000);
  policy.set_keep_days(36'500);
  policy.mutable_drill_interval()->set_seconds(86400);
  EXPECT_TRUE(SetPolicy(policy).ok());
  policy.mutable_interval()->set_seconds(31 * 86400);
  policy.mutable_window()->set_seconds(86400);
  policy.set_window_start_minute(0);
  policy.mutable_drill_interval()->set_seconds(366 * 86400);
  EXPECT_TRUE(SetPolicy(policy).ok());
}

TEST_F(SchedulePolicies, RefusesWhatIsNotThere) {
  EXPECT_EQ(SetPolicy(v1::BackupPolicy(), "nobody").status().code(), absl::StatusCode::kNotFound);
  v1::GetBackupPolicyRequest get;
  get.set_tenant("tenants/nobody");
  EXPECT_EQ(policies_.Get(get).status().code(), absl::StatusCode::kNotFound);
  get.set_tenant("acme");
  EXPECT_EQ(policies_.Get(get).status().code(), absl::StatusCode::kInvalidArgument);
  v1::BackupPolicy policy;
  policy.set_repository("main");
  EXPECT_EQ(SetPolicy(policy).status().code(), absl::StatusCode::kNotFound);
  AddRepository("other");
  EXPECT_EQ(SetPolicy(policy).status().code(), absl::StatusCode::kNotFound);
  AddRepository("main");
  EXPECT_TRUE(SetPolicy(policy).ok());
  policy.set_repository("../main");
  EXPECT_EQ(SetPolicy(policy).status().code(), absl::StatusCode::kInvalidArgument);
  const v1::SetBackupPolicyRequest nothing;
  EXPECT_EQ(policies_.Set(nothing).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SchedulePolicies, SaysWhenTheNextIsDue) {
  EXPECT_FALSE(Policy("acme").has_next_backup_time());  // no repository
  AddRepository();
  const absl::Time next = FromTimestamp(Policy("acme").next_backup_time());
  EXPECT_GT(next, clock_.Now());
  EXPECT_LE(next, clock_.Now() + kDay);
  EXPECT_GT(FromTimestamp(Policy("acme").next_drill_time()), clock_.Now());
  EXPECT_FALSE(Policy().has_next_backup_time());  // the fleet's is nobody's
  Live();
  Run(next - clock_.Now() - absl::Seconds(1));
  EXPECT_EQ(FromTimestamp(Policy("acme").next_backup_time()), next);
  EXPECT_EQ(Snapshots(), 0);
  Run(absl::Seconds(2));
  EXPECT_EQ(Snapshots(), 1);
  EXPECT_EQ(FromTimestamp(Policy("acme").next_backup_time()), next + kDay);
  v1::BackupPolicy off;
  off.set_off(true);
  ASSERT_TRUE(SetPolicy(off).ok());
  EXPECT_FALSE(Policy("acme").has_next_backup_time());
  EXPECT_FALSE(Policy("acme").has_next_drill_time());
}

TEST_F(SchedulePolicies, SaysThatAMissedOneIsDueNow) {
  AddRepository();
  Live();
  Run(absl::Minutes(1));
  Die();
  clock_.Advance(2 * kDay);
  EXPECT_LE(FromTimestamp(Policy("acme").next_backup_time()), clock_.Now());
  // That it is due does not depend on what is changed now.
  ASSERT_TRUE(SetPolicy(Every(absl::Hours(5))).ok());
  EXPECT_LE(FromTimestamp(Policy("acme").next_backup_time()), clock_.Now());
}

TEST_F(SchedulePolicies, SaysWhenAFailedOneIsTriedAgain) {
  AddRepository();
  Fails();
  Live();
  while (Snapshots() == 0) Run(absl::Minutes(1));
  const absl::Duration until = FromTimestamp(Policy("acme").next_backup_time()) - clock_.Now();
  EXPECT_GT(until, absl::ZeroDuration());
  EXPECT_LE(until, absl::Minutes(5));
}

TEST_F(SchedulePolicies, AChangeShowsAMomentToCome) {
  AddRepository();
  Live();
  Run(kDay + absl::Hours(23));
  const auto set = SetPolicy(Every(absl::Hours(1)), "acme");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_GT(FromTimestamp(set->next_backup_time()), clock_.Now());
  EXPECT_LE(FromTimestamp(set->next_backup_time()), clock_.Now() + absl::Hours(1));
}

}  // namespace
}  // namespace mtp
