// Images: bringing them onto the host, and references that never change their meaning.
#include <gmock/gmock.h>

#include "agent/tenants/images.h"
#include "tests/unit/agent/actions_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kId[] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

v1::EnsureActionRequest PullRequest(const std::string& key, const std::string& image,
                                    bool refresh = false) {
  v1::EnsureActionRequest request;
  request.set_key(key);
  request.mutable_pull()->set_image(image);
  request.mutable_pull()->set_refresh(refresh);
  return request;
}

std::string Pinned(const std::string& image, std::vector<std::string> digests) {
  ImageDetails details;
  details.id = kId;
  details.digests = std::move(digests);
  return PinnedReference(image, details);
}

TEST(PinnedReference, IsTheDigestInTheRepositoryThatWasNamed) {
  const std::string ours = "ghcr.io/openclaw/openclaw@sha256:aa";
  EXPECT_EQ(Pinned("ghcr.io/openclaw/openclaw:2026.9.6", {"mirror:5000/oc@sha256:bb", ours}), ours);
  EXPECT_EQ(Pinned("ghcr.io/openclaw/openclaw", {ours}), ours);
  EXPECT_EQ(Pinned("mirror:5000/oc", {"mirror:5000/oc@sha256:bb", ours}),
            "mirror:5000/oc@sha256:bb");
  EXPECT_EQ(Pinned("docker.io/library/oc:1", {"oc@sha256:cc"}), "oc@sha256:cc");
}

TEST(PinnedReference, ADigestThatWasAskedForStaysThatOne) {
  EXPECT_EQ(Pinned("oc@sha256:bb", {"oc@sha256:aa", "oc@sha256:bb"}), "oc@sha256:bb");
  EXPECT_EQ(Pinned("oc:1", {"oc@sha256:bb", "oc@sha256:aa"}), "oc@sha256:aa");
}

TEST(PinnedReference, IsTheIdOfAnImageThatNoRegistryGave) {
  EXPECT_EQ(Pinned("mtp/openclaw:1", {}), kId);
  EXPECT_EQ(Pinned("mtp/openclaw:1", {"other/openclaw@sha256:aa"}), kId);
  EXPECT_EQ(Pinned(kId, {"oc@sha256:aa"}), kId);
}

class PullTest : public ActionsFixture {};

TEST_F(PullTest, AnImageThatIsHereIsNotAskedFor) {
  machine_.engine.image_digests = {"openclaw@sha256:aa"};
  const v1::Action action = agent_->Finish(PullRequest("o1/pull", "openclaw:1"));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(action.result().at("image_id"), "sha256:openclaw:1");
  EXPECT_EQ(action.result().at("pinned"), "openclaw@sha256:aa");
  EXPECT_EQ(machine_.compose.pulls, 0);
}

TEST_F(PullTest, LeavesTheTenantsTheLastOfTheDisk) {
  const std::string newer = absl::StrCat("openclaw@", kId);
  machine_.engine.registry_digest = std::string(kId);
  machine_.compose.pull_error = absl::OkStatus();
  machine_.compose.on_pull = [&] { machine_.space.free_bytes = 100 << 20; };
  v1::Action action = agent_->Finish(PullRequest("o1/pull", "openclaw:1", true));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED) << action.ShortDebugString();
  EXPECT_EQ(action.error().code(), static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(action.error().message(), HasSubstr("pulling image openclaw@"));
  // There is room again.
  machine_.space = DiskSpace{int64_t{100} << 30, int64_t{50} << 30};
  machine_.compose.on_pull = [&] { machine_.engine.images.insert(newer); };
  action = agent_->Finish(PullRequest("o2/pull", "openclaw:1", true));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
}

TEST_F(PullTest, RefreshPullsWhatTheRegistryHasAndLeavesTheTag) {
  const std::string newer = absl::StrCat("openclaw@", kId);
  machine_.engine.registry_digest = std::string(kId);
  machine_.compose.pull_error = absl::OkStatus();
  machine_.compose.on_pull = [&] {
    machine_.engine.images.insert(newer);
    machine_.engine.image_digests = {"openclaw@sha256:00", newer};
  };
  v1::Action action = agent_->Finish(PullRequest("o1/pull", "openclaw:1", true));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(action.result().at("pinned"), newer);
  EXPECT_EQ(action.result().at("image_id"), "sha256:" + newer);
  EXPECT_EQ(machine_.compose.pulls, 1);
  EXPECT_THAT(machine_.compose.pulled_file, AllOf(HasSubstr(newer), Not(HasSubstr("openclaw:1"))));
  // The host has it now: the registry is asked, but nothing is pulled.
  action = agent_->Finish(PullRequest("o2/pull", "openclaw:1", true));
  EXPECT_EQ(action.result().at("pinned"), newer);
  EXPECT_EQ(machine_.engine.registry_asks, 2);
  EXPECT_EQ(machine_.compose.pulls, 1);
}

