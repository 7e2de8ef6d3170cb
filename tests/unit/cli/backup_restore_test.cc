#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/cli/backup_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kToken[] = "7100000001:AAsecretsecret";

class RestoreCommand : public BackupCliTest {
 protected:
  RestoreCommand() {
    controller_.accepted = MakeOperation("restore", "tenants/acme", v1::OPERATION_STATE_PENDING);
  }
};

TEST_F(RestoreCommand, TakesTheNewestAndSaysWhichAndWhatBecomesOfTheOldData) {
  Succeeds("restore", "acme", "");
  EXPECT_EQ(Run({"backup", "restore", "acme", "--yes"}), 0) << err();
  ASSERT_THAT(controller_.restored_backups, SizeIs(1));
  EXPECT_EQ(controller_.restored_backups[0].name(), "backups/" + std::string(kNewest));
  EXPECT_EQ(controller_.restored_backups[0].tenant_id(), "");
  EXPECT_FALSE(controller_.restored_backups[0].request_id().empty());
  EXPECT_THAT(err(), HasSubstr("The newest backup of acme: 01ARZ3NDEKTSV4RRFFQ69G5FB2 of "));
  EXPECT_THAT(err(), HasSubstr(" ago, made on h1\n"));
  EXPECT_THAT(out(),
              HasSubstr("acme is restored on h1 from the backup 01ARZ3NDEKTSV4RRFFQ69G5FB2"));
  EXPECT_THAT(out(), HasSubstr("kept aside on h1 for a day"));
}

TEST_F(RestoreCommand, TakesTheNamedOne) {
  Succeeds("restore", "acme", "");
  EXPECT_EQ(Run({"backup", "restore", "acme", "-y", "--from", std::string("backups/") + kOlder,
                 "--json"}),
            0)
      << err();
  EXPECT_EQ(controller_.restored_backups.at(0).name(), "backups/" + std::string(kOlder));
  EXPECT_EQ(OutJson()["tenant"], "acme");
  EXPECT_EQ(OutJson()["backup"], kOlder);
  EXPECT_EQ(OutJson()["operation"]["state"], "succeeded");
  EXPECT_EQ(err(), "");
}

TEST_F(RestoreCommand, RefusesABackupOfAnotherTenant) {
  EXPECT_EQ(Run({"backup", "restore", "acme", "-y", "--from", kOfGone}), 2);
  EXPECT_THAT(err(), HasSubstr("that backup holds gone, not acme"));
  EXPECT_THAT(controller_.restored_backups, IsEmpty());
}

TEST_F(RestoreCommand, RefusesATenantWithoutBackups) {
  EXPECT_EQ(Run({"backup", "restore", "beta", "-y"}), 3);
  EXPECT_THAT(err(), HasSubstr("there is no backup of beta"));
}

TEST_F(RestoreCommand, ReplacesDataInAPipeOnlyWithYes) {
  EXPECT_EQ(Run({"backup", "restore", "acme"}), 2);
  EXPECT_THAT(err(), HasSubstr("--yes"));
  EXPECT_THAT(controller_.restored_backups, IsEmpty());
  EXPECT_EQ(Run({"backup", "restore", "acme", "--dry-run"}), 0) << err();
  EXPECT_TRUE(controller_.restored_backups.at(0).validate_only());
}

TEST_F(RestoreCommand, AsksAPersonAndTakesNoForAnAnswer) {
  Person("n");
  EXPECT_EQ(Run({"backup", "restore", "acme"}), 1);
  ASSERT_THAT(prompts_, SizeIs(1));
  EXPECT_THAT(prompts_[0], HasSubstr("Replace the data of acme with the backup 01ARZ3"));
  EXPECT_FALSE(hidden_);
  EXPECT_THAT(controller_.restored_backups, IsEmpty());
  Person("y");
  Succeeds("restore", "acme", "");
  EXPECT_EQ(Run({"backup", "restore", "acme"}), 0) << err();
  EXPECT_THAT(controller_.restored_backups, SizeIs(1));
}

TEST_F(RestoreCommand, BringsARemovedTenantBackWithoutAQuestion) {
  Succeeds("restore", "gone", "");
  EXPECT_EQ(Run({"backup", "restore", "gone", "--host", "h2"}), 0) << err();
  EXPECT_EQ(controller_.restored_backups.at(0).host(), "h2");
  EXPECT_EQ(controller_.restored_backups.at(0).secrets().telegram_token(), "");
  EXPECT_THAT(out(), Not(HasSubstr("kept aside")));
}

