// update and rollout …: what is asked, what is shown while it goes on, and how it ends.
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "cli/output/rollout_view.h"
#include "cli/output/text.h"
#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kId[] = "01ARZ3NDEKTSV4RRFFQ69G5FC0";
constexpr char kDigest[] =
    "ghcr.io/openclaw/"
    "openclaw@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd"
    "ef";

void AddTenant(v1::Rollout& rollout, const std::string& name, int wave,
               v1::RolloutTenantState state, const std::string& message = "") {
  v1::RolloutTenant& tenant = *rollout.add_tenants();
  tenant.set_tenant(name);
  tenant.set_host("h1");
  tenant.set_wave(wave);
  tenant.set_state(state);
  tenant.set_from_image("openclaw:2026.9.6");
  tenant.set_to_image(kDigest);
  tenant.set_message(message);
}

v1::Rollout RolloutIn(v1::RolloutState state) {
  v1::Rollout rollout;
  rollout.set_name(std::string("rollouts/") + kId);
  rollout.set_state(state);
  rollout.set_created_by("operator/alice");
  rollout.set_message("1 of 2 tenants updated");
  rollout.mutable_settings()->set_image("openclaw:2026.10");
  return rollout;
}

v1::Rollout Running() {
  v1::Rollout rollout = RolloutIn(v1::ROLLOUT_STATE_RUNNING);
  AddTenant(rollout, "acme", 0, v1::ROLLOUT_TENANT_STATE_UPDATING, "rehearse");
  AddTenant(rollout, "beta", 1, v1::ROLLOUT_TENANT_STATE_PENDING);
  return rollout;
}

v1::Rollout Succeeded() {
  v1::Rollout rollout = RolloutIn(v1::ROLLOUT_STATE_SUCCEEDED);
  AddTenant(rollout, "acme", 0, v1::ROLLOUT_TENANT_STATE_UPDATED);
  AddTenant(rollout, "beta", 1, v1::ROLLOUT_TENANT_STATE_UPDATED);
  return rollout;
}

v1::Rollout Failed() {
  v1::Rollout rollout = RolloutIn(v1::ROLLOUT_STATE_FAILED);
  AddTenant(rollout, "acme", 0, v1::ROLLOUT_TENANT_STATE_FAILED,
            "never ready; it is back on its old image");
  AddTenant(rollout, "beta", 1, v1::ROLLOUT_TENANT_STATE_PENDING);
  rollout.mutable_error()->set_code(9);
  rollout.mutable_error()->set_message(
      "tenant acme on host h1: never ready; it is back on its old "
      "image");
  return rollout;
}

class Updating : public CliTest {
 protected:
  Updating() {
    controller_.rollout = Running();
    controller_.rollout_plan = Running();
    controller_.rollout_plan.clear_name();
    controller_.rollout_plan.mutable_tenants(0)->set_state(v1::ROLLOUT_TENANT_STATE_PENDING);
  }
};

TEST_F(Updating, SendsWhatWasAskedFor) {
  controller_.rollout_streams.push_back({.rollouts = {Succeeded()}});
  EXPECT_EQ(Run({"update", "acme", "beta", "--image", "openclaw:2026.10", "--no-pull", "--canary",
                 "2", "--max-unavailable", "3", "--soak", "90s", "--no-rehearsal", "--idle-wait",
                 "0", "--repository", "nas", "--request-id", "r1"}),
            0)
      << err();
  ASSERT_THAT(controller_.created_rollouts, SizeIs(1));
  const v1::CreateRolloutRequest& request = controller_.created_rollouts[0];
  EXPECT_THAT(request.tenants(), ElementsAre("tenants/acme", "tenants/beta"));
  const v1::RolloutSettings& settings = request.settings();
  EXPECT_EQ(settings.image(), "openclaw:2026.10");
  EXPECT_TRUE(settings.no_pull());
  EXPECT_EQ(settings.canary(), 2);
  EXPECT_EQ(settings.max_unavailable(), 3);
  EXPECT_EQ(settings.soak().seconds(), 90);
  EXPECT_TRUE(settings.no_rehearsal());
  EXPECT_TRUE(settings.has_idle_wait());
  EXPECT_EQ(settings.idle_wait().seconds(), 0);
  EXPECT_EQ(settings.repository(), "nas");
  EXPECT_EQ(request.request_id(), "r1");
  EXPECT_FALSE(request.validate_only());
}

