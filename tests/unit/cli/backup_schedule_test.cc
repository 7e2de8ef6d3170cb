#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/cli/backup_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class BackupScheduleCommand : public BackupCliTest {
 protected:
  // The policy that was set last.
  v1::BackupPolicy Set() {
    return controller_.set_policies.empty() ? v1::BackupPolicy()
                                            : controller_.set_policies.back().policy();
  }
};

TEST_F(BackupScheduleCommand, ShowsTheFleetAndAllTenantsWithTheDefaultsFilledIn) {
  v1::BackupPolicy& own = controller_.policies["tenants/beta"];
  own.mutable_interval()->set_seconds(6 * 3600);
  own.mutable_next_backup_time()->set_seconds(1'769'860'800);  // 2026-01-31T12:00:00Z
  EXPECT_EQ(Run({"backup", "schedule", "-o", "json"}), 0) << err();
  const auto json = OutJson();
  const auto& fleet = json["fleet"];
  EXPECT_EQ(fleet["tenant"], nullptr);
  EXPECT_EQ(fleet["every_s"], 86400);
  EXPECT_EQ(fleet["window_start"], "01:00");
  EXPECT_EQ(fleet["window_end"], "05:00");
  EXPECT_EQ(fleet["keep_last"], 7);
  EXPECT_EQ(fleet["keep_days"], 30);
  EXPECT_EQ(fleet["repository"], nullptr);
  EXPECT_EQ(fleet["drill_every_s"], 30 * 86400);
  EXPECT_EQ(fleet["next_backup"], nullptr);
  ASSERT_THAT(json["tenants"], SizeIs(2));
  EXPECT_EQ(json["tenants"][0]["tenant"], "acme");
  EXPECT_EQ(json["tenants"][0]["own"], false);
  EXPECT_EQ(json["tenants"][1]["own"], true);
  EXPECT_EQ(json["tenants"][1]["every_s"], 6 * 3600);
  EXPECT_EQ(json["tenants"][1]["next_backup"], "2026-01-31T12:00:00Z");
  EXPECT_THAT(controller_.set_policies, IsEmpty());
}

TEST_F(BackupScheduleCommand, IsATableForPeople) {
  v1::BackupPolicy& own = controller_.policies["tenants/beta"];
  own.set_off(true);
  EXPECT_EQ(Run({"backup", "schedule"}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("(fleet)"));
  EXPECT_THAT(out(), HasSubstr("01:00-05:00"));
  EXPECT_THAT(out(), HasSubstr("7, 30d"));
  EXPECT_THAT(out(), HasSubstr("off"));
}

TEST_F(BackupScheduleCommand, ChangesJustWhatIsGiven) {
  v1::BackupPolicy& fleet = controller_.policies[""];
  fleet.set_keep_last(3);
  fleet.set_repository("nas");
  EXPECT_EQ(Run({"backup", "schedule", "acme", "--every", "1d12h", "--window", "22:30-02:00",
                 "--drill-every", "off", "-o", "json"}),
            0)
      << err();
  ASSERT_THAT(controller_.set_policies, SizeIs(1));
  EXPECT_EQ(controller_.set_policies[0].tenant(), "tenants/acme");
  EXPECT_EQ(Set().interval().seconds(), 36 * 3600);
  EXPECT_EQ(Set().window_start_minute(), 22 * 60 + 30);
  EXPECT_EQ(Set().window().seconds(), 3 * 3600 + 1800);
  EXPECT_TRUE(Set().has_drill_interval());
  EXPECT_EQ(Set().drill_interval().seconds(), 0);
  EXPECT_EQ(Set().keep_last(), 3);
  EXPECT_EQ(Set().keep_days(), 0);
  EXPECT_EQ(Set().repository(), "nas");
  EXPECT_EQ(OutJson()["tenant"], "acme");
  EXPECT_EQ(OutJson()["window_end"], "02:00");
  EXPECT_EQ(OutJson()["own"], true);
}

TEST_F(BackupScheduleCommand, ChangesTheFleet) {
  EXPECT_EQ(Run({"backup", "schedule", "--off", "--keep-days", "9", "--keep-last", "2"}), 0)
      << err();
  ASSERT_THAT(controller_.set_policies, SizeIs(1));
  EXPECT_EQ(controller_.set_policies[0].tenant(), "");
  EXPECT_TRUE(Set().off());
  EXPECT_EQ(Set().keep_days(), 9);
  EXPECT_EQ(Set().keep_last(), 2);
  EXPECT_EQ(Run({"backup", "schedule", "--on"}), 0) << err();
  EXPECT_FALSE(Set().off());
  EXPECT_EQ(Set().keep_days(), 9);
}

TEST_F(BackupScheduleCommand, GivesATenantTheFleetsPolicyAgain) {
  controller_.policies["tenants/acme"].set_off(true);
  EXPECT_EQ(Run({"backup", "schedule", "acme", "--inherit", "-o", "json"}), 0) << err();
  ASSERT_THAT(controller_.set_policies, SizeIs(1));
  EXPECT_FALSE(controller_.set_policies[0].has_policy());
  EXPECT_EQ(OutJson()["own"], false);
  EXPECT_EQ(OutJson()["off"], false);
}

TEST_F(BackupScheduleCommand, WritesAreRefusedBeforeAnythingIsSent) {
  for (const std::vector<std::string>& bad :
       std::vector<std::vector<std::string>>{{"--every", "often"},
                                             {"--every", "-1h"},
                                             {"--every", "0d"},
                                             {"--every", "1d-2h"},
                                             {"--every", "500d"},
                                             {"--every", "off"},
                                             {"--window", "1-5"},
                                             {"--window", "25:00-26:00"},
                                             {"--window", "24:00-01:00"},
                                             {"--window", "01:60-02:00"},
                                             {"--window", "01:00"},
                                             {"--drill-every", "never"},
                                             {"--keep-last", "0"},
                                             {"--on", "--off"},
                                             {"--inherit"},
                                             {"acme", "--inherit", "--off"}}) {
    std::vector<std::string> words = {"backup", "schedule"};
    words.insert(words.end(), bad.begin(), bad.end());
    EXPECT_EQ(Run(words), 2) << bad[0];
    EXPECT_NE(err(), "");
  }
  EXPECT_EQ(controller_.calls, 0);
}

TEST_F(BackupScheduleCommand, TakesTheDefaultRepositoryAgain) {
  controller_.policies[""].set_repository("nas");
  EXPECT_EQ(Run({"backup", "schedule", "--repository", ""}), 0) << err();
  EXPECT_EQ(Set().repository(), "");
}

TEST_F(BackupScheduleCommand, AWindowMayBeAllDay) {
  EXPECT_EQ(Run({"backup", "schedule", "--window", "00:00-24:00"}), 0) << err();
  EXPECT_EQ(Set().window_start_minute(), 0);
  EXPECT_EQ(Set().window().seconds(), 24 * 3600);
}

TEST_F(BackupScheduleCommand, TellsWhatTheControllerSays) {
  controller_.refusals.push_back({grpc::StatusCode::NOT_FOUND, "there is no tenant \"nobody\""});
  EXPECT_NE(Run({"backup", "schedule", "nobody"}), 0);
  EXPECT_THAT(err(), HasSubstr("there is no tenant"));
}

TEST_F(BackupScheduleCommand, CompletesTenants) {
  EXPECT_EQ(RunBare({"__complete", "--", "--controller", "fake:1", "--identity", "/none", "backup",
                     "schedule", ""}),
            0);
  EXPECT_THAT("\n" + out(), HasSubstr("\nacme\t"));
}

}  // namespace
}  // namespace mtp::cli
