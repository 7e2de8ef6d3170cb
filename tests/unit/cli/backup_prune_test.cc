#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/cli/backup_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// The fake controller lets all but the newest of each tenant go: kOlder of acme.
class BackupPruneCommand : public BackupCliTest {
 protected:
  BackupPruneCommand() {
    controller_.accepted = MakeOperation("prune", "tenants/acme", v1::OPERATION_STATE_PENDING);
  }
  void Prunes(const std::string& tenant, const std::string& freed) {
    v1::Operation done = MakeOperation("prune", "tenants/" + tenant, v1::OPERATION_STATE_SUCCEEDED);
    (*done.mutable_result())["removed"] = "1";
    (*done.mutable_result())["freed_bytes"] = freed;
    controller_.streams.push_back({.operations = {done}});
  }
  // Requests that were to change something.
  std::vector<v1::PruneBackupsRequest> Begun() {
    std::vector<v1::PruneBackupsRequest> begun;
    for (const auto& request : controller_.pruned_backups) {
      if (!request.validate_only()) begun.push_back(request);
    }
    return begun;
  }
  std::string Offered(const std::vector<std::string>& words) {
    std::vector<std::string> all = {"__complete", "--",         "--controller",
                                    "fake:1",     "--identity", "/none"};
    all.insert(all.end(), words.begin(), words.end());
    EXPECT_EQ(RunBare(all), 0);
    return "\n" + out();
  }
};

TEST_F(BackupPruneCommand, SaysWhichWereCalledOff) {
  EXPECT_EQ(Run({"backup", "prune", "acme", "--dry-run"}), 0) << err();
  EXPECT_THAT(out(), Not(HasSubstr("called off")));
  for (v1::Backup& backup : controller_.backups) backup.set_reason("called-off");
  EXPECT_EQ(Run({"backup", "prune", "acme", "--dry-run"}), 0) << err();
  EXPECT_THAT(out(),
              HasSubstr(std::string(kOlder) + ": called off; this is what it may have left"));
}

TEST_F(BackupPruneCommand, PrintsWhatItHasRemoved) {
  Prunes("acme", "3565158");
  EXPECT_EQ(Run({"backup", "prune", "acme", "--yes", "-o", "json"}), 0) << err();
  EXPECT_EQ(err(), "");
  const auto json = OutJson();
  ASSERT_EQ(json["removed"].size(), 1);
  EXPECT_EQ(json["removed"][0]["id"], kOlder);
  EXPECT_EQ(json["removed"][0]["tenant"], "acme");
  EXPECT_EQ(json["freed_bytes"], 3565158);
  EXPECT_EQ(json["failed"], nlohmann::json::array());
  EXPECT_EQ(json.size(), 3);
  ASSERT_THAT(Begun(), SizeIs(1));
  EXPECT_EQ(Begun()[0].tenant(), "tenants/acme");
  EXPECT_EQ(Begun()[0].keep_last(), 7);
  EXPECT_EQ(Begun()[0].keep_days(), 30);
  EXPECT_THAT(prompts_, IsEmpty());
}

TEST_F(BackupPruneCommand, SaysSoForPeople) {
  Prunes("acme", "3565158");
  EXPECT_EQ(Run({"backup", "prune", "acme", "--yes", "--keep-last", "3", "--keep-days", "9"}), 0)
      << err();
  EXPECT_THAT(out(), HasSubstr(kOlder));
  EXPECT_THAT(out(), Not(HasSubstr(kNewest)));
  EXPECT_THAT(out(), HasSubstr("\n1 backup removed, 3.4M freed\n"));
  for (const auto& request : controller_.pruned_backups) {
    EXPECT_EQ(request.keep_last(), 3);
    EXPECT_EQ(request.keep_days(), 9);
  }
}

TEST_F(BackupPruneCommand, ShowsThemAndAsksAPerson) {
  Person("n");
  EXPECT_EQ(Run({"backup", "prune", "acme"}), 1);
  EXPECT_THAT(err(), HasSubstr(kOlder));
  EXPECT_THAT(err(), HasSubstr("nothing was removed"));
  EXPECT_THAT(prompts_, ElementsAre("Remove this backup for good? [y/N] "));
  EXPECT_THAT(Begun(), IsEmpty());
  Person("y");
  Prunes("acme", "1");
  EXPECT_EQ(Run({"backup", "prune", "acme"}), 0) << err();
  EXPECT_THAT(Begun(), SizeIs(1));
}

TEST_F(BackupPruneCommand, NeedsYesInAPipe) {
  EXPECT_EQ(Run({"backup", "prune", "acme"}), 2);
  EXPECT_THAT(err(), HasSubstr("--yes"));
  EXPECT_THAT(controller_.pruned_backups, IsEmpty());
}

