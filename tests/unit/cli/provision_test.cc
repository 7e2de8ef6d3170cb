#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kToken[] = "7100000001:AAsecretsecret";

class Provision : public CliTest {
 protected:
  Provision() {
    controller_.accepted = MakeOperation("provision", "tenants/acme", v1::OPERATION_STATE_PENDING);
    v1::Operation done = MakeOperation("provision", "tenants/acme", v1::OPERATION_STATE_SUCCEEDED);
    done.set_host("h1");
    (*done.mutable_result())["port"] = "18801";
    (*done.mutable_result())["container"] = "mtp-acme";
    controller_.streams.push_back({.operations = {done}});
  }
  std::string TokenFile() { return File("token", absl::StrCat(kToken, "\n")); }
};

TEST_F(Provision, SendsTheTokenWithoutItsNewlineAndSaysWhereTheTenantIs) {
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile(), "--label", "tier=gold",
                 "--memory", "900"}),
            0)
      << err();
  ASSERT_THAT(controller_.provisions, SizeIs(1));
  const auto& request = controller_.provisions[0];
  EXPECT_EQ(request.tenant_id(), "acme");
  EXPECT_EQ(request.secrets().telegram_token(), kToken);
  EXPECT_EQ(request.spec().labels().at("tier"), "gold");
  EXPECT_EQ(request.spec().memory_reservation_mib(), 900);
  EXPECT_FALSE(request.request_id().empty());
  EXPECT_THAT(out(), HasSubstr("acme is ready on h1"));
  EXPECT_THAT(out(), HasSubstr("127.0.0.1:18801"));
}

TEST_F(Provision, SendsItsEnvironmentAndNamesNoPortThatIsNotPublished) {
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile(), "--env", "TZ=UTC",
                 "--publish-port", "off"}),
            0)
      << err();
  const auto& spec = controller_.provisions.at(0).spec();
  EXPECT_EQ(spec.environment().at("TZ"), "UTC");
  EXPECT_TRUE(spec.port_unpublished());
  EXPECT_THAT(out(), Not(HasSubstr("127.0.0.1:18801")));
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile(), "--env", "TZ"}), 2);
}

TEST_F(Provision, LeavesOddCharactersInSecretsAsTheyAre) {
  const std::string odd = R"(a$b#c"d'e\f g)";
  const std::string file = File("odd", odd);
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile(), "--anthropic-key-file",
                 file, "--openai-key-file", file, "--openrouter-key-file", file}),
            0);
  const auto& secrets = controller_.provisions.at(0).secrets();
  EXPECT_EQ(secrets.anthropic_key(), odd);
  EXPECT_EQ(secrets.openai_key(), odd);
  EXPECT_EQ(secrets.openrouter_key(), odd);
}

TEST_F(Provision, ReadsATokenFromStandardInput) {
  input_ = absl::StrCat(kToken, "\n");
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", "-"}), 0);
  EXPECT_EQ(controller_.provisions.at(0).secrets().telegram_token(), kToken);
}

TEST_F(Provision, AsksForTheTokenHiddenOnATerminalOnly) {
  EXPECT_EQ(Run({"provision", "acme"}), 2);
  EXPECT_THAT(prompts_, SizeIs(0));
  environment_.in_is_terminal = environment_.err_is_terminal = true;
  answer_ = kToken;
  EXPECT_EQ(Run({"provision", "acme"}), 0) << err();
  EXPECT_THAT(prompts_, SizeIs(1));
  EXPECT_TRUE(hidden_);
  EXPECT_EQ(controller_.provisions.at(0).secrets().telegram_token(), kToken);
}

TEST_F(Provision, TakesTheOldPositionalFormWithAWarning) {
  EXPECT_EQ(Run({"provision", "acme", kToken, "sk-ant-secret"}), 0);
  EXPECT_THAT(err(), HasSubstr("warning:"));
  EXPECT_THAT(err() + out(), Not(HasSubstr("secret-")));
  EXPECT_EQ(controller_.provisions.at(0).secrets().anthropic_key(), "sk-ant-secret");
}

TEST_F(Provision, RefusesBadNamesBeforeAnythingIsReadOrSent) {
  for (const std::string& name :
       {std::string("admin"), std::string("Acme"), std::string("a b"), std::string("a_b"),
        std::string("-a"), std::string(41, 'a'), std::string("")}) {
    EXPECT_EQ(Run({"provision", name, "--telegram-token-file", "/does/not/exist"}), 2) << name;
    EXPECT_THAT(err(), Not(HasSubstr("/does/not/exist"))) << name;
  }
  EXPECT_EQ(controller_.calls, 0);
}

TEST_F(Provision, RefusesUnusableTokenFiles) {
  const std::map<std::string, std::string> files = {
      {"an empty file", File("empty", "")},
      {"only a newline", File("newline", "\n")},
      {"several lines", File("lines", "one-secret\ntwo-secret\n")},
      {"control characters", File("control", "one-secret\x1b[31m")},
      {"a zero byte", File("zero", std::string("one-secret\0two", 14))},
      {"not UTF-8", File("latin", "one-secret\xff")},
      {"too big", File("big", std::string(64 * 1024 + 1, 'x'))},
      {"a folder", folder_.path()},
      {"absent", folder_ / "absent"}};
  for (const auto& [what, file] : files) {
    EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", file}), 2) << what;
    EXPECT_THAT(err(), HasSubstr("error: ")) << what;
    EXPECT_THAT(err(), Not(HasSubstr("one-secret"))) << what;
  }
  EXPECT_EQ(controller_.calls, 0);
}

