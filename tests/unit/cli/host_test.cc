// `host remove`: empty hosts, and those that are gone for good.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "common/base/timestamps.h"
#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kBackup[] = "01ARZ3NDEKTSV4RRFFQ69G5FA0";

class HostRemoveCommand : public CliTest {
 protected:
  HostRemoveCommand() {
    auto* backed = controller_.with_host.add_tenants();
    backed->set_name("tenants/acme");
    backed->set_backup(std::string("backups/") + kBackup);
    *backed->mutable_backup_time() = ToTimestamp(clock_.Now() - absl::Hours(3));
    controller_.with_host.add_tenants()->set_name("tenants/beta-client");
  }
};

TEST_F(HostRemoveCommand, AnEmptyHostNeedsNoWord) {
  controller_.with_host.Clear();
  ASSERT_EQ(Run({"host", "remove", "h1"}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("h1 has left the fleet"));
  ASSERT_THAT(controller_.host_removals, SizeIs(1));
  EXPECT_EQ(controller_.host_removals[0].name(), "hosts/h1");
  EXPECT_FALSE(controller_.host_removals[0].lost());
  EXPECT_FALSE(controller_.host_removals[0].validate_only());
}

TEST_F(HostRemoveCommand, ALostOneIsNotTakenOutWithoutAWord) {
  EXPECT_EQ(Run({"host", "remove", "h1", "--lost"}), 2);
  EXPECT_THAT(err(), AllOf(HasSubstr("turn it off for good"), HasSubstr("with 2 tenants"),
                           HasSubstr("--yes"), HasSubstr("--dry-run")));
  ASSERT_THAT(controller_.host_removals, SizeIs(1));
  EXPECT_TRUE(controller_.host_removals[0].validate_only());
}

TEST_F(HostRemoveCommand, APersonSeesWhatIsLeftOfEachTenantBeforeSayingYes) {
  environment_.in_is_terminal = true;
  environment_.err_is_terminal = true;
  answer_ = "n";
  EXPECT_NE(Run({"host", "remove", "h1", "--lost"}), 0);
  EXPECT_THAT(err(), AllOf(HasSubstr("acme         last backup 3h00m ago"),
                           HasSubstr("mtp-cli backup restore acme"),
                           HasSubstr("beta-client  no backup: its data is lost with the host")));
  EXPECT_THAT(controller_.host_removals, SizeIs(1));
  answer_ = "y";
  ASSERT_EQ(Run({"host", "remove", "h1", "--lost"}), 0) << err();
  ASSERT_THAT(controller_.host_removals, SizeIs(3));
  EXPECT_TRUE(controller_.host_removals[2].lost());
  EXPECT_FALSE(controller_.host_removals[2].validate_only());
}

TEST_F(HostRemoveCommand, AScriptGetsTheTenantsAndTheirBackups) {
  ASSERT_EQ(Run({"host", "remove", "h1", "--lost", "--yes", "-o", "json"}), 0) << err();
  const nlohmann::json json = OutJson();
  EXPECT_EQ(json["host"], "h1");
  EXPECT_EQ(json["removed"], true);
  ASSERT_EQ(json["tenants"].size(), 2);
  EXPECT_EQ(json["tenants"][0]["tenant"], "acme");
  EXPECT_EQ(json["tenants"][0]["backup"], kBackup);
  EXPECT_TRUE(json["tenants"][0]["backup_time"].is_string());
  EXPECT_TRUE(json["tenants"][1]["backup"].is_null());
  EXPECT_TRUE(json["tenants"][1]["backup_time"].is_null());
}

TEST_F(HostRemoveCommand, ADryRunTellsAndChangesNothing) {
  ASSERT_EQ(Run({"host", "remove", "h1", "--lost", "--dry-run"}), 0) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("nothing was changed"), HasSubstr("beta-client  no backup"),
                           Not(HasSubstr("has left"))));
  ASSERT_THAT(controller_.host_removals, SizeIs(1));
  EXPECT_TRUE(controller_.host_removals[0].validate_only());
}

TEST_F(HostRemoveCommand, ARefusalIsPassedOnAndNothingFollowsIt) {
  controller_.refusals = {{grpc::StatusCode::FAILED_PRECONDITION, "host h1 is connected"}};
  EXPECT_EQ(Run({"host", "remove", "h1", "--lost", "--yes"}), 3);
  EXPECT_THAT(err(), HasSubstr("host h1 is connected"));
  EXPECT_THAT(out(), IsEmpty());
  EXPECT_THAT(controller_.host_removals, SizeIs(1));
}

}  // namespace
}  // namespace mtp::cli
