#include "agent/tenants/journal.h"

#include <absl/strings/match.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/base/atomic_file.h"
#include "common/kv/sqlite_store.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

class JournalTest : public ::testing::Test {
 protected:
  static TenantName Name(absl::string_view text) { return *TenantName::Parse(text); }
  static Journal::TenantChange Change(int port) {
    Journal::TenantChange change;
    change.epoch = 1;
    change.port = port;
    change.subnets = 4;
    change.secrets.set_gateway_token("planted-secret");
    return change;
  }
  static state::v1::AgentActionRecord Action(const std::string& key, const std::string& tenant,
                                             int64_t epoch) {
    state::v1::AgentActionRecord record;
    record.mutable_action()->set_key(key);
    record.mutable_action()->set_tenant(tenant);
    record.mutable_action()->set_state(v1::ACTION_STATE_RUNNING);
    record.mutable_request()->set_key(key);
    record.mutable_request()->set_tenant(tenant);
    record.mutable_request()->set_epoch(epoch);
    return record;
  }

  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  SecretBox box_ = SecretBox::ForTest();
  Journal journal_{store_.get(), &box_};
};

TEST_F(JournalTest, HoldsSecretsOnlySealed) {
  ASSERT_TRUE(journal_.PutTenant(Name("acme"), Change(18801)).ok());
  v1::EnsureActionRequest request;
  request.mutable_apply()->mutable_secrets()->set_anthropic_key("planted-secret");
  ASSERT_TRUE(journal_.BeginAction(Action("o/1", "acme", 1), request).ok());
  for (const kv::Entry& entry : store_->List("/")) {
    EXPECT_FALSE(absl::StrContains(entry.value, "planted-secret")) << entry.key;
  }
  EXPECT_EQ(journal_.Secrets(Name("acme"))->gateway_token(), "planted-secret");
  EXPECT_EQ(journal_.ActionSecrets("o/1")->anthropic_key(), "planted-secret");
}

TEST_F(JournalTest, ForgetsAnActionsOwnSecretsAtItsEnd) {
  auto record = Action("o/1", "acme", 1);
  v1::EnsureActionRequest request;
  request.mutable_apply();
  ASSERT_TRUE(journal_.BeginAction(record, request).ok());
  record.mutable_action()->set_state(v1::ACTION_STATE_FAILED);
  ASSERT_TRUE(journal_.EndAction(record).ok());
  EXPECT_EQ(journal_.ActionSecrets("o/1").status().code(), absl::StatusCode::kNotFound);
}

// Sealed they may still be opened by who gets the master key later.
TEST_F(JournalTest, LeavesNoSealedSecretInItsFilesOnceItIsForgotten) {
  mtp::testing::TempFolder folder;
  auto store = *kv::OpenSqliteStore(folder / "journal.sqlite");
  Journal journal(store.get(), &box_);
  auto record = Action("o/1", "acme", 1);
  v1::EnsureActionRequest request;
  request.mutable_apply()->mutable_secrets()->set_anthropic_key("planted-secret");
  std::vector<std::string> forgotten;
  const auto remember = [&](const std::string& key) {
    const auto entry = store->Get(key);
    ASSERT_TRUE(entry.ok()) << key;
    forgotten.push_back(entry->value);
  };
  ASSERT_TRUE(journal.BeginAction(record, request).ok());
  remember("/action-secrets/o/1");
  ASSERT_TRUE(journal.PutTenant(Name("acme"), Change(18801)).ok());
  remember("/secrets/acme");
  ASSERT_TRUE(journal.PutTenant(Name("acme"), Change(18801)).ok());
  remember("/secrets/acme");
  record.mutable_action()->set_state(v1::ACTION_STATE_DONE);
  ASSERT_TRUE(journal.EndAction(record).ok());
  ASSERT_TRUE(journal.RemoveTenant(Name("acme")).ok());
  for (const auto& file : std::filesystem::directory_iterator(folder.path())) {
    const std::string bytes = *ReadFile(file.path(), 64 << 20);
    for (const std::string& sealed : forgotten) {
      EXPECT_FALSE(absl::StrContains(bytes, sealed)) << file.path();
    }
  }
}

TEST_F(JournalTest, HoldsTheAccessToARepositorySealedAndUntilTheEnd) {
  std::vector<v1::EnsureActionRequest> requests(4);
  requests[0].mutable_snapshot()->mutable_repository()->set_password("planted-secret");
  requests[1].mutable_verify()->mutable_repository()->set_password("planted-secret");
  requests[2].mutable_restore()->mutable_repository()->set_password("planted-secret");
  requests[3].mutable_forget()->mutable_repository()->set_password("planted-secret");
  for (size_t i = 0; i < requests.size(); ++i) {
    const std::string key = absl::StrCat("o/", i);
    auto record = Action(key, "acme", 1);
    record.mutable_request()->MergeFrom(WithoutSecrets(requests[i]));
    ASSERT_TRUE(journal_.BeginAction(record, requests[i]).ok());
    EXPECT_EQ(journal_.ActionRepository(key)->password(), "planted-secret");
    for (const kv::Entry& entry : store_->List("/")) {
      EXPECT_FALSE(absl::StrContains(entry.value, "planted-secret")) << entry.key;
    }
    ASSERT_TRUE(journal_.EndAction(record).ok());
    EXPECT_EQ(journal_.ActionRepository(key).status().code(), absl::StatusCode::kNotFound);
  }
}