TEST_F(PullTest, RefreshWithoutAnAnswerSaysWhatToDoAndPullsNothing) {
  const std::pair<absl::Status, std::string> cases[] = {
      {absl::NotFoundError("manifest unknown"), "the registry knows no image"},
      {absl::UnauthenticatedError("no login"), "`openclaw@sha256:…`"},
      {absl::PermissionDeniedError("denied"), "`openclaw@sha256:…`"},
      {absl::InternalError("no such host"), "cannot be asked"},
      {absl::DeadlineExceededError("too slow"), "cannot be asked"}};
  machine_.compose.pull_error = absl::OkStatus();
  int number = 0;
  for (const auto& [error, words] : cases) {
    machine_.engine.registry_digest = error;
    for (const auto& [image, advice] :
         {std::pair("openclaw:1", "use that"), std::pair("openclaw:9", "docker load")}) {
      const v1::Action action =
          agent_->Finish(PullRequest(absl::StrCat("o", ++number, "/pull"), image, true));
      EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
      EXPECT_THAT(action.error().message(),
                  AllOf(HasSubstr(std::string(error.message())), HasSubstr(words),
                        HasSubstr(advice), HasSubstr("--no-pull")));
    }
  }
  EXPECT_EQ(machine_.compose.pulls, 0);
}

TEST_F(PullTest, ADigestIsNotAskedForAnew) {
  const std::string image = absl::StrCat("openclaw@", kId);
  machine_.engine.images.insert(image);
  machine_.engine.image_digests = {image};
  EXPECT_EQ(agent_->Finish(PullRequest("o1/pull", image, true)).result().at("pinned"), image);
  EXPECT_EQ(machine_.engine.registry_asks, 0);
  EXPECT_EQ(machine_.compose.pulls, 0);
}

TEST_F(PullTest, AMissingImageIsPulled) {
  machine_.compose.pull_error = absl::OkStatus();
  machine_.compose.on_pull = [this] { machine_.engine.images.insert("openclaw:2"); };
  const v1::Action action = agent_->Finish(PullRequest("o1/pull", "openclaw:2"));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  EXPECT_EQ(action.result().at("image_id"), "sha256:openclaw:2");
}

TEST_F(PullTest, AnImageIdIsAskedOfNoRegistry) {
  const v1::Action action = agent_->Finish(PullRequest("o1/pull", kId, true));
  EXPECT_EQ(action.state(), v1::ACTION_STATE_FAILED);
  EXPECT_THAT(action.error().message(), HasSubstr("docker load"));
  EXPECT_EQ(machine_.compose.pulls, 0);
  machine_.engine.images.insert(kId);
  EXPECT_EQ(agent_->Finish(PullRequest("o2/pull", kId, true)).result().at("pinned"), kId);
  EXPECT_EQ(machine_.engine.registry_asks, 0);
  EXPECT_EQ(machine_.compose.pulls, 0);
}

TEST_F(PullTest, AnyNumberRunAtOnceAndBesideATenantsAction) {
  machine_.openclaw.ready = false;
  ASSERT_TRUE(agent_->actions->Ensure(ApplyRequest("o1/start", "acme", 1)).ok());
  const auto first = agent_->actions->Ensure(PullRequest("o2/pull", "openclaw:1"));
  const auto second = agent_->actions->Ensure(PullRequest("o3/pull", "openclaw:1"));
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  // The same key re-attaches, and another request under it is refused.
  EXPECT_EQ(agent_->actions->Ensure(PullRequest("o2/pull", "openclaw:1"))->state(),
            v1::ACTION_STATE_RUNNING);
  EXPECT_TRUE(absl::IsInvalidArgument(
      agent_->actions->Ensure(PullRequest("o2/pull", "openclaw:2")).status()));
  machine_.executor.RunFor(absl::Seconds(1));
  EXPECT_EQ(agent_->journal.Action("o2/pull")->action().state(), v1::ACTION_STATE_DONE);
  EXPECT_EQ(agent_->journal.Action("o3/pull")->action().state(), v1::ACTION_STATE_DONE);
  EXPECT_TRUE(agent_->actions->IsBusy("acme"));
}

TEST_F(PullTest, ItIsNoTenantsAction) {
  auto request = PullRequest("o1/pull", "openclaw:1");
  request.set_tenant("acme");
  EXPECT_TRUE(absl::IsInvalidArgument(agent_->actions->Ensure(request).status()));
  request = PullRequest("o1/pull", "openclaw:1");
  request.set_epoch(1);
  EXPECT_TRUE(absl::IsInvalidArgument(agent_->actions->Ensure(request).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(agent_->actions->Ensure(PullRequest("o1/pull", "-x")).status()));
  auto stop = ActionRequest("o1/stop", "", 0);
  stop.mutable_stop();
  EXPECT_TRUE(absl::IsInvalidArgument(agent_->actions->Ensure(stop).status()));
}

TEST_F(PullTest, ADeathAtAnyCommitDoesNotLoseIt) {
  const std::string newer = absl::StrCat("openclaw@", kId);
  machine_.engine.registry_digest = std::string(kId);
  machine_.engine.images.insert(newer);
  for (const bool after : {false, true}) {
    for (int at = 0;; ++at) {
      const auto request = PullRequest(absl::StrCat("o", at, after, "/pull"), "openclaw:1", true);
      const bool crashed = CrashAt(at, after, request);
      const v1::Action action = agent_->Finish(request);
      EXPECT_EQ(action.state(), v1::ACTION_STATE_DONE) << "commit " << at;
      EXPECT_EQ(action.result().at("image_id"), "sha256:" + newer) << "commit " << at;
      if (!crashed) break;
    }
  }
}

}  // namespace
}  // namespace mtp