TEST_F(RestoreCommand, NeedsABotOfItsOwnForASecondTenant) {
  EXPECT_EQ(Run({"backup", "restore", "acme", "--as", "copy"}), 2);
  EXPECT_THAT(err(), HasSubstr("copy is a new tenant and needs a bot of its own"));
  EXPECT_THAT(controller_.restored_backups, IsEmpty());
  Succeeds("restore", "copy", "");
  const std::string odd = R"(a$b#c"d'e\f g)";
  EXPECT_EQ(
      Run({"backup", "restore", "acme", "--as", "copy", "--telegram-token-file",
           File("token", std::string(kToken) + "\n"), "--anthropic-key-file", File("odd", odd),
           "--openai-key-file", File("odd", odd), "--openrouter-key-file", File("odd", odd)}),
      0)
      << err();
  ASSERT_THAT(controller_.restored_backups, SizeIs(1));
  EXPECT_EQ(controller_.restored_backups[0].tenant_id(), "copy");
  EXPECT_EQ(controller_.restored_backups[0].secrets().telegram_token(), kToken);
  EXPECT_EQ(controller_.restored_backups[0].secrets().anthropic_key(), odd);
  EXPECT_EQ(controller_.restored_backups[0].secrets().openai_key(), odd);
  EXPECT_EQ(controller_.restored_backups[0].secrets().openrouter_key(), odd);
  Person(kToken);
  Succeeds("restore", "copy", "");
  EXPECT_EQ(Run({"backup", "restore", "acme", "--as", "copy"}), 0) << err();
  EXPECT_TRUE(hidden_);
  EXPECT_EQ(controller_.restored_backups.back().secrets().telegram_token(), kToken);
}

TEST_F(RestoreCommand, SaysThatATenantThatExistsKeepsItsSecrets) {
  Succeeds("restore", "acme", "");
  EXPECT_EQ(
      Run({"backup", "restore", "acme", "-y", "--telegram-token-file", File("token", kToken)}), 0);
  EXPECT_THAT(err(), HasSubstr("warning: acme exists and keeps its own secrets"));
}

TEST_F(RestoreCommand, EndsWithTheCodesOfTheOthers) {
  controller_.refusals = {
      grpc::Status::OK, grpc::Status::OK, {grpc::StatusCode::FAILED_PRECONDITION, "acme is on h1"}};
  EXPECT_EQ(Run({"backup", "restore", "acme", "-y"}), 3);
  GoesOn("restore", "acme");
  EXPECT_EQ(Run({"backup", "restore", "acme", "-y", "--timeout", "0.2"}), 5);
  Fails("restore", "acme", "the manifest differs");
  EXPECT_EQ(Run({"backup", "restore", "acme", "-y"}), 1);
  EXPECT_EQ(Run({"backup", "restore", "acme", "-y", "--host", "H_1"}), 2);
}

class RepositoryCommand : public BackupCliTest {};