TEST_F(JournalTest, GivesTheFirstFreeNetworkAndKeepsItOnAChange) {
  EXPECT_EQ(journal_.PutTenant(Name("a"), Change(18801))->subnet_index(), 1);
  EXPECT_EQ(journal_.PutTenant(Name("b"), Change(18802))->subnet_index(), 2);
  ASSERT_TRUE(journal_.RemoveTenant(Name("a")).ok());
  EXPECT_EQ(journal_.PutTenant(Name("c"), Change(18803))->subnet_index(), 1);
  EXPECT_EQ(journal_.PutTenant(Name("b"), Change(18804))->subnet_index(), 2);
}

TEST_F(JournalTest, RefusesATenantWhenNoNetworkIsLeft) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(journal_.PutTenant(Name(absl::StrCat("t", i)), Change(18801 + i)).ok());
  }
  EXPECT_EQ(journal_.PutTenant(Name("t3"), Change(18810)).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(JournalTest, APortThatIsTakenBecomesTheNextFreeOneForAsLongAsTheTenantIsHere) {
  EXPECT_EQ(journal_.PutTenant(Name("a"), Change(18801))->port(), 18801);
  EXPECT_EQ(journal_.PutTenant(Name("b"), Change(18802))->port(), 18802);
  EXPECT_EQ(journal_.PutTenant(Name("c"), Change(18801))->port(), 18803);
  ASSERT_TRUE(journal_.MoveToNextPort(Name("a")).ok());
  EXPECT_EQ(journal_.Tenant(Name("a"))->port(), 18804);
  EXPECT_EQ(journal_.PutTenant(Name("a"), Change(18801))->port(), 18804);
  ASSERT_TRUE(journal_.RemoveTenant(Name("a")).ok());
  EXPECT_EQ(journal_.PutTenant(Name("a"), Change(18801))->port(), 18801);
  EXPECT_TRUE(absl::IsNotFound(journal_.MoveToNextPort(Name("d"))));
}

TEST_F(JournalTest, TheLastPortHasNoNextOne) {
  ASSERT_TRUE(journal_.PutTenant(Name("a"), Change(65535)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(journal_.MoveToNextPort(Name("a"))));
  EXPECT_TRUE(absl::IsResourceExhausted(journal_.PutTenant(Name("b"), Change(65535)).status()));
}

TEST_F(JournalTest, RefusesAPrefixThatAnotherTenantHas) {
  ASSERT_TRUE(journal_.PutTenant(Name("1abc"), Change(18801)).ok());
  EXPECT_THAT(std::string(journal_.PutTenant(Name("t-1abc"), Change(18802)).status().message()),
              HasSubstr("T_1ABC"));
}

TEST_F(JournalTest, RemembersTheHighestEpochOfANameThatWasRemoved) {
  ASSERT_TRUE(journal_.BeginAction(Action("o/1", "acme", 5), {}).ok());
  ASSERT_TRUE(journal_.RemoveTenant(Name("acme")).ok());
  EXPECT_EQ(journal_.HighestEpoch(Name("acme")), 5);
  EXPECT_EQ(journal_.BeginAction(Action("o/2", "acme", 4), {}).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(journal_.Action("o/2").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(JournalTest, RaisesATenantsEpochWithEachCommandOfANewerPlacement) {
  ASSERT_TRUE(journal_.PutTenant(Name("acme"), Change(18801)).ok());
  ASSERT_TRUE(journal_.BeginAction(Action("o/1", "acme", 9), {}).ok());
  EXPECT_EQ(journal_.Tenant(Name("acme"))->epoch(), 9);
}

TEST_F(JournalTest, ForgetsActionsAWeekAfterTheirEnd) {
  auto old_one = Action("o/1", "acme", 1);
  ASSERT_TRUE(journal_.BeginAction(old_one, {}).ok());
  old_one.mutable_action()->set_state(v1::ACTION_STATE_DONE);
  old_one.mutable_action()->mutable_end_time()->set_seconds(1000);
  ASSERT_TRUE(journal_.EndAction(old_one).ok());
  ASSERT_TRUE(journal_.BeginAction(Action("o/2", "beta", 1), {}).ok());
  ASSERT_TRUE(journal_.TrimActions(absl::FromUnixSeconds(1000) + absl::Hours(167)).ok());
  EXPECT_TRUE(journal_.Action("o/1").ok());
  ASSERT_TRUE(journal_.TrimActions(absl::FromUnixSeconds(1000) + absl::Hours(169)).ok());
  EXPECT_FALSE(journal_.Action("o/1").ok());
  EXPECT_TRUE(journal_.Action("o/2").ok()) << "a running action is never forgotten";
}

TEST_F(JournalTest, MakesTheAdminsTokenOnceOf256Bits) {
  testing::SeededRandom random(1);
  const std::string first(journal_.AdminGatewayToken(random)->Reveal());
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(std::string(journal_.AdminGatewayToken(random)->Reveal()), first);
}

TEST_F(JournalTest, HashesTheWholeRequestWhateverTheOrderOfItsLabels) {
  v1::EnsureActionRequest one, other;
  for (int i = 0; i < 20; ++i) {
    (*one.mutable_apply()->mutable_spec()->mutable_labels())[absl::StrCat(i)] = "x";
    (*other.mutable_apply()->mutable_spec()->mutable_labels())[absl::StrCat(19 - i)] = "x";
  }
  EXPECT_EQ(RequestHash(one), RequestHash(other));
  other.mutable_apply()->mutable_secrets()->set_openai_key("x");
  EXPECT_NE(RequestHash(one), RequestHash(other));
  EXPECT_FALSE(WithoutSecrets(other).apply().has_secrets());
}

}  // namespace
}  // namespace mtp