TEST_F(Updating, AllSendsNoNamesAndNoTimesOfItsOwn) {
  controller_.rollout_streams.push_back({.rollouts = {Succeeded()}});
  EXPECT_EQ(Run({"update", "--all"}), 0) << err();
  const v1::CreateRolloutRequest& request = controller_.created_rollouts.at(0);
  EXPECT_THAT(request.tenants(), IsEmpty());
  EXPECT_FALSE(request.settings().has_soak());
  EXPECT_FALSE(request.settings().has_idle_wait());
  EXPECT_NE(request.request_id(), "");
}

TEST_F(Updating, NeedsNamesOrAllAndNotBoth) {
  EXPECT_EQ(Run({"update"}), 2);
  EXPECT_EQ(Run({"update", "acme", "--all"}), 2);
  EXPECT_EQ(Run({"update", "acme", "--soak", "soon"}), 2);
  EXPECT_EQ(Run({"update", "acme", "--canary", "0"}), 2);
  EXPECT_EQ(Run({"update", "acme", "--timeout", "never"}), 2);
  EXPECT_EQ(controller_.calls, 0);
}

TEST_F(Updating, WritesALineForEachNewsInAPipe) {
  controller_.rollout_streams.push_back({.rollouts = {Running(), Running(), Succeeded()}});
  EXPECT_EQ(Run({"update", "--all"}), 0);
  EXPECT_THAT(
      absl::StrSplit(err(), '\n'),
      ElementsAre(AllOf(HasSubstr(kId), HasSubstr("watch|pause|abort")),
                  "0s acme: updating: rehearse", std::string("0s rollout ") + kId + ": running",
                  "0s acme: updated", "0s beta: updated",
                  std::string("0s rollout ") + kId + ": succeeded", ""));
  EXPECT_THAT(out(), AllOf(HasSubstr("canary"), HasSubstr("1 of 2 tenants updated after")));
}

TEST_F(Updating, EndsWithOneAndTheReasonWhenItFails) {
  controller_.rollout_streams.push_back({.rollouts = {Failed()}});
  EXPECT_EQ(Run({"update", "--all"}), 1);
  EXPECT_THAT(err(), AllOf(HasSubstr("tenant acme on host h1: never ready"),
                           HasSubstr("back on its old image"), HasSubstr("rollout show")));
}

TEST_F(Updating, EndsWithOneWhenItIsAborted) {
  controller_.rollout_streams.push_back({.rollouts = {RolloutIn(v1::ROLLOUT_STATE_ABORTED)}});
  EXPECT_EQ(Run({"update", "--all"}), 1);
  EXPECT_THAT(err(), HasSubstr("aborted"));
}

TEST_F(Updating, EndsWithThreeWhenItIsRefused) {
  controller_.refusals = {{grpc::StatusCode::FAILED_PRECONDITION, "rollouts/X is going on"}};
  EXPECT_EQ(Run({"update", "--all"}), 3);
  EXPECT_THAT(err(), HasSubstr("is going on"));
}

TEST_F(Updating, EndsWithFiveWhileItGoesOn) {
  controller_.rollout_streams.push_back({.rollouts = {Running()}, .hang = true});
  EXPECT_EQ(Run({"update", "--all", "--timeout", "0.2"}), 5);
  EXPECT_THAT(err(), AllOf(HasSubstr("rollout watch"), HasSubstr("rollout abort")));
}

TEST_F(Updating, GoesOnAfterALostConnection) {
  controller_.rollout_streams.push_back({.status = {grpc::StatusCode::UNAVAILABLE, "killed"}});
  controller_.rollout_streams.push_back({.rollouts = {Running()}});  // an orderly stop
  controller_.rollout_streams.push_back({.rollouts = {Succeeded()}});
  EXPECT_EQ(Run({"update", "--all"}), 0) << err();
  EXPECT_EQ(sleeps_, 2);
}

