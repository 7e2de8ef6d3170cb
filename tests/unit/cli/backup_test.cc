#include <absl/strings/str_split.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "cli/output/backup_tables.h"
#include "cli/output/fleet_view.h"
#include "cli/output/text.h"
#include "common/base/timestamps.h"
#include "tests/unit/cli/backup_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

const absl::Time kNow = absl::FromUnixSeconds(1'769'860'800) + absl::Hours(3);

int Widest(const std::string& text) {
  int widest = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) widest = std::max(widest, Width(line));
  return widest;
}

class BackupCommand : public BackupCliTest {
 protected:
  BackupCommand() {
    controller_.accepted = MakeOperation("backup", "", v1::OPERATION_STATE_PENDING);
  }
};

TEST_F(BackupCommand, PrintsTheDocumentedRow) {
  Succeeds("backup", "acme", kNewest);
  EXPECT_EQ(Run({"backup", "acme", "-o", "json"}), 0) << err();
  EXPECT_EQ(err(), "");
  EXPECT_EQ(OutJson(), nlohmann::json::parse(R"({
    "backups": [{
      "id": "01ARZ3NDEKTSV4RRFFQ69G5FB2", "tenant": "acme", "host": "h1", "repository": "nas",
      "started_at": "2026-01-31T12:00:00Z", "duration_ms": 12345, "pause_ms": 82,
      "bytes_scanned": 1288490188, "bytes_added": 3565158, "files": 5321,
      "image_digest": "sha256:abc", "verified_at": null, "proven_at": null, "skipped": 0,
      "databases": 4, "damaged_databases": [], "reason": "manual", "snapshot": "",
      "manifest_sha256": ""}],
    "failed": []})"));
}

