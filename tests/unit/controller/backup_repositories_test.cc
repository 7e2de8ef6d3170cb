// What a repository may be, and how its tenants' parts are opened.
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <gmock/gmock.h>

#include "common/restic/repository_place.h"
#include "controller/backups/repositories.h"
#include "tests/unit/controller/backups_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

v1::AddRepositoryRequest Folder(const std::string& name, const std::string& url = "/srv/backups") {
  v1::AddRepositoryRequest request;
  request.set_repository_id(name);
  request.set_url(url);
  return request;
}

v1::AddRepositoryRequest Sftp() {
  v1::AddRepositoryRequest request = Folder("far", "sftp://mtp@store.example:2222/srv/mtp");
  request.mutable_secrets()->set_sftp_private_key("-----BEGIN\nSFTP-MARKER\n-----END\n");
  request.mutable_secrets()->set_sftp_known_hosts("store.example ssh-ed25519 AAAA\n");
  return request;
}

v1::AddRepositoryRequest S3() {
  v1::AddRepositoryRequest request = Folder("cloud", "s3:https://s3.example:9000/bucket/prefix");
  request.mutable_secrets()->set_s3_access_key("ACCESS-MARKER");
  request.mutable_secrets()->set_s3_secret_key("SECRET-MARKER");
  request.mutable_secrets()->set_ca_certificates("-----BEGIN CERTIFICATE-----\n");
  return request;
}

class BackupRepositories : public BackupsFixture {
 protected:
  std::string Refusal(const v1::AddRepositoryRequest& request) {
    const absl::Status status = repositories_.Add(request).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  }
};

TEST(BackupRepositoryPlace, TakesTheThreeKindsOfUrls) {
  using Kind = RepositoryPlace::Kind;
  const std::vector<std::pair<std::string, Kind>> good = {
      {"/srv", Kind::kFolder},
      {"/srv/with space/ü", Kind::kFolder},
      {"sftp://mtp@store.example/srv/mtp", Kind::kSftp},
      {"sftp://mtp@[2001:db8::1]:2222/srv", Kind::kSftp},
      {"s3:https://s3.example/bucket", Kind::kS3},
      {"s3:https://s3.example:9000/bucket/a/b", Kind::kS3},
      {"s3:http://127.0.0.1:9000/bucket", Kind::kS3},
      {"s3:http://localhost/bucket", Kind::kS3},
      {"s3:http://[::1]:9000/bucket", Kind::kS3},
  };
  for (const auto& [url, kind] : good) {
    const auto place = RepositoryPlace::Parse(url);
    ASSERT_TRUE(place.ok()) << url << ": " << place.status();
    EXPECT_EQ(place->kind(), kind) << url;
    EXPECT_EQ(place->url(), url);
    EXPECT_EQ(place->tls(), absl::StartsWith(url, "s3:https:")) << url;
  }
}

TEST(BackupRepositoryPlace, TakesAClosingSlashOff) {
  for (const std::string url : {"/srv/b", "sftp://u@h/srv", "s3:https://h/bucket"}) {
    const auto place = RepositoryPlace::Parse(url + "/");
    ASSERT_TRUE(place.ok()) << place.status();
    EXPECT_EQ(place->url(), url);
  }
}

