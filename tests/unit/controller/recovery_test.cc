// From a copy to a data folder that a controller goes on from.
#include <absl/strings/match.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "common/base/atomic_file.h"
#include "common/kv/sqlite_store.h"
#include "controller/backups/repositories.h"
#include "controller/pki/authority.h"
#include "controller/recovery/copy_pack.h"
#include "controller/recovery/copy_seal.h"
#include "controller/recovery/data_folder.h"
#include "controller/recovery/kit.h"
#include "controller/recovery/recover.h"
#include "tests/unit/controller/recovery_fixture.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

constexpr char kPassphrase[] = "correct horse battery";

// A part of a repository whose copies a test has put there.
class FakePart final : public Repository {
 public:
  using Copies = std::map<std::string, std::string>;  // by id
  explicit FakePart(const Copies* copies) : copies_(copies) {}

  absl::StatusOr<std::vector<RepositorySnapshot>> List(const std::string& fleet,
                                                       const std::string& tenant,
                                                       const CancelToken*) override {
    std::vector<RepositorySnapshot> snapshots;
    for (const auto& [id, bytes] : *copies_) {
      snapshots.push_back({.id = "snapshot-" + id, .identity = {fleet, tenant, id}});
    }
    return snapshots;
  }
  absl::Status Restore(const std::string& snapshot, const std::string& folder,
                       const CancelToken*) override {
    return WriteFileAtomically(folder + "/state", copies_->at(snapshot.substr(9)), 0600);
  }
  absl::Status Init(const CancelToken*) override { return Unused(); }
  absl::StatusOr<BackupResult> Backup(const BackupRequest&,
                                      const std::function<void(const BackupProgress&)>&,
                                      const CancelToken*) override {
    return Unused();
  }
  absl::StatusOr<RepositorySnapshot> Find(const BackupIdentity&, const CancelToken*) override {
    return Unused();
  }
  absl::Status Check(bool, const CancelToken*) override { return Unused(); }
  absl::Status Forget(const std::vector<std::string>&, const CancelToken*) override {
    return Unused();
  }
  absl::StatusOr<int64_t> Prune(bool, const CancelToken*) override { return Unused(); }
  absl::Status Unlock(const CancelToken*) override { return Unused(); }
  absl::StatusOr<RepositoryStats> Stats(const CancelToken*) override { return Unused(); }

 private:
  static absl::Status Unused() { return absl::UnimplementedError("not used"); }
  const Copies* const copies_;
};

class RecoveryTest : public RecoveryFixture {
 protected:
  RecoveryTest() {
    for (const char* name : {"away", "near"}) {
      auto* entry = kit_.add_repositories();
      entry->mutable_repository()->set_name(absl::StrCat("repositories/", name));
      entry->mutable_repository()->set_url(absl::StrCat("/srv/", name));
      entry->mutable_secrets()->set_root_key(kRecoveryRootKey);
    }
    kit_.set_fleet(kFleet);
    EXPECT_TRUE(MakeFolders(folder_ / "fetched", 0700).ok());
  }
  static std::string Sealed(const CopySource& source) {
    return SealCopy(PackState(source, 3 << 20)->Reveal(), CopyKey(kRecoveryRootKey, kFleet))
        .value();
  }
  absl::StatusOr<Recovered> FromKit(const std::string& repository = "",
                                    const std::string& copy = "") {
    const OpenPart open =
        [this](RepositoryAccess access) -> absl::StatusOr<std::unique_ptr<Repository>> {
      urls_.push_back(access.url);
      passwords_.push_back(std::string(access.password.Reveal()));
      const auto found = copies_.find(access.url);
      if (found == copies_.end()) return absl::NotFoundError("no repository there");
      return std::make_unique<FakePart>(&found->second);
    };
    return RecoverFromKit(kit_,
                          {.repository = repository, .copy = copy, .folder = folder_ / "fetched"},
                          open, recovered_dir_, clock_);
  }
  // From a copy of the state as it is now.
  absl::StatusOr<Recovered> Recover() {
    copies_["/srv/near/_controller"] = {{"01B", Sealed(Source())}};
    return FromKit();
  }
  absl::Status BackUp(const std::string& file) {
    return BackUpToFile(data_dir_, kFleet, file, SecretString(kPassphrase), clock_, random_)
        .status();
  }