TEST_F(Provision, NeverEchoesWordsThatMayBeSecrets) {
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token", "SECRET1"}), 2);
  EXPECT_THAT(err(), Not(HasSubstr("SECRET")));
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token=SECRET2"}), 2);
  EXPECT_THAT(err(), HasSubstr("--telegram-token"));
  EXPECT_THAT(err(), Not(HasSubstr("SECRET")));
  EXPECT_EQ(Run({"provision", "acme", "SECRET3", "SECRET4", "SECRET5"}), 2);
  EXPECT_THAT(err(), Not(HasSubstr("SECRET")));
  EXPECT_EQ(controller_.calls, 0);
}

TEST_F(Provision, RepeatsItsOwnRequestIdWhenTheControllerIsAway) {
  controller_.refusals = {{grpc::StatusCode::UNAVAILABLE, "away"},
                          {grpc::StatusCode::UNAVAILABLE, "away"}};
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile()}), 0);
  ASSERT_THAT(controller_.provisions, SizeIs(3));
  EXPECT_EQ(controller_.provisions[0].request_id(), controller_.provisions[2].request_id());
}

TEST_F(Provision, UsesTheGivenRequestId) {
  EXPECT_EQ(
      Run({"provision", "acme", "--telegram-token-file", TokenFile(), "--request-id", "mine"}), 0);
  EXPECT_EQ(controller_.provisions.at(0).request_id(), "mine");
}

TEST_F(Provision, AnswersRefusalsWithTheirExitCodes) {
  const std::vector<std::pair<grpc::StatusCode, int>> cases = {
      {grpc::StatusCode::ALREADY_EXISTS, 3},
      {grpc::StatusCode::RESOURCE_EXHAUSTED, 3},
      {grpc::StatusCode::FAILED_PRECONDITION, 3},
      {grpc::StatusCode::PERMISSION_DENIED, 3},
      {grpc::StatusCode::UNAUTHENTICATED, 3},
      {grpc::StatusCode::ABORTED, 3},
      {grpc::StatusCode::NOT_FOUND, 3},
      {grpc::StatusCode::INVALID_ARGUMENT, 2},
      {grpc::StatusCode::INTERNAL, 1}};
  for (const auto& [code, exit] : cases) {
    controller_.refusals = {{code, "the sentence"}};
    EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile()}), exit) << code;
    EXPECT_THAT(err(), HasSubstr("error: the sentence")) << code;
  }
  controller_.refusals.assign(8, {grpc::StatusCode::UNAVAILABLE, "gone"});
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile()}), 4);
}

TEST_F(Provision, SaysThatTheControllerIsOlderThanThisProgram) {
  controller_.refusals = {{grpc::StatusCode::UNIMPLEMENTED, ""}};
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile()}), 1);
  EXPECT_THAT(err(), HasSubstr("older"));
}

TEST_F(Provision, PrintsEveryHostsReasonWhenThereIsNoRoom) {
  controller_.refusals = {
      {grpc::StatusCode::RESOURCE_EXHAUSTED, "no host has room\nh1: 100 MiB free\nh2: cordoned"}};
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile()}), 3);
  EXPECT_THAT(err(), HasSubstr("h1: 100 MiB free\nh2: cordoned"));
}

TEST_F(Provision, OffersTheChoicesForKeptData) {
  controller_.refusals = {{grpc::StatusCode::FAILED_PRECONDITION, "kept data of acme is on h1"}};
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile()}), 3);
  EXPECT_THAT(err(), HasSubstr("--use-kept-data"));
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile(), "--use-kept-data"}), 0);
  EXPECT_EQ(controller_.provisions.back().kept_data(), v1::KEPT_DATA_USE);
}

TEST_F(Provision, DryRunNeedsNoTokenAndShowsThePlacement) {
  controller_.placement.set_host("h2");
  auto* rejection = controller_.placement.add_rejections();
  rejection->set_host("h1");
  rejection->set_reason("is cordoned");
  EXPECT_EQ(Run({"provision", "acme", "--dry-run"}), 0);
  EXPECT_TRUE(controller_.provisions.at(0).validate_only());
  EXPECT_THAT(out(), HasSubstr("Would be placed on h2"));
  EXPECT_THAT(out(), HasSubstr("h1: is cordoned"));
  EXPECT_EQ(Run({"provision", "acme", "--dry-run", "-o", "json"}), 0);
  EXPECT_EQ(OutJson()["placement"]["host"], "h2");
}

TEST_F(Provision, DryRunWithoutRoomIsRefused) {
  controller_.placement.add_rejections()->set_host("h1");
  EXPECT_EQ(Run({"provision", "acme", "--dry-run"}), 3);
}

TEST_F(Provision, NoWaitReturnsWithTheOperation) {
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile(), "--no-wait", "--json"}),
            0);
  EXPECT_EQ(OutJson()["operation"]["name"], controller_.accepted.name());
  EXPECT_EQ(OutJson()["operation"]["state"], "pending");
}

TEST_F(Provision, PrintsAnObjectForScripts) {
  EXPECT_EQ(Run({"-o", "json", "provision", "acme", "--telegram-token-file", TokenFile()}), 0);
  EXPECT_EQ(OutJson()["host"], "h1");
  EXPECT_EQ(OutJson()["port"], 18801);
  EXPECT_EQ(OutJson()["container"], "mtp-acme");
  EXPECT_EQ(err(), "");
}

TEST_F(Provision, SaysInOneObjectWhatWentWrong) {
  controller_.refusals = {{grpc::StatusCode::ALREADY_EXISTS, "acme exists"}};
  EXPECT_EQ(Run({"provision", "acme", "--telegram-token-file", TokenFile(), "-o", "json"}), 3);
  const auto error = nlohmann::json::parse(err());
  EXPECT_EQ(error["error"]["code"], "ALREADY_EXISTS");
  EXPECT_EQ(error["error"]["exit_code"], 3);
}

}  // namespace
}  // namespace mtp::cli