TEST(BackupRepositoryPlace, RefusesEverythingElseWithoutRepeatingIt) {
  const std::vector<std::string> bad = {
      "",
      "/",
      "//",
      "srv",
      "~/srv",
      "./srv",
      "/srv/../etc",
      "/srv/..",
      "/srv/./b",
      "/srv//b",
      "/srv\nb",
      std::string("/srv\0b", 6),
      "/" + std::string(512, 'a'),
      "sftp://",
      "sftp://host/srv",
      "sftp://mtp@host",
      "sftp://mtp@host/",
      "sftp://mtp@/srv",
      "sftp://mtp:PASS@host/srv",
      "sftp://-oProxyCommand=x@host/srv",
      "sftp://mtp@-host/srv",
      "sftp://mtp@host:0/srv",
      "sftp://mtp@host:65536/srv",
      "sftp://mtp@host:+22/srv",
      "sftp://mtp@host:/srv",
      "sftp://mtp@host/srv/../etc",
      "sftp://mtp@host/srv?x",
      "sftp://mtp@host/a b",
      "sftp://mtp@[::1/srv",
      "sftp:mtp@host:/srv",
      "s3:https://host",
      "s3:https://host/",
      "s3:https://host/ab",
      "s3:https:///bucket",
      "s3:https://host/" + std::string(64, 'b'),
      "s3:https://key:PASS@host/bucket",
      "s3:https://host/bucket/../other",
      "s3:https://host/bucket//x",
      "s3:https://host/bucket?x=y",
      "s3:http://host/bucket",
      "s3:http://127.example.com/bucket",
      "s3:http://10.0.0.1/bucket",
      "s3://host/bucket",
      "https://host/bucket",
      "rclone:x:y",
      "rest:https://host/",
  };
  for (const std::string& url : bad) {
    const absl::Status status = RepositoryPlace::Parse(url).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << url << ": " << status;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("PASS"))) << url;
  }
}

TEST_F(BackupRepositories, TheFirstIsTheDefaultOne) {
  const auto first = repositories_.Add(Folder("main"));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->name(), "repositories/main");
  EXPECT_EQ(first->url(), "/srv/backups");
  EXPECT_TRUE(first->is_default());
  EXPECT_TRUE(first->has_create_time());
  const auto second = repositories_.Add(Sftp());
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_FALSE(second->is_default());
  const auto all = repositories_.List();
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].name(), "repositories/far");
  EXPECT_EQ((*all)[1].name(), "repositories/main");
  EXPECT_TRUE((*all)[1].is_default());
}

TEST_F(BackupRepositories, NamesAreShortAndLowercase) {
  for (const std::string name : {"", "A", "a_b", "-a", "a-", "a/b", "ä"}) {
    EXPECT_THAT(Refusal(Folder(name)), HasSubstr("name")) << name;
  }
  Refusal(Folder(std::string(41, 'a')));
  EXPECT_TRUE(repositories_.Add(Folder(std::string(40, 'a'))).ok());
}

TEST_F(BackupRepositories, EachKindNeedsItsSecretsAndTakesNoOthers) {
  v1::AddRepositoryRequest request = Sftp();
  request.mutable_secrets()->clear_sftp_private_key();
  EXPECT_THAT(Refusal(request), HasSubstr("SFTP private key"));
  request = Sftp();
  request.mutable_secrets()->clear_sftp_known_hosts();
  EXPECT_THAT(Refusal(request), HasSubstr("SFTP known hosts"));
  request = Sftp();
  request.mutable_secrets()->set_s3_secret_key("SECRET-MARKER");
  EXPECT_THAT(Refusal(request), AllOf(HasSubstr("S3 secret key"), Not(HasSubstr("MARKER"))));
  request = S3();
  request.mutable_secrets()->clear_s3_access_key();
  EXPECT_THAT(Refusal(request), HasSubstr("S3 access key"));
  request = S3();
  request.mutable_secrets()->clear_s3_secret_key();
  EXPECT_THAT(Refusal(request), HasSubstr("S3 secret key"));
  request = S3();
  request.set_url("s3:http://localhost/bucket");
  EXPECT_THAT(Refusal(request), HasSubstr("CA certificates"));
  request = Folder("main");
  request.mutable_secrets()->set_sftp_private_key("SFTP-MARKER");
  EXPECT_THAT(Refusal(request), AllOf(HasSubstr("a local folder"), Not(HasSubstr("MARKER"))));
  EXPECT_TRUE(repositories_.Add(Sftp()).ok());
  EXPECT_TRUE(repositories_.Add(S3()).ok());
}

