// `tenant set` of what takes a new container: secrets, environment, port.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "cli/output/set_text.h"
#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kToken[] = "123:CANARY $a#b'c\"d\\e";

class TenantSet : public CliTest {
 protected:
  TenantSet() {
    v1::Tenant& tenant = *controller_.fleet.add_tenants();
    tenant.set_name("tenants/acme");
    tenant.set_etag("7");
    (*tenant.mutable_spec()->mutable_environment())["TZ"] = "Europe/Berlin";
    (*tenant.mutable_spec()->mutable_environment())["LANG"] = "C.UTF-8";
    controller_.accepted =
        MakeOperation("reconfigure", "tenants/acme", v1::OPERATION_STATE_PENDING);
    v1::Operation done =
        MakeOperation("reconfigure", "tenants/acme", v1::OPERATION_STATE_SUCCEEDED);
    (*done.mutable_result())["changed"] = "telegram_token,gateway_token";
    controller_.streams.push_back({.operations = {done}});
  }
  int Set(std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"tenant", "set", "acme"});
    return Run(flags);
  }
  const v1::UpdateTenantRequest& Sent() { return controller_.updates.back(); }
  std::vector<std::string> Mask() {
    const auto& paths = Sent().update_mask().paths();
    return {paths.begin(), paths.end()};
  }
};

TEST_F(TenantSet, SecretsComeFromFilesAndAreNowhereInWhatIsSaid) {
  ASSERT_EQ(Set({"--telegram-token-file", File("token", std::string(kToken) + "\n"),
                 "--new-gateway-token"}),
            0)
      << err();
  EXPECT_THAT(Mask(), ElementsAre("secrets.telegram_token", "secrets.gateway_token"));
  EXPECT_EQ(Sent().secrets().telegram_token(), kToken);
  EXPECT_FALSE(Sent().keep_on_failure());
  EXPECT_FALSE(Sent().has_soak());
  EXPECT_THAT(out(), AllOf(HasSubstr("acme is set after"),
                           HasSubstr("changed bot token, gateway token\n")));
  EXPECT_THAT(out() + err(), Not(HasSubstr("CANARY")));
}

TEST_F(TenantSet, OneOfThemMayComeFromStandardInput) {
  input_ = "sk-key\n";
  ASSERT_EQ(Set({"--anthropic-key-file", "-"}), 0) << err();
  EXPECT_THAT(Mask(), ElementsAre("secrets.anthropic_key"));
  EXPECT_EQ(Sent().secrets().anthropic_key(), "sk-key");
  EXPECT_EQ(Set({"--anthropic-key-file", "-", "--openai-key-file", "-"}), 2);
  EXPECT_THAT(err(), HasSubstr("only one secret can come from standard input"));
}

TEST_F(TenantSet, AKeyIsTakenAwayByItsName) {
  ASSERT_EQ(Set({"--remove-key", "openai", "--remove-key", "openrouter"}), 0) << err();
  EXPECT_THAT(Mask(), ElementsAre("secrets.openai_key", "secrets.openrouter_key"));
  EXPECT_EQ(Sent().secrets().openai_key(), "");
  EXPECT_EQ(Set({"--remove-key", "openai", "--openai-key-file", File("key", "sk")}), 2);
  EXPECT_THAT(err(), HasSubstr("both set and removed"));
  EXPECT_EQ(Set({"--remove-key", "telegram"}), 2);
  EXPECT_THAT(controller_.updates, SizeIs(1));
}

TEST_F(TenantSet, VariablesAreSetAndRemovedAmongThoseThatStay) {
  ASSERT_EQ(Set({"--env", "TZ=UTC", "--remove-env", "LANG"}), 0) << err();
  EXPECT_THAT(Mask(), ElementsAre("environment"));
  EXPECT_THAT(Sent().spec().environment(), SizeIs(1));
  EXPECT_EQ(Sent().spec().environment().at("TZ"), "UTC");
  EXPECT_EQ(Sent().etag(), "7");
}

TEST_F(TenantSet, ThePortIsPublishedOrNot) {
  ASSERT_EQ(Set({"--publish-port", "off", "--keep"}), 0) << err();
  EXPECT_THAT(Mask(), ElementsAre("port_unpublished"));
  EXPECT_TRUE(Sent().spec().port_unpublished());
  EXPECT_TRUE(Sent().keep_on_failure());
  EXPECT_EQ(Set({"--publish-port", "maybe"}), 2);
}