TEST_F(Updating, WithoutWaitingItSaysHowToFollowIt) {
  EXPECT_EQ(Run({"update", "--all", "--no-wait"}), 0);
  EXPECT_THAT(out(), HasSubstr(std::string("mtp-cli rollout watch ") + kId));
}

TEST_F(Updating, ADryRunShowsTheWavesAndBeginsNothing) {
  EXPECT_EQ(Run({"update", "--all", "--dry-run"}), 0);
  ASSERT_THAT(controller_.created_rollouts, SizeIs(1));
  EXPECT_TRUE(controller_.created_rollouts[0].validate_only());
  EXPECT_THAT(out(), AllOf(HasSubstr("canary"), HasSubstr("2 tenants would be updated")));
  EXPECT_EQ(Run({"update", "--all", "--dry-run", "-o", "json"}), 0);
  EXPECT_EQ(OutJson()["dry_run"], true);
  EXPECT_EQ(OutJson()["id"], "");
}

TEST_F(Updating, AsksOnATerminalAndTakesNoForAnAnswer) {
  environment_.in_is_terminal = environment_.err_is_terminal = true;
  variables_["TERM"] = "dumb";
  answer_ = "n";
  EXPECT_EQ(Run({"update", "--all"}), 1);
  EXPECT_THAT(prompts_, ElementsAre(HasSubstr("Update 2 tenants to the image that each asks for")));
  EXPECT_THAT(err(), HasSubstr("canary")) << "what would happen is shown first";
  ASSERT_THAT(controller_.created_rollouts, SizeIs(1));
  EXPECT_TRUE(controller_.created_rollouts[0].validate_only());
  answer_ = "y";
  controller_.rollout_streams.push_back({.rollouts = {Succeeded()}});
  EXPECT_EQ(Run({"update", "--all"}), 0) << err();
  EXPECT_FALSE(controller_.created_rollouts.back().validate_only());
  controller_.rollout_streams.push_back({.rollouts = {Succeeded()}});
  prompts_.clear();
  EXPECT_EQ(Run({"update", "--all", "--yes"}), 0);
  EXPECT_THAT(prompts_, IsEmpty());
}

TEST_F(Updating, DrawsInPlaceOnATerminal) {
  environment_.err_is_terminal = true;
  controller_.rollout_streams.push_back({.rollouts = {Running(), Succeeded()}});
  EXPECT_EQ(Run({"update", "--all", "--yes"}), 0);
  EXPECT_THAT(err(), AllOf(HasSubstr("Goes on after Ctrl-C"), HasSubstr("\x1b[")));
}

TEST_F(Updating, TheJsonIsWhatScriptsRelyOn) {
  v1::Rollout failed = Failed();
  failed.mutable_tenants(0)->set_operation("operations/01ARZ3NDEKTSV4RRFFQ69G5FC1");
  controller_.rollout_streams.push_back({.rollouts = {failed}});
  EXPECT_EQ(Run({"update", "--all", "-o", "json"}), 1);
  const nlohmann::json json = OutJson();
  EXPECT_EQ(json["id"], kId);
  EXPECT_EQ(json["state"], "failed");
  EXPECT_EQ(json["image"], "openclaw:2026.10");
  EXPECT_EQ(json["ended_at"], nullptr);
  EXPECT_EQ(json["error"]["message"], failed.error().message());
  const nlohmann::json& tenant = json["tenants"][0];
  EXPECT_EQ(tenant["name"], "acme");
  EXPECT_EQ(tenant["host"], "h1");
  EXPECT_EQ(tenant["wave"], 0);
  EXPECT_EQ(tenant["state"], "failed");
  EXPECT_EQ(tenant["operation"], "operations/01ARZ3NDEKTSV4RRFFQ69G5FC1");
  EXPECT_EQ(tenant["from_image"], "openclaw:2026.9.6");
  EXPECT_EQ(tenant["to_image"], kDigest);
  EXPECT_EQ(tenant["message"], "never ready; it is back on its old image");
}

