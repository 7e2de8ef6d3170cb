// An agent that carries actions out on a fake host, and may die and begin anew.
#pragma once

#include <absl/synchronization/mutex.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/unit/agent/fake_host.h"

namespace mtp {

class ActionsFixture : public ::testing::Test {
 protected:
  ActionsFixture() { NewAgent(); }

  // The agent dies without a word and another begins.
  void NewAgent(int max_starts = 4) {
    agent_.reset();
    agent_.emplace(&machine_, max_starts);
    begun_ = agent_->reconciler->Begin();
  }
  bool HasContainer(const std::string& name) {
    absl::MutexLock lock(&machine_.engine.mutex);
    return machine_.engine.containers.count(name) > 0;
  }
  bool IsRunning(const std::string& name) {
    absl::MutexLock lock(&machine_.engine.mutex);
    auto found = machine_.engine.containers.find(name);
    return found != machine_.engine.containers.end() && found->second.running;
  }
  int Starts(const std::string& name) {
    absl::MutexLock lock(&machine_.engine.mutex);
    return machine_.engine.containers[name].starts;
  }
  // A stopped or running tenant to begin with.
  void Provision(const std::string& tenant, int port = 18801) {
    const v1::Action action = agent_->Finish(ApplyRequest("setup/" + tenant, tenant, 1, port));
    ASSERT_EQ(action.state(), v1::ACTION_STATE_DONE) << action.ShortDebugString();
  }
  void Stop(const std::string& tenant) {
    auto request = ActionRequest("setup-stop/" + tenant, tenant, 1);
    request.mutable_stop();
    ASSERT_EQ(agent_->Finish(request).state(), v1::ACTION_STATE_DONE);
  }
  // The agent dies at the commit `at` of the action, counted from 0, after it took effect or
  // before, and another begins. False when the action made fewer commits: then it has ended.
  bool CrashAt(int at, bool after, const v1::EnsureActionRequest& request) {
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

  FakeMachine machine_;
  std::optional<FakeAgent> agent_;
  absl::Status begun_;
};

}  // namespace mtp