TEST_F(BackupRepositories, SecretsHaveTheirForm) {
  for (const std::string& key :
       {std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g'), std::string("x")}) {
    v1::AddRepositoryRequest request = Folder("main");
    request.mutable_secrets()->set_root_key(key);
    EXPECT_THAT(Refusal(request), AllOf(HasSubstr("root key"), Not(HasSubstr(key + key))));
  }
  v1::AddRepositoryRequest request = S3();
  request.mutable_secrets()->set_s3_secret_key("two\nlines");
  EXPECT_THAT(Refusal(request), HasSubstr("S3 secret key"));
  request = S3();
  request.mutable_secrets()->set_s3_access_key(std::string(4097, 'a'));
  EXPECT_THAT(Refusal(request), HasSubstr("S3 access key"));
  request = Sftp();
  request.mutable_secrets()->set_sftp_known_hosts(std::string("a\0b", 3));
  EXPECT_THAT(Refusal(request), HasSubstr("SFTP known hosts"));
  request = Sftp();
  request.mutable_secrets()->set_sftp_private_key(std::string(65537, 'a'));
  EXPECT_THAT(Refusal(request), HasSubstr("SFTP private key"));
}

TEST_F(BackupRepositories, TheSameAgainChangesNothing) {
  ASSERT_TRUE(repositories_.Add(Folder("main")).ok());
  const std::string first = repositories_.Add(S3())->SerializeAsString();
  const std::string password = AccessFor(tables_, box_, "cloud", "acme")->password();
  const std::string before = AllBytes();
  EXPECT_EQ(repositories_.Add(S3())->SerializeAsString(), first);
  v1::AddRepositoryRequest bare = S3();
  bare.clear_secrets();
  bare.set_url(bare.url() + "/");
  EXPECT_EQ(repositories_.Add(bare)->SerializeAsString(), first);
  EXPECT_EQ(AllBytes(), before);
  EXPECT_EQ(AccessFor(tables_, box_, "cloud", "acme")->password(), password);
}

TEST_F(BackupRepositories, AnotherOneUnderTheNameIsRefused) {
  v1::AddRepositoryRequest request = S3();
  request.mutable_secrets()->set_root_key(kRootKey);
  ASSERT_TRUE(repositories_.Add(request).ok());
  std::vector<v1::AddRepositoryRequest> others(6, request);
  others[0].set_url("s3:https://s3.example:9000/bucket/other");
  others[1].mutable_secrets()->set_root_key(std::string(64, 'b'));
  others[2].mutable_secrets()->set_s3_access_key("OTHER");
  others[3].mutable_secrets()->set_s3_secret_key("OTHER");
  others[4].mutable_secrets()->set_ca_certificates("OTHER");
  others[5] = Folder("cloud");
  for (const auto& other : others) {
    const absl::Status status = repositories_.Add(other).status();
    EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("MARKER")));
  }
  request.mutable_secrets()->set_root_key(absl::AsciiStrToUpper(kRootKey));
  EXPECT_TRUE(repositories_.Add(request).ok());
}

TEST_F(BackupRepositories, ATenantsPartHasAPasswordDerivedFromTheRootKey) {
  v1::AddRepositoryRequest request = Folder("main", "/srv/backups/");
  request.mutable_secrets()->set_root_key(kRootKey);
  ASSERT_TRUE(repositories_.Add(request).ok());
  const auto access = AccessFor(tables_, box_, "main", "acme");
  ASSERT_TRUE(access.ok()) << access.status();
  EXPECT_EQ(access->url(), "/srv/backups/acme");
  EXPECT_EQ(access->password(), kAcmePassword);
  EXPECT_EQ(AccessFor(tables_, box_, "main", "acme")->SerializeAsString(),
            access->SerializeAsString());
  EXPECT_NE(AccessFor(tables_, box_, "main", "beta")->password(), kAcmePassword);
}

TEST_F(BackupRepositories, ARootKeyIsMadeForEachThatIsAddedWithoutOne) {
  ASSERT_TRUE(repositories_.Add(Folder("a", "/srv/a")).ok());
  ASSERT_TRUE(repositories_.Add(Folder("b", "/srv/b")).ok());
  const std::string one = AccessFor(tables_, box_, "a", "acme")->password();
  const std::string other = AccessFor(tables_, box_, "b", "acme")->password();
  EXPECT_EQ(one.size(), 64u);
  EXPECT_NE(one, other);
}