  const std::string recovered_dir_ = folder_ / "recovered";
  v1::RecoveryKit kit_;
  std::map<std::string, FakePart::Copies> copies_;  // by url
  std::vector<std::string> urls_;
  std::vector<std::string> passwords_;
};

template <typename Message>
Message ValueOf(const kv::Table<Message>& table, const std::string& id) {
  const auto row = table.Get(id);
  EXPECT_TRUE(row.ok()) << row.status();
  return row.ok() ? row->value : Message();
}

TEST_F(RecoveryTest, ARandomStateComesBackWithItsKeysWhileTheControllerRuns) {
  std::map<std::string, v1::TenantSecrets> secrets;
  std::map<std::string, std::string> backups;
  for (int i = 0; i < 40; ++i) {
    const std::string name = absl::StrCat("client-", i);
    secrets[name] = maker_->Secrets();
    maker_->AddTenant(name, secrets[name], static_cast<int64_t>(1 + random_.Below(9)));
    backups[name] = maker_->AddBackup(name, secrets[name]);
  }
  kv::Txn hosts;
  for (int i = 0; i < 512; ++i) hosts.Put(absl::StrCat("/hosts/h", i), random_.Bytes(40));
  ASSERT_TRUE(store_->Commit(hosts).ok());
  ASSERT_TRUE(BackUp(folder_ / "copy").ok());
  const auto recovered =
      RecoverFromFile(folder_ / "copy", SecretString(kPassphrase), recovered_dir_, clock_);
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_EQ(recovered->tenants, 40);
  EXPECT_EQ(recovered->backups, 40);
  EXPECT_EQ(recovered->fleet, kFleet);

  const SecretBox box = SecretBox::OpenExisting(recovered_dir_ + "/master.key").value();
  const auto store = kv::OpenSqliteStore(recovered_dir_ + "/state.db").value();
  const Tables tables(store.get());
  for (const auto& [name, wanted] : secrets) {
    const auto plain = box.Open(ValueOf(tables.secrets, name).sealed(), tables.secrets.Key(name));
    EXPECT_EQ(plain->Reveal(), wanted.SerializeAsString());
    const auto backed_up = box.Open(ValueOf(tables.backups, backups[name]).sealed_secrets(),
                                    tables.backups.Key(backups[name]));
    ASSERT_TRUE(backed_up.ok()) << backed_up.status();
    EXPECT_EQ(backed_up->Reveal(), wanted.SerializeAsString());
  }
  for (const kv::Entry& entry : store_->List("")) {
    if (absl::StartsWith(entry.key, "/tenants/") || absl::StartsWith(entry.key, "/epochs/") ||
        absl::StartsWith(entry.key, "/backups/")) {
      EXPECT_TRUE(store->Get(entry.key).ok()) << entry.key;
      continue;
    }
    EXPECT_EQ(store->Get(entry.key)->value, entry.value) << entry.key;
  }
  const auto authority = Authority::Open(recovered_dir_ + "/pki", kFleet, box);
  ASSERT_TRUE(authority.ok()) << authority.status();
  EXPECT_EQ(authority->fingerprint(),
            Authority::Open(data_dir_ + "/pki", kFleet, *box_)->fingerprint());
  for (const auto& entry : std::filesystem::recursive_directory_iterator(recovered_dir_)) {
    struct stat facts {};
    ASSERT_EQ(stat(entry.path().c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 077, 0U) << entry.path();
  }
}

TEST_F(RecoveryTest, EpochsAreAboveAllThatWasGivenSince) {
  maker_->AddTenant("acme", maker_->Secrets(), 5);
  state::v1::EpochRecord gone;
  gone.set_epoch(3);
  maker_->Put("/epochs/gone", gone.SerializeAsString());
  ASSERT_TRUE(Recover().ok());
  const int64_t now = absl::ToUnixSeconds(clock_.Now());
  {
    const auto store = kv::OpenSqliteStore(recovered_dir_ + "/state.db").value();
    const Tables tables(store.get());
    EXPECT_EQ(ValueOf(tables.tenants, "acme").epoch(), now);
    EXPECT_EQ(ValueOf(tables.epochs, "acme").epoch(), now);
    EXPECT_EQ(ValueOf(tables.epochs, "gone").epoch(), now);
    EXPECT_EQ(ValueOf(tables.epochs, kEveryName).epoch(), now);
  }
  // Recovered again, in the same second: still above.
  CopySource source = Source();
  source.records = kv::ReadSqliteStore(recovered_dir_ + "/state.db").value();
  copies_["/srv/near/_controller"] = {{"01C", Sealed(source)}};
  std::filesystem::remove_all(recovered_dir_);
  std::filesystem::remove_all(folder_ / "fetched/state");
  ASSERT_TRUE(FromKit().ok());
  const auto store = kv::OpenSqliteStore(recovered_dir_ + "/state.db").value();
  EXPECT_EQ(ValueOf(Tables(store.get()).tenants, "acme").epoch(), now + 1);
  EXPECT_EQ(ValueOf(Tables(store.get()).epochs, kEveryName).epoch(), now + 1);
}

TEST_F(RecoveryTest, WhatWasUnderWayIsEndedAndTold) {
  const std::string id = maker_->AddOperation("remove", v1::OPERATION_STATE_RUNNING);
  state::v1::RolloutRecord rollout;
  rollout.mutable_rollout()->set_state(v1::ROLLOUT_STATE_RUNNING);
  rollout.mutable_rollout()->add_tenants()->set_state(v1::ROLLOUT_TENANT_STATE_UPDATING);
  maker_->Put("/rollouts/01", rollout.SerializeAsString());
  const auto recovered = Recover();
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  ASSERT_THAT(recovered->interrupted, ::testing::SizeIs(1));
  EXPECT_EQ(recovered->interrupted[0].id, id);
  EXPECT_EQ(recovered->interrupted[0].kind, "remove");
  const auto store = kv::OpenSqliteStore(recovered_dir_ + "/state.db").value();
  const Tables tables(store.get());
  const v1::Operation operation = ValueOf(tables.operations, id).operation();
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_TRUE(operation.has_end_time());
  EXPECT_THAT(operation.error().message(), HasSubstr("mtp-cli status"));
  EXPECT_EQ(operation.steps(0).state(), v1::STEP_STATE_FAILED);
  EXPECT_THAT(store->List("/locks/"), ::testing::IsEmpty());
  EXPECT_EQ(ValueOf(tables.rollouts, "01").rollout().state(), v1::ROLLOUT_STATE_FAILED);
  EXPECT_EQ(ValueOf(tables.rollouts, "01").rollout().tenants(0).state(),
            v1::ROLLOUT_TENANT_STATE_FAILED);
}

TEST_F(RecoveryTest, WhatAnOperationHadReservedForItselfIsReleased) {
  for (const auto& [tenant, host] : {std::pair("acme", "h1"), std::pair("beta", "h2")}) {
    maker_->AddTenant(tenant, maker_->Secrets());
    state::v1::TenantRecord record;
    record.set_name(tenant);
    record.set_host(host);
    maker_->Put(absl::StrCat("/tenants/", tenant), record.SerializeAsString());
  }
  state::v1::AllocationsRecord reserved;
  reserved.add_allocations()->set_tenant("acme");
  reserved.add_allocations()->set_tenant("beta");  // was failing over to its host
  reserved.add_allocations()->set_tenant("sandbox-of-a-drill");
  maker_->Put("/allocations/h1", reserved.SerializeAsString());
  ASSERT_TRUE(Recover().ok());
  const auto store = kv::OpenSqliteStore(recovered_dir_ + "/state.db").value();
  const auto left = ValueOf(Tables(store.get()).allocations, "h1");
  ASSERT_EQ(left.allocations_size(), 1);
  EXPECT_EQ(left.allocations(0).tenant(), "acme");
}

TEST_F(RecoveryTest, AFolderInUseIsRefusedAndLeftAsItIsBeforeAnythingIsFetched) {
  ASSERT_TRUE(MakeFolders(recovered_dir_, 0700).ok());
  ASSERT_TRUE(WriteFileAtomically(recovered_dir_ + "/mine", "1", 0600).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Recover().status()));
  EXPECT_THAT(urls_, ::testing::IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(recovered_dir_ + "/mine"));
  EXPECT_FALSE(std::filesystem::exists(recovered_dir_ + "/state.db"));
}

