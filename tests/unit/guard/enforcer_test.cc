// The guard on folders that look like the kernel's control groups, version 1 and 2, and on time
// that a test holds.
#include "agent/guard/enforcer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/support/temp_folder.h"

namespace mtp::guard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr int64_t kSecondNs = 1'000'000'000;
const std::string kAcme(64, 'a');
const std::string kBeta(64, 'b');

class EnforcerTest : public ::testing::Test {
 protected:
  EnforcerTest() : enforcer_(Options()) { std::filesystem::create_directories(folder_ / "guard"); }
  EnforcerOptions Options() {
    EnforcerOptions options;
    options.folder = folder_ / "guard";
    options.cgroup_root = folder_ / "cgroup";
    options.boot_id = "boot";
    options.now_ns = [this] { return now_ns_; };
    options.kill = [this](pid_t pid, int signal) {
      EXPECT_EQ(signal, SIGKILL);
      killed_.push_back(pid);
      frozen_at_kill_ = Content("cgroup/freezer/docker/" + kAcme + "/freezer.state");
      if (mortal_) Remove(pid);
      return 0;
    };
    options.pause = [this] { ++pauses_; };
    options.log = [this](const std::string& line) { log_.push_back(line); };
    return options;
  }
  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = folder_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::trunc) << text;
  }
  std::string Content(const std::string& path) {
    std::ifstream file(folder_ / path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  void Grant(int64_t deadline_ns, const std::string& boot = "boot") {
    Lease lease;
    lease.number = ++number_;
    lease.boot_id = boot;
    lease.deadline_ns = deadline_ns;
    lease.containers = {{kAcme, "acme"}, {kBeta, "beta"}};
    std::string file = Content("guard/lease");
    file.resize(kSlots * kSlotBytes);
    file.replace(number_ % kSlots * kSlotBytes, kSlotBytes, EncodeSlot(lease));
    Write("guard/lease", file);
  }
  // A group with processes; `kill`: of a kernel that has cgroup.kill.
  void Group(const std::string& path, const std::vector<pid_t>& pids) {
    std::string text;
    for (const pid_t pid : pids) text += std::to_string(pid) + "\n";
    Write("cgroup/" + path + "/cgroup.procs", text);
    groups_["cgroup/" + path] = pids;
  }
  void Remove(pid_t pid) {
    for (auto& [path, pids] : groups_) {
      std::erase(pids, pid);
      std::string text;
      for (const pid_t left : pids) text += std::to_string(left) + "\n";
      Write(path + "/cgroup.procs", text);
    }
  }

  mtp::testing::TempFolder folder_;
  int64_t now_ns_ = 100 * kSecondNs;
  uint64_t number_ = 0;
  bool mortal_ = true;
  std::map<std::string, std::vector<pid_t>> groups_;
  std::vector<pid_t> killed_;
  std::string frozen_at_kill_;
  int pauses_ = 0;
  std::vector<std::string> log_;
  Enforcer enforcer_;
};

TEST_F(EnforcerTest, WhileTheLeaseLastsNothingIsTouched) {
  Group("freezer/docker/" + kAcme, {41});
  Grant(now_ns_ + 10 * kSecondNs);
  EXPECT_EQ(enforcer_.Round(), now_ns_ + kSecondNs);
  EXPECT_THAT(killed_, IsEmpty());
}

TEST_F(EnforcerTest, ItWakesJustAtTheEnd) {
  Grant(now_ns_ + kSecondNs / 4);
  EXPECT_EQ(enforcer_.Round(), now_ns_ + kSecondNs / 4);
}

TEST_F(EnforcerTest, AtTheEndEveryProcessOfTheNamedContainersIsKilledAndNoOther) {
  Group("freezer/docker/" + kAcme, {41, 42});
  Group("freezer/docker/" + kAcme + "/inner", {43});
  Group("freezer/system.slice/docker-" + kBeta + ".scope", {51});
  Group("freezer/docker/" + std::string(64, 'c'), {61});
  Group("freezer", {1});
  Grant(now_ns_);
  EXPECT_EQ(enforcer_.Round(), now_ns_ + kSecondNs);
  EXPECT_THAT(killed_, UnorderedElementsAre(41, 42, 43, 51));
  EXPECT_EQ(enforcer_.found(), 2);
  EXPECT_EQ(log_.size(), 1);
}

TEST_F(EnforcerTest, ProcessesAreHeldStillWhileTheyAreKilledAndThawedAfterwards) {
  Group("freezer/docker/" + kAcme, {41});
  Write("cgroup/freezer/docker/" + kAcme + "/freezer.state", "THAWED");
  Grant(now_ns_);
  enforcer_.Round();
  EXPECT_EQ(frozen_at_kill_, "FROZEN");
  EXPECT_EQ(Content("cgroup/freezer/docker/" + kAcme + "/freezer.state"), "THAWED");
}

TEST_F(EnforcerTest, AKernelThatKillsAGroupIsAskedTo) {
  Write("cgroup/cgroup.controllers", "memory pids\n");
  Group("system.slice/docker-" + kAcme + ".scope", {41});
  Write("cgroup/system.slice/docker-" + kAcme + ".scope/cgroup.kill", "");
  Grant(now_ns_);
  enforcer_.Round();
  EXPECT_EQ(Content("cgroup/system.slice/docker-" + kAcme + ".scope/cgroup.kill"), "1");
  // Nobody died of it here, so the signals are the second try.
  EXPECT_THAT(killed_, ElementsAre(41));
}

TEST_F(EnforcerTest, WhatDoesNotDieIsLeftToTheNextRoundWhichIsSoon) {
  mortal_ = false;
  Group("freezer/docker/" + kAcme, {41});
  Grant(now_ns_);
  EXPECT_EQ(enforcer_.Round(), now_ns_ + kSecondNs / 5);
  const size_t first = killed_.size();
  EXPECT_GT(first, 0);
  EXPECT_LE(pauses_, 20);
  mortal_ = true;
  enforcer_.Round();
  EXPECT_GT(killed_.size(), first);
  EXPECT_EQ(enforcer_.Round(), now_ns_ + kSecondNs);
  EXPECT_EQ(enforcer_.found(), 0);
}

TEST_F(EnforcerTest, AContainerThatIsStartedAfterTheEndIsKilledToo) {
  Grant(now_ns_);
  enforcer_.Round();
  Group("freezer/docker/" + kAcme, {77});
  enforcer_.Round();
  EXPECT_THAT(killed_, ElementsAre(77));
}

TEST_F(EnforcerTest, AnotherGrantEndsTheKilling) {
  Grant(now_ns_);
  enforcer_.Round();
  Grant(now_ns_ + 60 * kSecondNs);
  Group("freezer/docker/" + kAcme, {78});
  enforcer_.Round();
  EXPECT_THAT(killed_, IsEmpty());
}

TEST_F(EnforcerTest, TheLastLeaseCountsWhenTheFileIsGoneOrSpoilt) {
  Group("freezer/docker/" + kAcme, {41});
  Grant(now_ns_ + 5 * kSecondNs);
  enforcer_.Round();
  Write("guard/lease", "nonsense");
  now_ns_ += 5 * kSecondNs;
  enforcer_.Round();
  EXPECT_THAT(killed_, ElementsAre(41));
}

TEST_F(EnforcerTest, ALeaseOfAnotherBootIsNone) {
  Group("freezer/docker/" + kAcme, {41});
  Grant(now_ns_ - 5 * kSecondNs, "another-boot");
  enforcer_.Round();
  EXPECT_THAT(killed_, IsEmpty());
}

TEST_F(EnforcerTest, WithoutAFileThereIsNothingToDo) {
  Group("freezer/docker/" + kAcme, {41});
  EXPECT_EQ(enforcer_.Round(), now_ns_ + kSecondNs);
  EXPECT_THAT(killed_, IsEmpty());
}

TEST_F(EnforcerTest, ProcessesThatItCannotSeeAreNoReasonToSignalItself) {
  Group("freezer/docker/" + kAcme, {0, 41});
  Grant(now_ns_);
  enforcer_.Round();
  EXPECT_THAT(killed_, ElementsAre(41));
}

}  // namespace
}  // namespace mtp::guard
