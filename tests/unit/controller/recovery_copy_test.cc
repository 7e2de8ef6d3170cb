// Copies of the state as bytes: what is in them, how large they are, what damage does.
#include <absl/strings/match.h>
#include <absl/strings/str_format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "common/kv/sqlite_store.h"
#include "controller/recovery/collect.h"
#include "controller/recovery/copy_pack.h"
#include "controller/recovery/copy_seal.h"
#include "tests/unit/controller/recovery_fixture.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> KeysBelow(const state::v1::StateCopy& copy, const std::string& prefix) {
  std::vector<std::string> keys;
  for (const auto& record : copy.records()) {
    if (absl::StartsWith(record.key(), prefix)) keys.push_back(record.key());
  }
  return keys;
}

class RecoveryCopyTest : public RecoveryFixture {};

TEST_F(RecoveryCopyTest, HoldsRecordsFilesAndNoHistory) {
  maker_->AddTenant("acme", maker_->Secrets());
  const std::string ended = maker_->AddOperation("provision", v1::OPERATION_STATE_SUCCEEDED);
  const std::string going_on = maker_->AddOperation("remove", v1::OPERATION_STATE_RUNNING);
  maker_->Put("/join-tokens/01", "token");
  maker_->Put("/next-secrets/acme", "sealed");
  for (int i = 0; i < 1100; i += 100) {
    kv::Txn txn;
    for (int j = i; j < i + 100; ++j) txn.Put(absl::StrFormat("/audit/%05d", j), "entry");
    ASSERT_TRUE(store_->Commit(txn).ok());
  }
  const auto copy = CollectState(Source(), 100).value();
  EXPECT_THAT(KeysBelow(copy, "/tenants/"), ::testing::ElementsAre("/tenants/acme"));
  EXPECT_THAT(KeysBelow(copy, "/secrets/"), ::testing::SizeIs(1));
  EXPECT_THAT(KeysBelow(copy, "/operations/"), ::testing::ElementsAre("/operations/" + going_on));
  EXPECT_THAT(KeysBelow(copy, "/requests/"),
              ::testing::ElementsAre("/requests/operator/alice/" + going_on));
  EXPECT_THAT(KeysBelow(copy, "/locks/"), ::testing::IsEmpty());
  EXPECT_THAT(KeysBelow(copy, "/join-tokens/"), ::testing::IsEmpty());
  EXPECT_THAT(KeysBelow(copy, "/next-secrets/"), ::testing::IsEmpty());
  const std::vector<std::string> audit = KeysBelow(copy, "/audit/");
  EXPECT_THAT(audit, ::testing::SizeIs(1000));
  EXPECT_EQ(audit.front(), "/audit/00100");
  EXPECT_EQ(copy.files_size(), 4);
  EXPECT_TRUE(
      std::is_sorted(copy.records().begin(), copy.records().end(),
                     [](const auto& one, const auto& other) { return one.key() < other.key(); }));
}

TEST_F(RecoveryCopyTest, KeepsTheNewestBackupsOfEachTenantAndSharesTheirSecrets) {
  const v1::TenantSecrets secrets = maker_->Secrets();
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(maker_->AddBackup("acme", secrets));
  const std::string other = maker_->AddBackup("beta", maker_->Secrets());
  const auto copy = CollectState(Source(), 2).value();
  EXPECT_THAT(
      KeysBelow(copy, "/backups/"),
      ::testing::ElementsAre("/backups/" + ids[3], "/backups/" + ids[4], "/backups/" + other));
  EXPECT_EQ(copy.backups_left_out(), 3);
  EXPECT_EQ(copy.secrets_size(), 2);
}

TEST_F(RecoveryCopyTest, ARecordThatCannotBeReadIsCopiedAsItIs) {
  maker_->Put("/operations/01", "\xff\xff");
  maker_->Put("/backups/01", "\xff\xff");
  state::v1::BackupRecord foreign;
  foreign.set_sealed_secrets(SecretBox::ForTest().Seal("x", "/backups/02"));
  maker_->Put("/backups/02", foreign.SerializeAsString());
  const auto copy = CollectState(Source(), 100).value();
  for (const auto& record : copy.records()) {
    EXPECT_EQ(record.value(), store_->Get(record.key())->value) << record.key();
  }
  EXPECT_THAT(KeysBelow(copy, "/backups/"), ::testing::SizeIs(2));
  EXPECT_THAT(KeysBelow(copy, "/operations/"), ::testing::SizeIs(1));
}

// 1,000 tenants with 12 backups each, more than half of which share their secrets.
TEST_F(RecoveryCopyTest, OneThousandTenantsFitIntoThreeMebibytes) {
  auto memory = kv::NewMemoryStore();
  StateMaker maker(memory.get(), &*box_, &random_);
  for (int i = 0; i < 1000; ++i) {
    const std::string name = absl::StrCat("client-", i);
    const v1::TenantSecrets secrets = maker.Secrets();
    maker.AddTenant(name, secrets);
    for (int backup = 0; backup < 12; ++backup) maker.AddBackup(name, secrets);
  }
  CopySource source = Source();
  source.records = memory->List("");
  const auto packed = PackState(source, 3 << 20);
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_LE(packed->size(), size_t{3} << 20);
  const auto copy = UnpackCopy(packed->Reveal()).value();
  RecordProperty("packed_bytes", static_cast<int>(packed->size()));
  RecordProperty("backups_left_out", copy.backups_left_out());
  EXPECT_THAT(KeysBelow(copy, "/tenants/"), ::testing::SizeIs(1000));
  EXPECT_GE(KeysBelow(copy, "/backups/").size(), 3000U);
}