// Killed after any of the files: begun again it comes to the same end, and before that `run`
// finds no fleet.
TEST_F(RecoveryTest, ADeathInTheMiddleIsBegunAgain) {
  maker_->AddTenant("acme", maker_->Secrets());
  ASSERT_TRUE(Recover().ok());
  std::filesystem::remove(recovered_dir_ + "/controller.yaml");
  ASSERT_TRUE(WriteFileAtomically(recovered_dir_ + "/recovering", "", 0600).ok());
  ASSERT_TRUE(WriteFileAtomically(recovered_dir_ + "/pki/half", "x", 0600).ok());
  ASSERT_TRUE(WriteFileAtomically(recovered_dir_ + "/state.db", "half", 0600).ok());
  ASSERT_TRUE(Recover().ok());
  EXPECT_FALSE(std::filesystem::exists(recovered_dir_ + "/recovering"));
  EXPECT_FALSE(std::filesystem::exists(recovered_dir_ + "/pki/half"));
  EXPECT_TRUE(kv::OpenSqliteStore(recovered_dir_ + "/state.db").value()->Get("/tenants/acme").ok());
  // A whole one is never begun again, whatever marker is left in it.
  ASSERT_TRUE(WriteFileAtomically(recovered_dir_ + "/recovering", "", 0600).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Recover().status()));
}