TEST_F(BackupRepositories, TheAgentGetsWhatTheKindNeedsAndNotTheRootKey) {
  v1::AddRepositoryRequest request = Sftp();
  request.mutable_secrets()->set_root_key(kRootKey);
  ASSERT_TRUE(repositories_.Add(request).ok());
  ASSERT_TRUE(repositories_.Add(S3()).ok());
  const auto far = AccessFor(tables_, box_, "far", "acme");
  EXPECT_EQ(far->sftp_private_key(), request.secrets().sftp_private_key());
  EXPECT_EQ(far->sftp_known_hosts(), request.secrets().sftp_known_hosts());
  EXPECT_THAT(far->SerializeAsString(), Not(HasSubstr(kRootKey)));
  const auto cloud = AccessFor(tables_, box_, "cloud", "acme");
  EXPECT_EQ(cloud->s3_access_key(), "ACCESS-MARKER");
  EXPECT_EQ(cloud->s3_secret_key(), "SECRET-MARKER");
  EXPECT_EQ(cloud->ca_certificates(), S3().secrets().ca_certificates());
  EXPECT_EQ(cloud->url(), "s3:https://s3.example:9000/bucket/prefix/acme");
  EXPECT_TRUE(absl::IsNotFound(AccessFor(tables_, box_, "none", "acme").status()));
}

TEST_F(BackupRepositories, TheRecoveryKitHasAllThatOpensThem) {
  v1::AddRepositoryRequest request = Sftp();
  request.mutable_secrets()->set_root_key(kRootKey);
  ASSERT_TRUE(repositories_.Add(request).ok());
  ASSERT_TRUE(repositories_.Add(S3()).ok());
  state::v1::BackupRecord record;
  kv::Txn txn;
  for (const char* tenant : {"beta", "acme", "beta"}) {
    record.mutable_backup()->set_tenant(tenant);
    record.mutable_backup()->set_repository("far");
    tables_.backups.Put(txn, absl::StrCat("01", tenant, txn.puts.size()), record);
  }
  ASSERT_TRUE(store_->Commit(txn).ok());
  const auto kit = repositories_.Kit("fleet");
  ASSERT_TRUE(kit.ok()) << kit.status();
  EXPECT_EQ(kit->fleet(), "fleet");
  ASSERT_EQ(kit->repositories_size(), 2);
  EXPECT_EQ(kit->repositories(0).secrets().s3_secret_key(), "SECRET-MARKER");
  EXPECT_EQ(kit->repositories(0).secrets().root_key().size(), 64u);
  const auto& far = kit->repositories(1);
  EXPECT_EQ(far.repository().url(), request.url());
  EXPECT_EQ(far.repository().backups(), 3);
  EXPECT_EQ(far.secrets().SerializeAsString(), request.secrets().SerializeAsString());
  EXPECT_THAT(far.tenants(), ::testing::ElementsAre("acme", "beta"));
}

TEST_F(BackupRepositories, SecretsAreSealedForTheirRecordAlone) {
  v1::AddRepositoryRequest request = Sftp();
  request.mutable_secrets()->set_root_key(kRootKey);
  ASSERT_TRUE(repositories_.Add(request).ok());
  ASSERT_TRUE(repositories_.Add(S3()).ok());
  EXPECT_THAT(AllBytes(), AllOf(Not(HasSubstr("MARKER")), Not(HasSubstr(kRootKey))));
  // Another record's secrets do not open.
  auto row = *tables_.repositories.Get("far");
  row.value.set_sealed_secrets(tables_.repositories.Get("cloud")->value.sealed_secrets());
  kv::Txn txn;
  tables_.repositories.Put(txn, "far", row.value);
  ASSERT_TRUE(store_->Commit(txn).ok());
  EXPECT_TRUE(absl::IsDataLoss(AccessFor(tables_, box_, "far", "acme").status()));
}

}  // namespace
}  // namespace mtp
