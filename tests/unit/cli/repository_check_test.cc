// `repository check`, and what `remove` says of the final backup.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/cli/backup_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RepositoryCheck : public BackupCliTest {
 protected:
  void Ends(const std::map<std::string, std::string>& result) {
    v1::Operation done =
        MakeOperation("check-repository", "repositories/nas", v1::OPERATION_STATE_SUCCEEDED);
    for (const auto& [name, value] : result) (*done.mutable_result())[name] = value;
    controller_.streams.push_back({.operations = {done}});
  }
};

TEST_F(RepositoryCheck, SaysWhatWasLookedAt) {
  Ends({{"tenants", "3"}, {"snapshots", "12"}});
  ASSERT_EQ(Run({"repository", "check", "nas"}), 0) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("nas is in order"), HasSubstr("12 backups of 3 tenants"),
                           HasSubstr("structure")));
  ASSERT_EQ(controller_.checked_repositories.size(), 1u);
  EXPECT_EQ(controller_.checked_repositories[0].name(), "repositories/nas");
  EXPECT_FALSE(controller_.checked_repositories[0].read_data());
  EXPECT_NE(controller_.checked_repositories[0].request_id(), "");
}

TEST_F(RepositoryCheck, ReadsAllDataWhenAsked) {
  Ends({{"tenants", "3"}, {"snapshots", "12"}});
  ASSERT_EQ(Run({"repository", "check", "nas", "--read-data", "-o", "json"}), 0) << err();
  EXPECT_TRUE(controller_.checked_repositories[0].read_data());
  EXPECT_EQ(OutJson()["repository"], "nas");
  EXPECT_EQ(OutJson()["tenants"], 3);
  EXPECT_EQ(OutJson()["snapshots"], 12);
  EXPECT_EQ(OutJson()["operation"]["kind"], "check-repository");
}

TEST_F(RepositoryCheck, ADamagedOneIsAFailure) {
  v1::Operation failed =
      MakeOperation("check-repository", "repositories/nas", v1::OPERATION_STATE_FAILED);
  failed.mutable_error()->set_message("acme: the repository is damaged");
  controller_.streams.push_back({.operations = {failed}});
  EXPECT_EQ(Run({"repository", "check", "nas"}), 1);
  EXPECT_THAT(err(), HasSubstr("acme: the repository is damaged"));
}

TEST_F(RepositoryCheck, ADryRunOnlyChecks) {
  ASSERT_EQ(Run({"repository", "check", "nas", "--dry-run"}), 0) << err();
  EXPECT_TRUE(controller_.checked_repositories[0].validate_only());
  EXPECT_THAT(out(), HasSubstr("nothing was changed"));
}

class RemoveSays : public BackupCliTest {
 protected:
  void Ends(const std::map<std::string, std::string>& result) {
    v1::Operation done = MakeOperation("remove", "tenants/acme", v1::OPERATION_STATE_SUCCEEDED);
    done.set_host("h1");
    for (const auto& [name, value] : result) (*done.mutable_result())[name] = value;
    controller_.streams.push_back({.operations = {done}});
  }
};

TEST_F(RemoveSays, WhereTheBackupIsAndHowToBringTheTenantBack) {
  Ends({{"backup", std::string("backups/") + kNewest}, {"repository", "nas"}, {"files", "9"}});
  ASSERT_EQ(Run({"remove", "acme"}), 0) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("acme is removed"), HasSubstr("in repository nas"),
                           HasSubstr(std::string("mtp-cli backup restore acme --from ") + kNewest),
                           Not(HasSubstr("files"))));
}

TEST_F(RemoveSays, WhichFileItIsWithoutARepository) {
  Ends({{"backup_file", "backups/acme-1.tar.gz"}});
  ASSERT_EQ(Run({"remove", "acme"}), 0) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("backups/acme-1.tar.gz"), HasSubstr("h1"),
                           HasSubstr("--use-kept-data"), Not(HasSubstr("backup restore"))));
}

TEST_F(RemoveSays, ThatThereWasNothingToBackUp) {
  Ends({{"absent", "true"}});
  ASSERT_EQ(Run({"remove", "acme"}), 0) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("acme is removed"), HasSubstr("h1 did not have it"),
                           Not(HasSubstr("bring it back"))));
}

TEST_F(RemoveSays, TheBackupAsJson) {
  Ends({{"backup", std::string("backups/") + kNewest}, {"repository", "nas"}});
  ASSERT_EQ(Run({"remove", "acme", "-o", "json"}), 0) << err();
  EXPECT_EQ(OutJson()["tenant"], "acme");
  EXPECT_EQ(OutJson()["backup"], kNewest);
  EXPECT_TRUE(OutJson()["backup_file"].is_null());
  Ends({{"backup_file", "backups/acme-1.tar.gz"}});
  ASSERT_EQ(Run({"remove", "acme", "-o", "json"}), 0) << err();
  EXPECT_TRUE(OutJson()["backup"].is_null());
  EXPECT_EQ(OutJson()["backup_file"], "backups/acme-1.tar.gz");
}

}  // namespace
}  // namespace mtp::cli
