// The kind `reconfigure`: secrets, environment and port of a tenant. What its host is asked for,
// what the store has while it goes on and at each end, and where the former secrets are afterwards.
#include <gmock/gmock.h>

#include "tests/unit/controller/reconfigure_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(ReconfigureTest, TheHostGetsTheNewTokenAndTheStoreHasItAlone) {
  const v1::TenantSecrets before = Secrets();
  const v1::Operation operation = Ended(Update(Token()));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_EQ(operation.kind(), "reconfigure");
  EXPECT_EQ(operation.host(), "h1");
  EXPECT_EQ(operation.result().at("changed"), "telegram_token");
  EXPECT_EQ(Sent().telegram_token(), kNewToken);
  EXPECT_EQ(Sent().gateway_token(), before.gateway_token());
  const auto& action = agents_.Last(Act::kReconfigure).request.reconfigure();
  EXPECT_TRUE(action.probation());
  EXPECT_EQ(action.port(), Record().port());
  EXPECT_EQ(action.spec().memory_limit_mib(), 2048);
  EXPECT_EQ(agents_.Last(Act::kSoak).request.soak().duration().seconds(), 30);
  EXPECT_EQ(Secrets().telegram_token(), kNewToken);
  EXPECT_TRUE(Record().has_secret_change_time());
  ExpectNothingIsLeft();
}

TEST_F(ReconfigureTest, ANewGatewayTokenIsMadeHereWhateverTheCallerSays) {
  const std::string before = Secrets().gateway_token();
  v1::UpdateTenantRequest request = Request(-1, -1);
  request.mutable_update_mask()->add_paths("secrets.gateway_token");
  request.mutable_secrets()->set_gateway_token("chosen");
  Succeeds(request);
  EXPECT_THAT(Secrets().gateway_token(), SizeIs(64));
  EXPECT_NE(Secrets().gateway_token(), before);
  EXPECT_EQ(Sent().gateway_token(), Secrets().gateway_token());
  EXPECT_EQ(Secrets().telegram_token(), kOldToken);
}

TEST_F(ReconfigureTest, KeysComeAndGo) {
  Succeeds(Key());
  EXPECT_EQ(Secrets().anthropic_key(), kNewKey);
  Succeeds(Key(""));
  EXPECT_EQ(Secrets().anthropic_key(), "");
  EXPECT_EQ(Secrets().telegram_token(), kOldToken);
}

TEST_F(ReconfigureTest, WhatItHasAlreadyAsksNothingOfTheHost) {
  const v1::Operation operation = Ended(Update(Token(kOldToken)));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(operation.result().at("changed"), "");
  EXPECT_EQ(agents_.Count(Act::kReconfigure), 0);
  EXPECT_EQ(agents_.Count(Act::kSoak), 0);
  ExpectFormerSecrets();
}

TEST_F(ReconfigureTest, TwoTenantsNeverShareABot) {
  Provision("beta", 2);
  const auto taken = Update(Token("2:planted"));
  EXPECT_TRUE(absl::IsAlreadyExists(taken.status()));
  EXPECT_THAT(taken.status().message(), AllOf(HasSubstr("beta"), Not(HasSubstr("planted"))));
  ExpectFormerSecrets();

  // Until the end the tenant has both, and nobody else gets either.
  HostFails(FakeAgents::Running());
  const auto created = Update(Token());
  ASSERT_TRUE(created.ok()) << created.status();
  executor_.RunFor(absl::Seconds(1));
  v1::ProvisionTenantRequest provision;
  provision.set_tenant_id("gamma");
  for (const char* token : {kOldToken, kNewToken}) {
    provision.mutable_secrets()->set_telegram_token(token);
    EXPECT_TRUE(absl::IsAlreadyExists(life_->tenants.Provision(kSetCaller, provision).status()));
  }
  agents_.outcomes.erase(Act::kReconfigure);
  agents_.on_begin = nullptr;
  agents_.End(Act::kReconfigure, Well());
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_SUCCEEDED);
  // The former bot is free.
  Provision("gamma", 1);
}

TEST_F(ReconfigureTest, ATokenThatBotFatherRenewedIsTheSameBot) {
  const std::string bot = Record().bot_fingerprint();
  Succeeds(Token("1:renewed"));
  EXPECT_EQ(Record().bot_fingerprint(), bot);
  EXPECT_EQ(Secrets().telegram_token(), "1:renewed");
  ExpectNothingIsLeft();
}

TEST_F(ReconfigureTest, BackupsHaveThePresentSecretsAndNoFormerOnes) {
  const v1::TenantSecrets own = Secrets();
  PutBackup("b1", own);
  v1::TenantSecrets earlier;  // of an earlier tenant of that name, with the same bot
  earlier.set_gateway_token("another");
  earlier.set_telegram_token(kOldToken);
  earlier.set_openai_key("its own");
  PutBackup("b2", earlier);
  v1::UpdateTenantRequest both = Token();
  both.mutable_secrets()->set_anthropic_key(kNewKey);
  both.mutable_update_mask()->add_paths("secrets.anthropic_key");
  Succeeds(both);
  EXPECT_EQ(SecretsOfBackup("b1").telegram_token(), kNewToken);
  EXPECT_EQ(SecretsOfBackup("b1").anthropic_key(), kNewKey);
  EXPECT_EQ(SecretsOfBackup("b1").gateway_token(), own.gateway_token());
  EXPECT_EQ(SecretsOfBackup("b2").telegram_token(), kNewToken);
  EXPECT_EQ(SecretsOfBackup("b2").anthropic_key(), "");
  EXPECT_EQ(SecretsOfBackup("b2").openai_key(), "its own");
}

