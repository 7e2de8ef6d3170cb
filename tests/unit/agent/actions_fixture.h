// An agent that carries actions out on a fake host, and may die and begin anew.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/unit/agent/fake_host.h"

namespace mtp {

class ActionsFixture : public ::testing::Test {
 protected:
  ActionsFixture();
  ~ActionsFixture() override;

  // The agent dies without a word and another begins.
  void NewAgent(int max_starts = 4);
  bool HasContainer(const std::string& name);
  bool IsRunning(const std::string& name);
  int Starts(const std::string& name);
  // A stopped or running tenant to begin with.
  void Provision(const std::string& tenant, int port = 18801);
  void Stop(const std::string& tenant);
  // The agent dies at the commit `at` of the action, counted from 0, after it took effect or
  // before, and another begins. False when the action made fewer commits: then it has ended.
  bool CrashAt(int at, bool after, const v1::EnsureActionRequest& request);

  FakeMachine machine_;
  std::optional<FakeAgent> agent_;
  absl::Status begun_;
};

}  // namespace mtp
