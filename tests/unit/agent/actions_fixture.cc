#include "tests/unit/agent/actions_fixture.h"

#include <absl/synchronization/mutex.h>

namespace mtp {

ActionsFixture::ActionsFixture() { NewAgent(); }

ActionsFixture::~ActionsFixture() = default;

void ActionsFixture::NewAgent(int max_starts) {
  agent_.reset();
  agent_.emplace(&machine_, max_starts);
  begun_ = agent_->reconciler->Begin();
}

bool ActionsFixture::HasContainer(const std::string& name) {
  absl::MutexLock lock(&machine_.engine.mutex);
  return machine_.engine.containers.count(name) > 0;
}

bool ActionsFixture::IsRunning(const std::string& name) {
  absl::MutexLock lock(&machine_.engine.mutex);
  auto found = machine_.engine.containers.find(name);
  return found != machine_.engine.containers.end() && found->second.running;
}

int ActionsFixture::Starts(const std::string& name) {
  absl::MutexLock lock(&machine_.engine.mutex);
  return machine_.engine.containers[name].starts;
}

void ActionsFixture::Provision(const std::string& tenant, int port) {
  const v1::Action action = agent_->Finish(ApplyRequest("setup/" + tenant, tenant, 1, port));
  ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
}

void ActionsFixture::Stop(const std::string& tenant) {
  auto request = ActionRequest("setup-stop/" + tenant, tenant, 1);
  request.mutable_stop();
  ASSERT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
}

bool ActionsFixture::CrashAt(int at, bool after, const v1::EnsureActionRequest& request) {
  int commits = 0;
  agent_->store.choose_fault = [&](const kv::Txn&) {
    if (commits++ != at) return testing::CommitFault::kNone;
    return after ? testing::CommitFault::kCrashAfter : testing::CommitFault::kCrashBefore;
  };
  agent_->store.on_crash = [this] { machine_.executor.DropAll(); };
  agent_->Finish(request);
  const bool crashed = agent_->store.crashed();
  NewAgent();
  EXPECT_TRUE(begun_.ok()) << begun_;
  return crashed;
}

}  // namespace mtp
