#include "agent/tenants/reconcile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/atomic_file.h"
#include "tests/unit/agent/fake_host.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ReconcileTest : public ::testing::Test {
 protected:
  ReconcileTest() : agent_(&machine_) { begun_ = agent_.reconciler->Begin(); }

  void Provision(const std::string& tenant, int port = 18801) {
    ASSERT_EQ(agent_.Finish(ApplyRequest("setup/" + tenant, tenant, 1, port)).state(),
              v1::ACTION_STATE_DONE);
  }
  void RemoveBehindTheAgentsBack(const std::string& container) {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers.erase(container);
  }
  bool IsRunning(const std::string& container) {
    absl::MutexLock lock(&machine_.engine.mutex);
    auto found = machine_.engine.containers.find(container);
    return found != machine_.engine.containers.end() && found->second.running;
  }

  FakeMachine machine_;
  FakeAgent agent_;
  absl::Status begun_;
};

TEST_F(ReconcileTest, StartsATenantWhoseContainerIsMissing) {
  Provision("acme");
  RemoveBehindTheAgentsBack("mtp-acme");
  agent_.reconciler->LookOnce();
  machine_.executor.RunFor(absl::Seconds(5));
  EXPECT_TRUE(IsRunning("mtp-acme"));
}

TEST_F(ReconcileTest, LeavesATenantAloneThatIsMeantToBeStopped) {
  Provision("acme");
  auto stop = ActionRequest("o/stop", "acme", 1);
  stop.mutable_stop();
  ASSERT_EQ(agent_.Finish(stop).state(), v1::ACTION_STATE_DONE);
  agent_.reconciler->LookOnce();
  machine_.executor.RunFor(absl::Minutes(5));
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

TEST_F(ReconcileTest, LeavesContainersAloneThatTheJournalDoesNotKnow) {
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-stranger"].running = true;
  }
  agent_.reconciler->LookOnce();
  machine_.executor.RunFor(absl::Minutes(5));
  EXPECT_TRUE(IsRunning("mtp-stranger"));
}

TEST_F(ReconcileTest, BacksOffFromATenantThatDoesNotComeUp) {
  Provision("acme");
  machine_.engine.on_start = [](FakeContainer& container) { container.running = false; };
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].running = false;
  }
  const int before = machine_.compose.ups;
  agent_.reconciler->OnEngineUp();
  machine_.executor.RunFor(absl::Hours(2));
  const int attempts = machine_.compose.ups - before;
  EXPECT_GE(attempts, 5);
  EXPECT_LE(attempts, 12);
}

TEST_F(ReconcileTest, StopsATenantThatDoesNotComeUpUntilTheNextAttempt) {
  Provision("acme");
  machine_.openclaw.ready = machine_.openclaw.live = false;
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].running = false;
  }
  agent_.reconciler->LookOnce();
  machine_.executor.RunFor(absl::Seconds(1));
  ASSERT_TRUE(IsRunning("mtp-acme"));
  machine_.executor.RunFor(absl::Minutes(10));
  EXPECT_FALSE(agent_.actions->IsBusy("acme"));
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

// Stopping it would begin the engine's count of its ends anew, and it would never be parked.
TEST_F(ReconcileTest, LeavesATenantThatKeepsEndingToBeParked) {
  Provision("acme");
  machine_.openclaw.ready = false;
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].running = false;
  }
  agent_.reconciler->LookOnce();
  machine_.executor.RunFor(absl::Seconds(1));
  ASSERT_TRUE(IsRunning("mtp-acme"));
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].restarts_by_engine = 3;
  }
  machine_.executor.RunFor(absl::Seconds(10));
  EXPECT_FALSE(agent_.actions->IsBusy("acme"));
  EXPECT_TRUE(IsRunning("mtp-acme"));
}

TEST_F(ReconcileTest, ARecoveryGivesWayToTheControllersAction) {
  Provision("acme");
  RemoveBehindTheAgentsBack("mtp-acme");
  machine_.openclaw.ready = false;
  agent_.reconciler->LookOnce();
  machine_.executor.RunFor(absl::Seconds(2));
  ASSERT_TRUE(agent_.actions->IsStarting("acme"));
  auto remove = ActionRequest("o/remove", "acme", 1);
  remove.mutable_remove();
  EXPECT_EQ(agent_.Finish(remove, absl::Minutes(1)).state(), v1::ACTION_STATE_DONE);
  machine_.executor.RunFor(absl::Minutes(5));
  EXPECT_FALSE(IsRunning("mtp-acme"));
}

TEST_F(ReconcileTest, PutsRightWhatAHandChangedInTheProjectFolder) {
  Provision("acme");
  ASSERT_TRUE(WriteFileAtomically(agent_.project.path() + "/.env", "", 0644).ok());
  agent_.reconciler->LookOnce();
  EXPECT_THAT(agent_.ReadProjectFile(".env"), HasSubstr("ACME_GATEWAY_TOKEN"));
}

TEST_F(ReconcileTest, TellsWhichDataIsKeptWithoutATenant) {
  Provision("acme");
  Provision("beta", 18802);
  auto remove = ActionRequest("o/remove", "acme", 1);
  remove.mutable_remove()->set_keep_data(true);
  agent_.Finish(remove);
  agent_.reconciler->PublishKeptData();
  auto listener = agent_.board.Listen(100, [] {});
  std::vector<std::string> kept;
  while (auto event = listener->Take()) {
    for (const std::string& name : event->kept_data().tenants()) kept.push_back(name);
  }
  EXPECT_THAT(kept, ElementsAre("acme"));
}

}  // namespace
}  // namespace mtp