TEST_F(RecoveryCopyTest, AStateThatIsTooLargeIsRefusedWithTheWayOut) {
  maker_->Put("/policies/fleet", random_.Bytes(100'000));
  const auto packed = PackState(Source(), 50'000);
  EXPECT_TRUE(absl::IsResourceExhausted(packed.status()));
  EXPECT_THAT(std::string(packed.status().message()), HasSubstr("mtp-controller backup"));
}

TEST_F(RecoveryCopyTest, RandomStatesComeBackEqual) {
  for (int round = 0; round < 50; ++round) {
    state::v1::StateCopy copy;
    copy.set_format(kCopyFormat);
    copy.set_fleet(kFleet);
    for (uint64_t i = random_.Below(50); i > 0; --i) {
      auto* record = copy.add_records();
      record->set_key(absl::StrCat("/tenants/", i));
      record->set_value(random_.Bytes(random_.Below(2000)));
    }
    for (uint64_t i = random_.Below(5); i > 0; --i) copy.add_secrets(random_.Bytes(40));
    const SecretString key = CopyKey(kRecoveryRootKey, kFleet);
    const auto sealed = SealCopy(PackCopy(copy)->Reveal(), key).value();
    const auto back = UnpackCopy(OpenCopy(sealed, key)->Reveal());
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->SerializeAsString(), copy.SerializeAsString());
  }
}

TEST_F(RecoveryCopyTest, NothingOfASealedCopyIsReadable) {
  const v1::TenantSecrets secrets = maker_->Secrets();
  maker_->AddTenant("acme", secrets);
  const SecretString packed = PackState(Source(), 3 << 20).value();
  const auto sealed = SealCopy(packed.Reveal(), CopyKey(kRecoveryRootKey, kFleet)).value();
  EXPECT_THAT(sealed, Not(HasSubstr("tenants/acme")));
  EXPECT_THAT(sealed, Not(HasSubstr(std::string(packed.Reveal().substr(0, 40)))));
  EXPECT_NE(sealed, SealCopy(packed.Reveal(), CopyKey(kRecoveryRootKey, kFleet)).value());
}

TEST_F(RecoveryCopyTest, EveryFlippedBitAndEveryCutIsNoticed) {
  const SecretString key = CopyKey(kRecoveryRootKey, kFleet);
  const std::string sealed = SealCopy("the state", key).value();
  for (size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
    std::string damaged = sealed;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(OpenCopy(damaged, key).ok()) << bit;
  }
  for (size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(OpenCopy(absl::string_view(sealed).substr(0, size), key).ok()) << size;
  }
}

TEST_F(RecoveryCopyTest, OpensUnderNoOtherKeyFleetOrPassphrase) {
  const std::string sealed = SealCopy("the state", CopyKey(kRecoveryRootKey, kFleet)).value();
  EXPECT_TRUE(absl::IsDataLoss(OpenCopy(sealed, CopyKey(kRecoveryRootKey, "other")).status()));
  EXPECT_TRUE(absl::IsDataLoss(OpenCopy(sealed, CopyKey(std::string(64, '1'), kFleet)).status()));
  const SecretString passphrase("correct horse battery");
  const std::string by_hand = SealCopyWithPassphrase("the state", passphrase).value();
  EXPECT_EQ(OpenCopyWithPassphrase(by_hand, passphrase)->Reveal(), "the state");
  EXPECT_TRUE(absl::IsDataLoss(
      OpenCopyWithPassphrase(by_hand, SecretString("correct horse batterY")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(OpenCopyWithPassphrase(sealed, passphrase).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(OpenCopy(by_hand, CopyKey(kRecoveryRootKey, kFleet)).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(SealCopyWithPassphrase("the state", SecretString("short")).status()));
}

TEST_F(RecoveryCopyTest, AnotherLayoutIsRefusedWithTheVersionThatMadeIt) {
  state::v1::StateCopy copy;
  copy.set_format(kCopyFormat + 1);
  copy.set_controller_version("9.9");
  const auto unpacked = UnpackCopy(PackCopy(copy)->Reveal());
  EXPECT_TRUE(absl::IsFailedPrecondition(unpacked.status()));
  EXPECT_THAT(std::string(unpacked.status().message()), HasSubstr("9.9"));
  EXPECT_TRUE(absl::IsDataLoss(UnpackCopy("").status()));
  EXPECT_TRUE(absl::IsDataLoss(UnpackCopy("garbage garbage").status()));
}

}  // namespace
}  // namespace mtp