TEST_F(RecoveryTest, ACopyWithAFileOfItsOwnOrWithoutOneIsRefused) {
  auto copy = CollectState(Source(), 100).value();
  copy.mutable_files(0)->set_path("../evil");
  EXPECT_TRUE(absl::IsDataLoss(WriteDataFolder(&copy, recovered_dir_, clock_.Now()).status()));
  copy.mutable_files()->DeleteSubrange(0, 1);
  EXPECT_TRUE(absl::IsDataLoss(WriteDataFolder(&copy, recovered_dir_, clock_.Now()).status()));
  EXPECT_FALSE(std::filesystem::exists(recovered_dir_));
}

TEST_F(RecoveryTest, AMissingOrDamagedStateIsNotBackedUp) {
  store_.reset();
  ASSERT_TRUE(WriteFileAtomically(data_dir_ + "/state.db", "no database at all", 0600).ok());
  EXPECT_TRUE(absl::IsDataLoss(BackUp(folder_ / "copy")));
  std::filesystem::remove(data_dir_ + "/state.db");
  EXPECT_TRUE(absl::IsNotFound(BackUp(folder_ / "copy")));
  EXPECT_FALSE(std::filesystem::exists(data_dir_ + "/state.db"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "copy"));
}

std::string KitText(const std::string& url) {
  return absl::StrCat("# Recovery kit.\n\nfleet: mtp\ntime: 2026-01-01T00:00:00Z\nrepositories:\n",
                      "  - name: main\n    url: \"", url, "\"\n    root_key: \"", kRecoveryRootKey,
                      "\"\n    tenants:\n      - acme\n");
}

TEST(RecoveryKitTest, ReadsWhatTheCliWrites) {
  const auto kit = ParseKit(KitText("/srv/backups"));
  ASSERT_TRUE(kit.ok()) << kit.status();
  EXPECT_EQ(kit->fleet(), kFleet);
  ASSERT_EQ(kit->repositories_size(), 1);
  EXPECT_EQ(kit->repositories(0).repository().name(), "repositories/main");
  EXPECT_EQ(kit->repositories(0).repository().url(), "/srv/backups");
  EXPECT_EQ(kit->repositories(0).secrets().root_key(), kRecoveryRootKey);
}