TEST_F(RepositoryCommand, SendsItsFilesAsTheyAre) {
  const std::string odd = R"(a$b#c"d'e\f g)";
  const std::string key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl$`\"\n-----END-----\n";
  const std::string hosts = "[nas]:22 ssh-ed25519 AAAA #\tcomment\r\n\n";
  const std::string ca = "-----BEGIN CERTIFICATE-----\nü\n-----END CERTIFICATE-----";
  input_ = std::string(64, 'a') + "\n";
  EXPECT_EQ(Run({"repository", "add", "nas", "sftp://mtp@nas/backups", "--s3-access-key-file",
                 File("s3a", odd + "\n"), "--s3-secret-key-file", File("s3s", odd),
                 "--sftp-key-file", File("key", key), "--sftp-known-hosts-file",
                 File("hosts", hosts), "--ca-file", File("ca", ca), "--root-key-file", "-"}),
            0)
      << err();
  ASSERT_THAT(controller_.added_repositories, SizeIs(1));
  const v1::AddRepositoryRequest& request = controller_.added_repositories[0];
  EXPECT_EQ(request.repository_id(), "nas");
  EXPECT_EQ(request.url(), "sftp://mtp@nas/backups");
  EXPECT_EQ(request.secrets().s3_access_key(), odd);
  EXPECT_EQ(request.secrets().s3_secret_key(), odd);
  EXPECT_EQ(request.secrets().sftp_private_key(), key);
  EXPECT_EQ(request.secrets().sftp_known_hosts(), hosts);
  EXPECT_EQ(request.secrets().ca_certificates(), ca);
  EXPECT_EQ(request.secrets().root_key(), std::string(64, 'a'));
  EXPECT_EQ(out(),
            "nas is a repository for backups, and the default one: sftp://mtp@nas/backups\n");
}

TEST_F(RepositoryCommand, RefusesUnusableFilesAndPasswordsInAddresses) {
  const std::map<std::string, std::string> files = {
      {"empty", File("empty", " \n")},
      {"control characters", File("control", "one-secret\x1b[31m\n")},
      {"a zero byte", File("zero", std::string("one-secret\0two", 14))},
      {"not UTF-8", File("latin", "one-secret\xff")},
      {"too big", File("big", std::string(64 * 1024 + 1, 'x'))},
      {"absent", folder_ / "absent"}};
  for (const auto& [what, file] : files) {
    EXPECT_EQ(Run({"repository", "add", "nas", "sftp://a@b/c", "--sftp-key-file", file}), 2)
        << what;
    EXPECT_THAT(err(), HasSubstr("error: the SFTP key in ")) << what;
    EXPECT_THAT(err(), Not(HasSubstr("one-secret"))) << what;
  }
  EXPECT_EQ(Run({"repository", "add", "nas", "/b", "--ca-file", "-", "--root-key-file", "-"}), 2);
  EXPECT_EQ(Run({"repository", "add", "nas", "sftp://mtp:hunter2@nas/b"}), 2);
  EXPECT_THAT(err(), Not(HasSubstr("hunter2")));
  EXPECT_EQ(Run({"repository", "add", "nas", "/b", "--s3-secret-key=hunter2"}), 2);
  EXPECT_THAT(err(), Not(HasSubstr("hunter2")));
  EXPECT_EQ(controller_.calls, 0);
}

TEST_F(RepositoryCommand, ListsThemWithTheirLastFailure) {
  EXPECT_EQ(Run({"repository", "list"}), 0);
  EXPECT_THAT(out(), HasSubstr("repository add NAME URL"));
  v1::Repository& repository = controller_.repositories.emplace_back();
  repository.set_name("repositories/nas");
  repository.set_url("sftp://mtp@nas/" + std::string(80, 'p'));
  repository.set_is_default(true);
  repository.set_backups(12);
  repository.mutable_last_success_time()->set_seconds(1'769'860'800);
  repository.mutable_last_failure_time()->set_seconds(1'769'864'400);
  repository.set_last_failure("the server does not answer");
  columns_ = 80;
  EXPECT_EQ(Run({"repository", "list"}), 0);
  EXPECT_THAT(out(), HasSubstr("default"));
  EXPECT_THAT(out(), HasSubstr("\nnas: the server does not answer\n"));
  EXPECT_EQ(Run({"repository", "list", "-o", "json"}), 0);
  EXPECT_EQ(OutJson(), nlohmann::json::parse(R"({"repositories": [{
      "name": "nas", "url": ")" + repository.url() +
                                             R"(", "default": true, "backups": 12,
      "last_success": "2026-01-31T12:00:00Z", "last_failure": "2026-01-31T13:00:00Z",
      "last_failure_message": "the server does not answer", "added": null}]})"));
}

class BackupCompletion : public BackupCliTest {
 protected:
  std::string Offered(std::vector<std::string> words) {
    words.insert(words.begin(),
                 {"__complete", "--", "--controller", "fake:1", "--identity", "/none"});
    EXPECT_EQ(RunBare(words), 0);
    return "\n" + out();
  }
};

TEST_F(BackupCompletion, OffersWhatMayStandThere) {
  controller_.repositories.emplace_back().set_name("repositories/nas");
  controller_.fleet.add_hosts()->set_name("hosts/h1");
  const std::string first = Offered({"backup", ""});
  for (const char* word : {"\nlist\t", "\nshow\t", "\nverify\t", "\nrestore\t", "\nacme\t"})
    EXPECT_THAT(first, HasSubstr(word));
  EXPECT_THAT(Offered({"backup", "acme", ""}), HasSubstr("\nbeta\t"));
  EXPECT_THAT(Offered({"backup", "--", ""}), HasSubstr("\nbeta\t"));
  EXPECT_THAT(Offered({"backup", "--repository", ""}), HasSubstr("\nnas"));
  EXPECT_THAT(Offered({"backup", "verify", ""}), HasSubstr(std::string("\n") + kOfGone));
  EXPECT_THAT(Offered({"backup", "show", "01ARZ"}), HasSubstr(std::string("\n") + kNewest));
  EXPECT_EQ(Offered({"backup", "restore", ""}), "\nacme\t2 backups\ngone\t1 backup\n");
  const std::string from = Offered({"backup", "restore", "acme", "--from", ""});
  EXPECT_THAT(from, HasSubstr(std::string("\n") + kOlder));
  EXPECT_THAT(from, Not(HasSubstr(kOfGone)));
  EXPECT_THAT(Offered({"backup", "restore", "acme", "--host", ""}), HasSubstr("\nh1\t"));
  EXPECT_THAT(Offered({"backup", "list", "--"}), Not(HasSubstr("--all")));
  EXPECT_THAT(Offered({"backup", "--a"}), HasSubstr("\n--all\t"));
  EXPECT_THAT(Offered({"repository", ""}), HasSubstr("\nadd\t"));
  EXPECT_EQ(Offered({"repository", "add", ""}), "\n");
}

}  // namespace
}  // namespace mtp::cli