TEST_F(Updating, RolloutsAreListedShownAndChanged) {
  controller_.rollouts = {Failed()};
  EXPECT_EQ(Run({"rollout", "list"}), 0);
  EXPECT_THAT(out(), AllOf(HasSubstr(kId), HasSubstr("failed")));
  EXPECT_EQ(Run({"rollout", "list", "-o", "json"}), 0);
  EXPECT_THAT(OutJson()["rollouts"], SizeIs(1));
  controller_.rollout = Running();
  EXPECT_EQ(Run({"rollout", "show", "latest"}), 0);
  EXPECT_THAT(out(), AllOf(HasSubstr(" 0123456789ab "), HasSubstr("rehearse")));
  for (const char* change : {"pause", "resume", "abort"}) {
    EXPECT_EQ(Run({"rollout", change, kId}), 0) << err();
    EXPECT_THAT(out(), HasSubstr("rollout watch"));
  }
  const std::string name = std::string("rollouts/") + kId;
  EXPECT_THAT(controller_.rollout_calls,
              ElementsAre("get " + name, "pause " + name, "resume " + name, "abort " + name));
  controller_.rollout_streams.push_back({.rollouts = {Failed()}});
  EXPECT_EQ(Run({"rollout", "watch", name}), 1);
}

TEST_F(Updating, ARolloutThatCannotBeIsRefusedBeforeSending) {
  EXPECT_EQ(Run({"rollout", "show", "newest"}), 2);
  EXPECT_EQ(controller_.calls, 0);
  EXPECT_EQ(Run({"rollout", "show", "latest"}), 3);
  EXPECT_THAT(err(), HasSubstr("there is no rollout yet"));
}

TEST_F(Updating, NamesAndRolloutsAreCompleted) {
  v1::Tenant& tenant = *controller_.fleet.add_tenants();
  tenant.set_name("tenants/acme");
  controller_.rollouts = {Failed()};
  EXPECT_EQ(RunBare({"__complete", "--", "--controller", "fake:1", "--identity", "/none", "update",
                     "other", "a"}),
            0);
  EXPECT_THAT(out(), HasSubstr("acme"));
  EXPECT_EQ(RunBare({"__complete", "--", "--controller", "fake:1", "--identity", "/none", "rollout",
                     "watch", ""}),
            0);
  EXPECT_THAT(out(), AllOf(HasSubstr("latest"), HasSubstr(kId)));
}

std::vector<std::string> LinesOf(const std::string& text) { return absl::StrSplit(text, '\n'); }

TEST(RolloutFrame, FitsTheTerminal) {
  v1::Rollout rollout = RolloutIn(v1::ROLLOUT_STATE_RUNNING);
  for (int i = 0; i < 60; ++i) {
    AddTenant(rollout, absl::StrCat("tenant-", i, "-with-a-long-name"), i,
              i == 50 ? v1::ROLLOUT_TENANT_STATE_UPDATING : v1::ROLLOUT_TENANT_STATE_PENDING,
              std::string(200, 'x'));
  }
  for (const int width : {80, 120}) {
    const auto lines = LinesOf(
        RolloutFrame(rollout, "a note", absl::UnixEpoch(), width, /*rows=*/24, /*colour=*/false));
    EXPECT_LE(lines.size(), 24U);
    for (const std::string& line : lines) EXPECT_LE(Width(line), width) << line;
    EXPECT_THAT(lines, ::testing::Contains(HasSubstr("tenant-50-")))
        << "whom something happens to is shown";
    EXPECT_THAT(lines, ::testing::Contains(HasSubstr("more: mtp-cli rollout show")));
    EXPECT_THAT(lines, ::testing::Contains(::testing::EndsWith(std::string("abort ") + kId)))
        << "whole at 80 columns";
  }
}

TEST(RolloutFrame, AnEndedOneDoesNotSayHowToGoOn) {
  EXPECT_THAT(RolloutFrame(Succeeded(), "", absl::UnixEpoch(), 80, 24, false),
              Not(HasSubstr("Ctrl-C")));
}

TEST(ShortImage, KeepsTheBeginningOfADigest) {
  EXPECT_EQ(ShortImage(kDigest), "0123456789ab");
  EXPECT_EQ(ShortImage("openclaw:2026.10"), "openclaw:2026.10");
}

}  // namespace
}  // namespace mtp::cli