TEST_F(ReconfigureTest, MoreBackupsThanOneTransactionHoldsAreRefused) {
  for (int i = 0; i < 401; ++i) PutBackup(absl::StrCat("b", i), Secrets());
  const auto refused = Update(Token());
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(refused.status().message(), HasSubstr("backup prune acme"));
  // Of settings they have nothing.
  Succeeds(Variable("TZ", "Europe/Berlin"));
}

TEST_F(ReconfigureTest, EnvironmentAndPortReachTheHostAndTheRecord) {
  v1::UpdateTenantRequest request = Variable("TZ", "Europe/Berlin");
  request.mutable_spec()->set_port_unpublished(true);
  request.mutable_update_mask()->add_paths("port_unpublished");
  const v1::Operation operation = Ended(Update(request));
  EXPECT_EQ(operation.result().at("changed"), "environment,port_unpublished");
  const v1::TenantSpec sent = agents_.Last(Act::kReconfigure).request.reconfigure().spec();
  EXPECT_EQ(sent.environment().at("TZ"), "Europe/Berlin");
  EXPECT_TRUE(sent.port_unpublished());
  EXPECT_EQ(Record().spec().environment().at("TZ"), "Europe/Berlin");
  EXPECT_TRUE(Record().resolved().port_unpublished());
  EXPECT_FALSE(Record().has_secret_change_time());
}

TEST_F(ReconfigureTest, OnlyVariablesThatTheFleetAllows) {
  const auto message = [this](const std::string& name) {
    const auto status = Update(Variable(name, "x")).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(message("DEBUG"), AllOf(HasSubstr("DEBUG"), HasSubstr("TZ, LANG, LC_ALL")));
  EXPECT_THAT(message("TELEGRAM_BOT_TOKEN"), HasSubstr("set by the system itself"));
  EXPECT_THAT(message("LD_PRELOAD"), HasSubstr("set by the system itself"));
  EXPECT_THAT(message("9"), HasSubstr("begin with no digit"));
}

TEST_F(ReconfigureTest, AStoppedTenantHasItFromItsNextStartOn) {
  auto row = *life_->tables.tenants.Get("acme");
  row.value.mutable_spec()->set_run_policy(v1::RUN_POLICY_STOP);
  row.value.mutable_resolved()->set_run_policy(v1::RUN_POLICY_STOP);
  kv::Txn txn;
  life_->tables.tenants.Put(txn, "acme", row.value);
  ASSERT_TRUE(life_->store.Commit(txn).ok());
  Succeeds(Token());
  EXPECT_EQ(agents_.Last(Act::kReconfigure).request.reconfigure().spec().run_policy(),
            v1::RUN_POLICY_STOP);
  EXPECT_EQ(agents_.Count(Act::kSoak), 0);
  EXPECT_EQ(Record().spec().run_policy(), v1::RUN_POLICY_STOP);
}

TEST_F(ReconfigureTest, HonoursEtagsRequestIdsAndDryRuns) {
  v1::UpdateTenantRequest request = Token();
  request.set_validate_only(true);
  const auto preview = Update(request);
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_EQ(preview->name(), "");
  EXPECT_THAT(preview->message(), HasSubstr("started anew on host h1 with another bot token"));
  ExpectFormerSecrets();
  request.set_etag("1");
  EXPECT_TRUE(absl::IsAborted(Update(request).status()));
  request.clear_etag();
  request.set_validate_only(false);
  request.set_request_id("once");
  const auto first = Update(request);
  Ended(first);
  EXPECT_EQ(Update(request)->name(), first->name());
  EXPECT_EQ(agents_.Count(Act::kReconfigure), 1);
}

TEST_F(ReconfigureTest, RefusesWhatMakesNoSense) {
  const auto message = [this](const v1::UpdateTenantRequest& request) {
    const auto status = Update(request).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(message(Token("")), HasSubstr("no tenant without a bot"));
  EXPECT_THAT(message(Token("CANARY")), AllOf(HasSubstr("BotFather"), Not(HasSubstr("CANARY"))));
  v1::UpdateTenantRequest mixed = Token();
  mixed.mutable_update_mask()->add_paths("labels");
  EXPECT_THAT(message(mixed), HasSubstr("in two calls"));
  v1::UpdateTenantRequest unknown = Token();
  unknown.mutable_update_mask()->add_paths("secrets.password");
  EXPECT_THAT(message(unknown), HasSubstr("and the secrets can be changed"));
  v1::UpdateTenantRequest long_soak = Token();
  long_soak.mutable_soak()->set_seconds(7200);
  EXPECT_THAT(message(long_soak), HasSubstr("soak"));
}

}  // namespace
}  // namespace mtp