TEST_F(BackupCommand, SaysWhatIsNewAndHowLongTheTenantStoodStill) {
  *controller_.backups[0].add_damaged_databases() = "state/x.db";
  Succeeds("backup", "acme", "backups/" + std::string(kNewest));
  EXPECT_EQ(Run({"backup", "acme", "--repository", "nas"}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("acme is backed up as 01ARZ3NDEKTSV4RRFFQ69G5FB2 after 0s\n"));
  EXPECT_THAT(out(),
              HasSubstr("1.2G in 5321 files, 3.4M of it new in nas; it stood still for 82ms"));
  EXPECT_THAT(out(), HasSubstr("damaged, as it was found: state/x.db"));
  EXPECT_EQ(controller_.created_backups.at(0).tenant(), "tenants/acme");
  EXPECT_EQ(controller_.created_backups.at(0).repository(), "repositories/nas");
}

TEST_F(BackupCommand, BeginsAllBeforeItWaitsForEach) {
  Fails("backup", "acme", "the disk of h1 is full");
  Succeeds("backup", "beta", kOlder);
  EXPECT_EQ(Run({"backup", "acme", "beta", "acme", "--request-id", "mine"}), 1);
  ASSERT_THAT(controller_.created_backups, SizeIs(2));
  EXPECT_EQ(controller_.created_backups[0].request_id(), "mine.acme");
  EXPECT_EQ(controller_.created_backups[1].request_id(), "mine.beta");
  EXPECT_THAT(controller_.watched, ElementsAre("operations/01ARZ3NDEKTSV4RRFFQ69G5FA0",
                                               "operations/01ARZ3NDEKTSV4RRFFQ69G5FA1"));
  EXPECT_THAT(err(), HasSubstr("\nacme: the disk of h1 is full\n"));
  EXPECT_THAT(err(), HasSubstr("\nerror: 1 of 2 tenants have no new backup\n"));
  EXPECT_THAT(out(), HasSubstr(kOlder));
}

TEST_F(BackupCommand, ListsTheFailedOnesBesideTheOthers) {
  controller_.refusals = {grpc::Status::OK,
                          grpc::Status::OK,
                          {grpc::StatusCode::FAILED_PRECONDITION, "beta is being restarted"}};
  Succeeds("backup", "acme", kNewest);
  EXPECT_EQ(Run({"backup", "--all", "-o", "json"}), 1);
  EXPECT_EQ(OutJson()["backups"][0]["tenant"], "acme");
  EXPECT_EQ(OutJson()["backups"].size(), 1);
  EXPECT_EQ(OutJson()["failed"],
            nlohmann::json::parse(R"([{"tenant": "beta", "error": "beta is being restarted"}])"));
  EXPECT_EQ(nlohmann::json::parse(err())["error"]["exit_code"], 1);
}

TEST_F(BackupCommand, EndsWithThreeWhenItsOnlyTenantIsRefused) {
  controller_.refusals = {{grpc::StatusCode::FAILED_PRECONDITION, "there is no repository"}};
  EXPECT_EQ(Run({"backup", "acme"}), 3);
  EXPECT_THAT(err(), HasSubstr("error: there is no repository\nhint:  `mtp-cli repository add"));
  EXPECT_EQ(out(), "");
}

TEST_F(BackupCommand, EndsWithOneWhenItsOnlyTenantFails) {
  Fails("backup", "acme", "the disk of h1 is full");
  EXPECT_EQ(Run({"backup", "acme", "--json"}), 1);
  EXPECT_EQ(OutJson()["failed"][0]["error"], "the disk of h1 is full");
}

TEST_F(BackupCommand, EndsWithFiveWhenOnlyTheWaitEnded) {
  GoesOn("backup", "acme");
  EXPECT_EQ(Run({"backup", "acme", "--timeout", "0.2"}), 5);
  GoesOn("backup", "acme");
  Succeeds("backup", "beta", kOlder);
  EXPECT_EQ(Run({"backup", "acme", "beta", "--timeout", "0.2"}), 5);
  GoesOn("backup", "acme");
  Fails("backup", "beta", "the disk is full");
  EXPECT_EQ(Run({"backup", "acme", "beta", "--timeout", "0.2"}), 1);
}

TEST_F(BackupCommand, EndsWithFourWhenTheControllerIsAway) {
  controller_.refusals.assign(8, {grpc::StatusCode::UNAVAILABLE, "away"});
  EXPECT_EQ(Run({"backup", "acme", "beta"}), 4);
}

TEST_F(BackupCommand, RefusesWhatMakesNoSenseBeforeSending) {
  const std::vector<std::vector<std::string>> wrong = {
      {"backup"},
      {"backup", "--all", "acme"},
      {"backup", "acme", "Bad_Name"},
      {"backup", "acme", "--timeout", "soon"},
      {"backup", "acme", "list"},
      {"backup", "--dry-run", "verify", kNewest},
      {"backup", "--all", "list"},
      {"backup", "list", "--all"},
      {"backup", "list", "acme", "beta"},
      {"backup", "list", "--", "acme"},
      {"backup", "show"},
      {"backup", "show", "01ARZ3"},
      {"backup", "verify", "acme"},
      {"backup", "restore"},
      {"backup", "restore", "acme", "--from", "newest"},
      {"repository"},
      {"repository", "add", "nas"}};
  for (const auto& words : wrong) EXPECT_EQ(Run(words), 2) << ::testing::PrintToString(words);
  EXPECT_EQ(controller_.calls, 0);
}

TEST_F(BackupCommand, TakesTenantsThatAreNamedLikeItsCommandsBehindDashes) {
  controller_.backups.push_back(MakeBackup("01ARZ3NDEKTSV4RRFFQ69G5FA9", "list"));
  Succeeds("backup", "list", kNewest);
  EXPECT_EQ(Run({"backup", "--", "list"}), 0) << err();
  EXPECT_EQ(controller_.created_backups.at(0).tenant(), "tenants/list");
  EXPECT_EQ(Run({"backup", "list", "list", "--json"}), 0) << err();
  EXPECT_EQ(OutJson()["backups"].size(), 1);
  EXPECT_EQ(OutJson()["backups"][0]["tenant"], "list");
}

TEST_F(BackupCommand, OnlyChecksInADryRun) {
  EXPECT_EQ(Run({"backup", "acme", "--dry-run"}), 0);
  EXPECT_TRUE(controller_.created_backups.at(0).validate_only());
  EXPECT_EQ(out(), "Nothing speaks against it; nothing was changed.\n");
  EXPECT_THAT(controller_.watched, IsEmpty());
}

TEST_F(BackupCommand, ReturnsWithTheOperationsWithoutWaiting) {
  EXPECT_EQ(Run({"backup", "acme", "beta", "--no-wait", "--json"}), 0);
  EXPECT_EQ(OutJson()["operations"][1]["target"], "tenants/beta");
  EXPECT_EQ(Run({"backup", "acme", "beta", "--no-wait"}), 0);
  EXPECT_THAT(out(), HasSubstr("beta: accepted as operations/01ARZ3NDEKTSV4RRFFQ69G5FA3\n"));
  EXPECT_THAT(controller_.watched, IsEmpty());
}

TEST_F(BackupCommand, HasNothingToDoInAnEmptyFleet) {
  controller_.fleet.clear_tenants();
  EXPECT_EQ(Run({"backup", "--all"}), 0);
  EXPECT_EQ(out(), "There are no tenants.\n");
}

class Catalogue : public BackupCliTest {};

TEST_F(Catalogue, ListsAllPagesNewestFirst) {
  controller_.backups_page = 2;
  EXPECT_EQ(Run({"backup", "list", "-o", "json"}), 0);
  EXPECT_EQ(controller_.listed_backups, 2);
  ASSERT_EQ(OutJson()["backups"].size(), 3);
  EXPECT_EQ(OutJson()["backups"][0]["id"], kNewest);
  EXPECT_EQ(OutJson()["backups"][2]["id"], kOfGone);
  EXPECT_EQ(Run({"backup", "list", "gone", "-o", "yaml"}), 0);
  EXPECT_THAT(out(), StartsWith("backups:\n  - id: \"01ARZ3NDEKTSV4RRFFQ69G5FB0\"\n"));
  EXPECT_EQ(Run({"backup", "list", "nobody"}), 0);
  EXPECT_THAT(out(), HasSubstr("No backups of nobody"));
}

TEST_F(Catalogue, KeepsTheWholeIdInEveryWidth) {
  v1::Backup longest = MakeBackup(kNewest, std::string(40, 't'));
  longest.set_host(std::string(40, 'h'));
  longest.set_repository(std::string(40, 'r'));
  *longest.add_damaged_databases() = std::string(300, 'd');
  for (int width = 40; width <= 200; ++width) {
    const std::string text = BackupsTable({longest}, kNow, width, false);
    EXPECT_LE(Widest(text), width);
    EXPECT_THAT(text, HasSubstr(kNewest)) << width;
  }
}

TEST_F(Catalogue, IsReadableInEightyColumns) {
  *controller_.backups[0].mutable_verify_time() = ToTimestamp(kNow - absl::Minutes(90));
  EXPECT_EQ(BackupsTable(controller_.backups, kNow, 80, false),
            "ID                          TENANT       WHEN  HOST  SIZE   VERIFIED  PROVEN\n"
            "01ARZ3NDEKTSV4RRFFQ69G5FB2  acme    3h00m ago  h1    1.2G  1h30m ago   never\n"
            "01ARZ3NDEKTSV4RRFFQ69G5FB1  acme    3h00m ago  h1    1.2G      never   never\n"
            "01ARZ3NDEKTSV4RRFFQ69G5FB0  gone    3h00m ago  h1    1.2G      never   never\n");
  const std::string wide = BackupsTable(controller_.backups, kNow, 120, false);
  EXPECT_THAT(wide, HasSubstr("ADDED"));
  EXPECT_THAT(wide, HasSubstr("82ms"));
}

TEST_F(Catalogue, ShowsOneByEitherSpellingOfItsId) {
  EXPECT_EQ(Run({"backup", "show", "backups/" + std::string(kOfGone)}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("tenant     gone\n"));
  EXPECT_THAT(out(), HasSubstr("pause      82ms\n"));
  EXPECT_EQ(Run({"backup", "show", "01arz3ndektsv4rrffq69g5fb0", "--json"}), 0) << err();
  EXPECT_EQ(OutJson()["id"], kOfGone);
  EXPECT_EQ(Run({"backup", "show", "01ARZ3NDEKTSV4RRFFQ69G5FZZ"}), 3);
  EXPECT_THAT(err(), HasSubstr("mtp-cli backup list"));
}

TEST_F(Catalogue, VerifiesAndSaysHowItEnded) {
  controller_.accepted =
      MakeOperation("verify-backup", "tenants/acme", v1::OPERATION_STATE_PENDING);
  Succeeds("verify-backup", "acme", "");
  EXPECT_EQ(Run({"backup", "verify", kNewest}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("01ARZ3NDEKTSV4RRFFQ69G5FB2 is whole"));
  EXPECT_EQ(controller_.verified_backups.at(0).name(), "backups/" + std::string(kNewest));
  Fails("verify-backup", "acme", "data/x differs from the manifest");
  EXPECT_EQ(Run({"backup", "verify", kNewest, "--json"}), 1);
  EXPECT_EQ(OutJson()["backup"], kNewest);
  EXPECT_EQ(OutJson()["operation"]["state"], "failed");
}

TEST(BackupTables, WritesQuantitiesForPeople) {
  EXPECT_EQ(HumanBytes(0), "0B");
  EXPECT_EQ(HumanBytes(1023), "1023B");
  EXPECT_EQ(HumanBytes(1536), "1.5K");
  EXPECT_EQ(HumanBytes(int64_t{1} << 30), "1.0G");
  EXPECT_EQ(HumanBytes((int64_t{1} << 30) - 1), "1.0G");
  google::protobuf::Duration pause;
  EXPECT_EQ(PauseText(pause), "-");
  pause.set_nanos(200'000);
  EXPECT_EQ(PauseText(pause), "1ms");
  pause.set_seconds(2);
  EXPECT_EQ(PauseText(pause), "2.0s");
  pause.set_seconds(75);
  EXPECT_EQ(PauseText(pause), "1m15s");
}

TEST_F(Catalogue, StatusShowsATenantWhoseNewestBackupFailed) {
  v1::TenantStatus& status = *controller_.fleet.mutable_tenants(0)->mutable_status();
  *status.mutable_last_backup_time() = ToTimestamp(kNow - absl::Hours(30));
  const std::string sentence =
      "the repository nas is full; free some space on it, or add another one and name it with "
      "--repository";
  status.set_backup_failure(sentence);
  const Json json = FleetJson(controller_.fleet, kNow);
  EXPECT_EQ(json["tenants"][0]["backup_failure"], sentence);
  EXPECT_TRUE(json["tenants"][1]["backup_failure"].is_null());
  const std::string wide = FleetTables(controller_.fleet, kNow, 120, false);
  EXPECT_THAT(wide, HasSubstr("  ! 1d06h ago"));
  EXPECT_THAT(wide, HasSubstr("\nacme: backup failed: the repository nas is full"));
  EXPECT_THAT(wide, Not(HasSubstr("beta: backup")));
  const std::string narrow = FleetTables(controller_.fleet, kNow, 60, false);
  EXPECT_THAT(narrow, HasSubstr("\nacme: backup failed: the repository nas is full; free some\n"
                                "  space on it, or add another one and name it with\n"
                                "  --repository\n"));
}

TEST_F(Catalogue, StatusShortensRemarksWhenThereAreManyAndSaysWhereAllOfThemIs) {
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    v1::Tenant& tenant = *controller_.fleet.add_tenants();
    tenant.set_name(absl::StrCat("tenants/", name));
    tenant.mutable_status()->set_message("host h2 is unreachable; last seen state is not current");
  }
  const std::string narrow = FleetTables(controller_.fleet, kNow, 40, false);
  EXPECT_THAT(narrow, HasSubstr("\na: host h2 is unreachable; last seen st…\n"
                                "b: host h2 is unreachable; last seen st…\n"));
  EXPECT_THAT(narrow, HasSubstr("mtp-cli status NAME\n"));
}

}  // namespace
}  // namespace mtp::cli