TEST_F(TenantSet, TheSoakIsATime) {
  ASSERT_EQ(Set({"--new-gateway-token", "--soak", "90s"}), 0) << err();
  EXPECT_EQ(Sent().soak().seconds(), 90);
  ASSERT_EQ(Set({"--new-gateway-token", "--soak", "0s", "--no-wait"}), 0) << err();
  EXPECT_TRUE(Sent().has_soak());
  EXPECT_EQ(Sent().soak().seconds(), 0);
}

TEST_F(TenantSet, WhatMakesNoSenseIsNotSent) {
  EXPECT_EQ(Set({"--new-gateway-token", "--memory-limit", "1024"}), 2);
  EXPECT_THAT(err(), HasSubstr("in two calls"));
  EXPECT_EQ(Set({"--new-gateway-token", "--failover", "stay"}), 2);
  EXPECT_EQ(Set({"--keep"}), 2);
  EXPECT_EQ(Set({"--memory-limit", "1024", "--soak", "5s"}), 2);
  EXPECT_EQ(Set({"--new-gateway-token", "--keep", "--soak", "5s"}), 2);
  EXPECT_EQ(Set({"--env", "TZ=UTC", "--remove-env", "TZ"}), 2);
  EXPECT_EQ(Set({"--telegram-token-file", File("empty", "")}), 2);
  EXPECT_THAT(controller_.updates, IsEmpty());
}

TEST_F(TenantSet, ADryRunSaysWhatWouldHappen) {
  controller_.accepted.set_message("it would be started anew on host h1 with another bot token");
  ASSERT_EQ(Set({"--telegram-token-file", File("token", kToken), "--dry-run", "-o", "json"}), 0)
      << err();
  EXPECT_TRUE(Sent().validate_only());
  EXPECT_EQ(OutJson()["dry_run"], true);
  EXPECT_EQ(OutJson()["message"], "it would be started anew on host h1 with another bot token");
}

TEST_F(TenantSet, ShowHasItsSettings) {
  ASSERT_EQ(Run({"tenant", "show", "acme", "-o", "json"}), 0) << err();
  EXPECT_EQ(OutJson()["spec"]["environment"]["TZ"], "Europe/Berlin");
  EXPECT_EQ(OutJson()["spec"]["port_published"], true);
  EXPECT_TRUE(OutJson()["secrets_changed_at"].is_null());
  controller_.fleet.mutable_tenants(0)->mutable_spec()->set_port_unpublished(true);
  controller_.fleet.mutable_tenants(0)->mutable_status()->mutable_secret_change_time()->set_seconds(
      1'800'000'000);
  ASSERT_EQ(Run({"tenant", "show", "acme"}), 0) << err();
  EXPECT_THAT(out(), AllOf(HasSubstr("environment   LANG=C.UTF-8,TZ=Europe/Berlin\n"),
                           HasSubstr("gateway       not published"),
                           HasSubstr("secrets       changed 2027-01-15T08:00:00Z")));
}

TEST_F(TenantSet, ItsValuesAreOffered) {
  const auto offered = [this](const std::string& flag) {
    EXPECT_EQ(RunBare({"__complete", "--", "tenant", "set", "acme", flag, ""}), 0);
    return out();
  };
  EXPECT_THAT(offered("--publish-port"), AllOf(HasSubstr("on\n"), HasSubstr("off\n")));
  EXPECT_THAT(offered("--remove-key"), HasSubstr("openrouter\n"));
}

TEST(SetText, SaysWhenNothingHadToBeDoneAndWhenItIsNotReady) {
  v1::Operation operation;
  operation.set_kind("reconfigure");
  EXPECT_EQ(SetText("acme", "", operation, absl::UnixEpoch(), false),
            "acme has these settings already\n");
  (*operation.mutable_result())["changed"] = "telegram_token";
  (*operation.mutable_result())["not_ready"] = "401 \x1b[31mUnauthorized";
  EXPECT_THAT(SetText("acme", "", operation, absl::UnixEpoch(), false),
              AllOf(HasSubstr("changed bot token\n"),
                    HasSubstr("it is not ready: 401 \\x1b[31mUnauthorized\n")));
}

}  // namespace
}  // namespace mtp::cli