TEST(RecoveryKitTest, RefusesWhatIsNoKitWithoutRepeatingSecrets) {
  for (const std::string& text :
       {std::string("nothing"), std::string("fleet: [\n"), std::string("fleet: mtp\n"),
        std::string("fleet: mtp\nrepositories: []\n"), KitText("relative"), KitText("/srv\\_x"),
        std::string("fleet: mtp\nrepositories:\n  - name: main\n    url: /srv\n"),
        std::string(
            "fleet: mtp\nrepositories:\n  - name: m\n    url: /srv\n    root_key: SECRET\n")}) {
    const auto kit = ParseKit(text);
    EXPECT_TRUE(absl::IsInvalidArgument(kit.status())) << text;
    EXPECT_THAT(std::string(kit.status().message()), ::testing::Not(HasSubstr("SECRET")));
  }
}

TEST_F(RecoveryTest, TakesTheNewestCopyOfAllRepositories) {
  copies_["/srv/away/_controller"] = {{"01A", "old"}};
  copies_["/srv/near/_controller"] = {{"01B", Sealed(Source())}};
  const auto recovered = FromKit();
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_EQ(recovered->from, "repository near");
  EXPECT_THAT(recovered->unread, ::testing::IsEmpty());
  // The part's password is that which agents get for it, and not what opens the copy.
  v1::RepositorySecrets secrets;
  secrets.set_root_key(kRecoveryRootKey);
  EXPECT_EQ(passwords_[0], AccessOf("/srv/away", secrets, "_controller").password());
}

TEST_F(RecoveryTest, TellsOfRepositoriesThatItCouldNotLookInto) {
  copies_["/srv/near/_controller"] = {{"01B", Sealed(Source())}};
  const auto recovered = FromKit();
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  ASSERT_THAT(recovered->unread, ::testing::SizeIs(1));
  EXPECT_THAT(recovered->unread[0], HasSubstr("/srv/away/_controller"));
}

TEST_F(RecoveryTest, WithoutAnyCopyItSaysWhereTheFolderHasToBe) {
  const auto recovered = FromKit("near");
  EXPECT_TRUE(absl::IsNotFound(recovered.status()));
  EXPECT_THAT(std::string(recovered.status().message()),
              HasSubstr("/srv/near/_controller of this machine"));
  EXPECT_THAT(urls_, ::testing::ElementsAre("/srv/near/_controller"));
  EXPECT_FALSE(std::filesystem::exists(recovered_dir_));
  EXPECT_TRUE(absl::IsInvalidArgument(FromKit("other").status()));
}

TEST_F(RecoveryTest, TakesTheNamedCopy) {
  copies_["/srv/near/_controller"] = {{"01A", Sealed(Source())}, {"01B", "newer"}};
  EXPECT_TRUE(FromKit("", "01A").ok());
}

TEST_F(RecoveryTest, ADamagedCopyLeavesNothing) {
  std::string sealed = Sealed(Source());
  sealed[sealed.size() / 2] ^= 1;
  copies_["/srv/near/_controller"] = {{"01B", sealed}};
  EXPECT_TRUE(absl::IsDataLoss(FromKit().status()));
  EXPECT_FALSE(std::filesystem::exists(recovered_dir_));
}

TEST_F(RecoveryTest, ACopyOfAnotherFleetIsRefused) {
  kit_.set_fleet("other");
  CopySource source = Source();
  copies_["/srv/near/_controller"] = {
      {"01B",
       SealCopy(PackState(source, 3 << 20)->Reveal(), CopyKey(kRecoveryRootKey, "other")).value()}};
  EXPECT_TRUE(absl::IsDataLoss(FromKit().status()));
  EXPECT_FALSE(std::filesystem::exists(recovered_dir_));
}

}  // namespace
}  // namespace mtp
