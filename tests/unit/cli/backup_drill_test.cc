// `backup drill`.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "cli/output/backup_tables.h"
#include "common/base/timestamps.h"
#include "tests/unit/cli/backup_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const absl::Time kNow = absl::FromUnixSeconds(1'769'860'800) + absl::Hours(3);

class DrillCliTest : public BackupCliTest {
 protected:
  DrillCliTest() {
    controller_.accepted =
        MakeOperation("drill", "backups/" + std::string(kNewest), v1::OPERATION_STATE_PENDING);
  }
};

TEST_F(DrillCliTest, ANameMeansItsNewestBackup) {
  v1::Operation done = MakeOperation("drill", "backups/x", v1::OPERATION_STATE_SUCCEEDED);
  (*done.mutable_result())["ready_ms"] = "24000";
  controller_.streams.push_back({.operations = {done}});
  EXPECT_EQ(Run({"backup", "drill", "acme"}), 0) << err();
  EXPECT_EQ(controller_.drilled_backups.at(0).name(), "backups/" + std::string(kNewest));
  EXPECT_FALSE(controller_.drilled_backups.at(0).request_id().empty());
  EXPECT_THAT(out(), AllOf(HasSubstr(kNewest), HasSubstr("acme is proven"), HasSubstr("24s")));
}

TEST_F(DrillCliTest, AnIdMeansThatBackup) {
  Succeeds("drill", "gone", "");
  EXPECT_EQ(Run({"backup", "drill", kOfGone, "--json"}), 0) << err();
  EXPECT_EQ(controller_.drilled_backups.at(0).name(), "backups/" + std::string(kOfGone));
  EXPECT_EQ(OutJson()["tenant"], "gone");
  EXPECT_EQ(OutJson()["backup"], kOfGone);
  EXPECT_EQ(OutJson()["operation"]["state"], "succeeded");
}

TEST_F(DrillCliTest, OneThatFailsEndsWithOneAndTheReason) {
  Fails("drill", "acme", "the container ended. Its last words: boom");
  EXPECT_EQ(Run({"backup", "drill", "acme"}), 1);
  EXPECT_THAT(err(), HasSubstr("Its last words: boom"));
  EXPECT_THAT(out(), IsEmpty());
}

TEST_F(DrillCliTest, WithoutABackupNothingIsAsked) {
  EXPECT_EQ(Run({"backup", "drill", "beta"}), 3);
  EXPECT_THAT(err(), HasSubstr("there is no backup of beta"));
  EXPECT_THAT(controller_.drilled_backups, IsEmpty());
}

TEST_F(DrillCliTest, ADryRunSaysWhereItWouldBe) {
  controller_.accepted = v1::Operation();
  controller_.accepted.set_message("in a sandbox of 1024 MiB on host h1");
  EXPECT_EQ(Run({"backup", "drill", "acme", "--dry-run"}), 0) << err();
  EXPECT_TRUE(controller_.drilled_backups.at(0).validate_only());
  EXPECT_THAT(out(), HasSubstr("in a sandbox of 1024 MiB on host h1; nothing was changed"));
}

TEST_F(DrillCliTest, TheListAndTheStatusShowWhatIsProven) {
  *controller_.backups[0].mutable_prove_time() = ToTimestamp(kNow - absl::Minutes(90));
  EXPECT_THAT(BackupsTable(controller_.backups, kNow, 80, false),
              AllOf(HasSubstr("PROVEN"), HasSubstr("1h30m ago")));
  v1::TenantStatus& status = *controller_.fleet.mutable_tenants(0)->mutable_status();
  *status.mutable_last_proven_backup_time() = ToTimestamp(kNow - absl::Hours(3));
  EXPECT_EQ(Run({"status", "--json"}), 0) << err();
  EXPECT_EQ(OutJson()["tenants"][0]["proven_at"],
            absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", kNow - absl::Hours(3), absl::UTCTimeZone()));
  EXPECT_TRUE(OutJson()["tenants"][1]["proven_at"].is_null());
}

}  // namespace
}  // namespace mtp::cli