TEST_F(BackupPruneCommand, ADryRunOnlyShows) {
  EXPECT_EQ(Run({"backup", "prune", "acme", "--dry-run"}), 0) << err();
  EXPECT_THAT(out(), HasSubstr(kOlder));
  EXPECT_THAT(out(), HasSubstr("1 backup would be removed; nothing was changed.\n"));
  EXPECT_EQ(Run({"backup", "prune", "acme", "--dry-run", "--json"}), 0) << err();
  EXPECT_EQ(OutJson()["removed"][0]["id"], kOlder);
  EXPECT_EQ(OutJson()["freed_bytes"], 0);
  EXPECT_EQ(OutJson()["dry_run"], true);
  EXPECT_THAT(Begun(), IsEmpty());
}

TEST_F(BackupPruneCommand, WithNothingToRemoveItAsksNobody) {
  Person("n");
  EXPECT_EQ(Run({"backup", "prune", "gone"}), 0) << err();
  EXPECT_EQ(out(), "Nothing to remove.\n");
  EXPECT_THAT(prompts_, IsEmpty());
  EXPECT_THAT(Begun(), IsEmpty());
}

TEST_F(BackupPruneCommand, AllAreTheTenantsThatHaveBackupsRemovedOnesToo) {
  controller_.backups.push_back(MakeBackup("01ARZ3NDEKTSV4RRFFQ69G5FA9", "gone"));
  Prunes("acme", "10");
  Prunes("gone", "20");
  EXPECT_EQ(Run({"backup", "prune", "--all", "--yes", "--request-id", "mine", "--json"}), 0)
      << err();
  EXPECT_EQ(OutJson()["removed"].size(), 2);
  EXPECT_EQ(OutJson()["freed_bytes"], 30);
  ASSERT_THAT(Begun(), SizeIs(2));
  EXPECT_EQ(Begun()[0].tenant(), "tenants/acme");
  EXPECT_EQ(Begun()[0].request_id(), "mine.acme");
  EXPECT_EQ(Begun()[1].tenant(), "tenants/gone");
}

TEST_F(BackupPruneCommand, OneThatFailsDoesNotStopTheOthers) {
  controller_.backups.push_back(MakeBackup("01ARZ3NDEKTSV4RRFFQ69G5FA9", "gone"));
  Fails("prune", "acme", "repository nas is damaged");
  Prunes("gone", "20");
  EXPECT_EQ(Run({"backup", "prune", "acme", "gone", "--yes"}), 1);
  EXPECT_THAT(err(), HasSubstr("acme: "));
  EXPECT_THAT(err(), HasSubstr("repository nas is damaged"));
  EXPECT_THAT(err(), HasSubstr("error: the backups of 1 of 2 tenants were not pruned\n"));
  EXPECT_THAT(out(), HasSubstr("01ARZ3NDEKTSV4RRFFQ69G5FA9"));
  EXPECT_THAT(out(), Not(HasSubstr(kOlder)));
}

TEST_F(BackupPruneCommand, EndsWithThreeWhenItsOnlyTenantHasNone) {
  controller_.refusals = {{grpc::StatusCode::NOT_FOUND, "there is no backup of nobody"}};
  EXPECT_EQ(Run({"backup", "prune", "nobody", "--yes"}), 3);
  EXPECT_THAT(err(), HasSubstr("hint:  `mtp-cli backup list`"));
}

TEST_F(BackupPruneCommand, ReturnsWithTheOperationsWithoutWaiting) {
  EXPECT_EQ(Run({"backup", "prune", "acme", "--yes", "--no-wait"}), 0) << err();
  EXPECT_EQ(out(), "acme: accepted as operations/01ARZ3NDEKTSV4RRFFQ69G5FA0\n");
  EXPECT_THAT(controller_.watched, IsEmpty());
}

TEST_F(BackupPruneCommand, RefusesWhatMakesNoSenseBeforeSending) {
  const std::vector<std::vector<std::string>> wrong = {
      {"backup", "prune", "--yes"},
      {"backup", "prune", "--all", "acme", "--yes"},
      {"backup", "prune", "Bad_Name", "--yes"},
      {"backup", "prune", "acme", "--yes", "--keep-last", "0"},
      {"backup", "prune", "acme", "--yes", "--keep-days", "36501"},
      {"backup", "--all", "prune", "--yes"}};
  for (const auto& words : wrong) EXPECT_EQ(Run(words), 2) << ::testing::PrintToString(words);
  EXPECT_EQ(controller_.calls, 0);
}

TEST_F(BackupPruneCommand, CompletesTenantsThatHaveBackups) {
  EXPECT_THAT(Offered({"backup", "pr"}), HasSubstr("\nprune\t"));
  EXPECT_THAT(Offered({"backup", "prune", ""}), HasSubstr("\ngone\t1 backup"));
  EXPECT_THAT(Offered({"backup", "prune", "acme", ""}), HasSubstr("\ngone\t1 backup"));
  EXPECT_THAT(Offered({"backup", "prune", "--keep"}), HasSubstr("\n--keep-days\t"));
}

}  // namespace
}  // namespace mtp::cli
