// What a rollout does when: waves, and what comes next, over random courses of events.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "controller/rollouts/waves.h"
#include "tests/support/seeded_random.h"

namespace mtp {
namespace {

using mtp::testing::SeededRandom;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::RolloutSettings Settings(int canary, int max_unavailable) {
  v1::RolloutSettings settings;
  settings.set_canary(canary);
  settings.set_max_unavailable(max_unavailable);
  return settings;
}

std::vector<Candidate> OnOneHost(const std::vector<std::string>& names) {
  std::vector<Candidate> candidates;
  for (const std::string& name : names) candidates.push_back({name, "h1", false});
  return candidates;
}

v1::Rollout RolloutOf(const std::vector<std::vector<std::string>>& waves, int max_unavailable) {
  v1::Rollout rollout;
  *rollout.mutable_settings() = Settings(1, max_unavailable);
  rollout.set_state(v1::ROLLOUT_STATE_RUNNING);
  for (size_t wave = 0; wave < waves.size(); ++wave) {
    for (const std::string& name : waves[wave]) {
      v1::RolloutTenant& tenant = *rollout.add_tenants();
      tenant.set_tenant(name);
      tenant.set_wave(static_cast<int>(wave));
      tenant.set_state(v1::ROLLOUT_TENANT_STATE_PENDING);
    }
  }
  return rollout;
}

v1::Operation Child(v1::OperationState state, const std::string& error = "") {
  v1::Operation child;
  child.set_name("operations/01ARZ3NDEKTSV4RRFFQ69G5FAV");
  child.set_state(state);
  if (!error.empty()) child.mutable_error()->set_message(error);
  return child;
}

const v1::RolloutTenant& TenantIn(const v1::Rollout& rollout, const std::string& name) {
  for (const v1::RolloutTenant& tenant : rollout.tenants()) {
    if (tenant.tenant() == name) return tenant;
  }
  ADD_FAILURE() << "no tenant " << name;
  return rollout.tenants(0);
}

TEST(Waves, TheCanaryIsTheFirstByName) {
  EXPECT_THAT(PlanWaves(OnOneHost({"c", "a", "b"}), Settings(1, 2), 9),
              ElementsAre(ElementsAre("a"), ElementsAre("b", "c")));
}

TEST(Waves, LabelledTenantsAreTheCanary) {
  std::vector<Candidate> candidates = OnOneHost({"a", "b", "c"});
  candidates[2].canary = true;
  EXPECT_THAT(PlanWaves(candidates, Settings(1, 1), 9),
              ElementsAre(ElementsAre("c"), ElementsAre("a"), ElementsAre("b")));
}

TEST(Waves, AWaveIsSpreadOverHosts) {
  std::vector<Candidate> candidates = OnOneHost({"a", "b", "c", "d", "e"});
  candidates[3].host = candidates[4].host = "h2";
  EXPECT_THAT(PlanWaves(candidates, Settings(1, 2), 9),
              ElementsAre(ElementsAre("a"), ElementsAre("b", "d"), ElementsAre("c", "e")));
}

TEST(Waves, WithoutTenantsThereIsNone) { EXPECT_THAT(PlanWaves({}, Settings(1, 1), 0), IsEmpty()); }

TEST(Waves, SomebodyIsLeftAvailable) {
  EXPECT_EQ(MostAtOnce(Settings(1, 10), 3), 2);
  EXPECT_EQ(MostAtOnce(Settings(1, 10), 1), 1) << "the only one has to be updated, too";
  EXPECT_EQ(MostAtOnce(Settings(1, 0), 5), 1) << "none given means 1";
}

TEST(Waves, ThoseLeftAloneTakeNoPartInThem) {
  v1::Rollout rollout = RolloutOf({{"a", "b", "c"}}, 1);
  rollout.mutable_tenants(0)->set_state(v1::ROLLOUT_TENANT_STATE_SKIPPED);
  Arrange({}, 3, rollout);
  EXPECT_EQ(TenantIn(rollout, "b").wave(), 0);
  EXPECT_EQ(TenantIn(rollout, "c").wave(), 1);
  EXPECT_EQ(TenantIn(rollout, "a").wave(), 1);
}

TEST(NextMove, BeginsTheCanaryAlone) {
  const Move move = NextMove(RolloutOf({{"a"}, {"b", "c"}}, 2), {.meant_to_run = 3});
  EXPECT_EQ(move.kind, Move::Kind::kWait);
  EXPECT_THAT(move.begin, ElementsAre("a"));
  EXPECT_EQ(TenantIn(move.rollout, "a").state(), v1::ROLLOUT_TENANT_STATE_UPDATING);
}

TEST(NextMove, FailsWithTheNameTheReasonAndWhatBecameOfIt) {
  const v1::Rollout rollout = RolloutOf({{"a"}, {"b"}}, 1);
  Surroundings around{.children = {{"a", Child(v1::OPERATION_STATE_FAILED,
                                               "not ready; it is back on its old image x")}},
                      .meant_to_run = 2};
  Move move = NextMove(rollout, around);
  EXPECT_EQ(move.kind, Move::Kind::kFail);
  EXPECT_THAT(move.begin, IsEmpty());
  EXPECT_THAT(DescribeFailures(move.rollout),
              ::testing::AllOf(HasSubstr("tenant a"), HasSubstr("not ready"),
                               HasSubstr("it is back on its old image x"),
                               ::testing::Not(HasSubstr("touched"))));
  around.children["a"] = Child(v1::OPERATION_STATE_FAILED, "no space");
  EXPECT_THAT(DescribeFailures(NextMove(rollout, around).rollout), HasSubstr("was not touched"));
  around.children["a"] =
      Child(v1::OPERATION_STATE_FAILED, "not ready; undoing stop failed too: gone");
  EXPECT_THAT(DescribeFailures(NextMove(rollout, around).rollout),
              ::testing::AllOf(::testing::Not(HasSubstr("is back")),
                               ::testing::Not(HasSubstr("not touched"))))
      << "nothing is promised that is not known";
}

TEST(NextMove, WaitsForTheOthersOfAFailedWave) {
  const v1::Rollout rollout = RolloutOf({{"a", "b", "c"}}, 2);
  const Surroundings around{.children = {{"a", Child(v1::OPERATION_STATE_FAILED, "no")},
                                         {"b", Child(v1::OPERATION_STATE_RUNNING)}},
                            .meant_to_run = 9};
  const Move move = NextMove(rollout, around);
  EXPECT_EQ(move.kind, Move::Kind::kWait);
  EXPECT_THAT(move.begin, IsEmpty());
}

TEST(NextMove, ABusyTenantLetsOthersOfItsWaveGoFirst) {
  const Move move = NextMove(RolloutOf({{"a", "b"}, {"c"}}, 1),
                             {.busy = {{"a", "a backup goes on"}}, .meant_to_run = 3});
  EXPECT_THAT(move.begin, ElementsAre("b"));
  EXPECT_THAT(TenantIn(move.rollout, "a").message(), HasSubstr("a backup goes on"));
}

TEST(NextMove, AWaveOfWhichAllAreLeftAloneIsGood) {
  const Move move = NextMove(RolloutOf({{"a"}, {"b"}}, 1),
                             {.skips = {{"a", "it is stopped"}}, .meant_to_run = 2});
  EXPECT_EQ(TenantIn(move.rollout, "a").state(), v1::ROLLOUT_TENANT_STATE_SKIPPED);
  EXPECT_THAT(move.begin, ElementsAre("b"));
}

TEST(NextMove, TheNextOnesTakeThePlaceOfACanaryThatIsLeftAlone) {
  v1::Rollout rollout = RolloutOf({{"a"}, {"b", "c", "d"}, {"e"}}, 3);
  Surroundings around{.skips = {{"a", "it was removed"}, {"b", "it is stopped"}},
                      .meant_to_run = 9};
  Move move = NextMove(rollout, around);
  EXPECT_THAT(move.begin, ElementsAre("c"));
  EXPECT_LT(TenantIn(move.rollout, "c").wave(), TenantIn(move.rollout, "d").wave());
  EXPECT_LT(TenantIn(move.rollout, "d").wave(), TenantIn(move.rollout, "e").wave());
  around.children["c"] = Child(v1::OPERATION_STATE_RUNNING);
  move = NextMove(move.rollout, around);
  EXPECT_THAT(move.begin, IsEmpty());
  around.children["c"] = Child(v1::OPERATION_STATE_SUCCEEDED);
  move = NextMove(move.rollout, around);
  EXPECT_THAT(move.begin, ElementsAre("d"));
}

// It tries the image as well as any.
TEST(NextMove, ACanaryOfWhomSomeAreLeftAloneIsEnough) {
  v1::Rollout rollout = RolloutOf({{"a", "b"}, {"c", "d"}}, 2);
  rollout.mutable_settings()->set_canary(2);
  const Move move = NextMove(rollout, {.children = {{"b", Child(v1::OPERATION_STATE_SUCCEEDED)}},
                                       .skips = {{"a", "it is stopped"}},
                                       .meant_to_run = 9});
  EXPECT_THAT(move.begin, ElementsAre("c", "d"));
}

TEST(NextMove, ABeginThatDidNotComeAboutIsTakenBackWhilePaused) {
  v1::Rollout rollout = RolloutOf({{"a"}}, 1);
  rollout.mutable_tenants(0)->set_state(v1::ROLLOUT_TENANT_STATE_UPDATING);
  rollout.set_state(v1::ROLLOUT_STATE_PAUSED);
  const Move move = NextMove(rollout, {.meant_to_run = 1});
  EXPECT_THAT(move.begin, IsEmpty());
  EXPECT_EQ(TenantIn(move.rollout, "a").state(), v1::ROLLOUT_TENANT_STATE_PENDING);
}

// A random course: children begin, go on, fail and succeed, tenants become busy or stopped,
// somebody pauses, resumes and aborts, and begins are lost with the process that meant them.
class Course {
 public:
  explicit Course(uint64_t seed) : random_(seed) {
    v1::Rollout& rollout = rollout_;
    const int count = 1 + static_cast<int>(random_.Below(9));
    *rollout.mutable_settings() =
        Settings(static_cast<int>(random_.Below(4)), static_cast<int>(random_.Below(5)));
    rollout.set_state(v1::ROLLOUT_STATE_RUNNING);
    std::set<std::string> canaries;
    for (int i = 0; i < count; ++i) {
      v1::RolloutTenant& tenant = *rollout.add_tenants();
      tenant.set_tenant(absl::StrCat("t", i));
      tenant.set_host(absl::StrCat("h", random_.Below(3)));
      tenant.set_state(v1::ROLLOUT_TENANT_STATE_PENDING);
      if (random_.Chance(100)) canaries.insert(tenant.tenant());
    }
    around_.meant_to_run = count + static_cast<int>(random_.Below(3));
    Arrange(canaries, around_.meant_to_run, rollout);
  }

  // Until it ends; true when it did.
  bool Run() {
    for (int i = 0; i < 2000; ++i) {
      Disturb();
      const Move move = NextMove(rollout_, around_);
      Check(move);
      rollout_ = move.rollout;
      for (const std::string& tenant : move.begin) {
        if (random_.Chance(100)) break;  // the process dies here
        around_.children[tenant] = Child(v1::OPERATION_STATE_PENDING);
        ++begun_[tenant];
      }
      if (move.kind != Move::Kind::kWait) return true;
      if (rollout_.state() == v1::ROLLOUT_STATE_ABORTING) return true;
    }
    return false;
  }

 private:
  void Disturb() {
    around_.busy.clear();
    for (const v1::RolloutTenant& tenant : rollout_.tenants()) {
      const std::string& name = tenant.tenant();
      if (random_.Chance(100)) around_.busy[name] = "busy";
      if (random_.Chance(5)) around_.skips[name] = "stopped";
      if (const auto child = around_.children.find(name); child != around_.children.end()) {
        Carry(child->second);
      } else if (random_.Chance(2)) {
        around_.refused[name] = "refused";
      }
    }
    if (random_.Chance(50)) rollout_.set_state(v1::ROLLOUT_STATE_PAUSED);
    if (random_.Chance(150)) rollout_.set_state(v1::ROLLOUT_STATE_RUNNING);
    if (random_.Chance(5)) rollout_.set_state(v1::ROLLOUT_STATE_ABORTING);
  }
  void Carry(v1::Operation& child) {
    if (HasEnded(child)) return;
    child.set_state(v1::OPERATION_STATE_RUNNING);
    if (random_.Chance(300)) child.set_state(v1::OPERATION_STATE_SUCCEEDED);
    if (random_.Chance(20)) child.set_state(v1::OPERATION_STATE_FAILED);
    if (random_.Chance(5)) child.set_state(v1::OPERATION_STATE_CANCELLED);
  }
  int RunningChildren() const {
    return static_cast<int>(
        std::count_if(around_.children.begin(), around_.children.end(),
                      [](const auto& child) { return !HasEnded(child.second); }));
  }

  void Check(const Move& move) const {
    const int limit = std::max(rollout_.settings().max_unavailable(), 1);
    const int at_once = RunningChildren() + static_cast<int>(move.begin.size());
    EXPECT_LE(at_once, limit);
    if (around_.meant_to_run >= 2) {
      EXPECT_LT(at_once, around_.meant_to_run) << "somebody is left";
    }
    bool failed = false;
    for (const v1::RolloutTenant& tenant : move.rollout.tenants()) {
      failed = failed || tenant.state() == v1::ROLLOUT_TENANT_STATE_FAILED;
    }
    if (failed || rollout_.state() != v1::ROLLOUT_STATE_RUNNING) {
      EXPECT_THAT(move.begin, IsEmpty());
    }
    for (const std::string& name : move.begin) {
      const auto begun = begun_.find(name);
      EXPECT_TRUE(begun == begun_.end()) << name << " is begun twice";
      for (const v1::RolloutTenant& earlier : move.rollout.tenants()) {
        if (earlier.wave() >= TenantIn(move.rollout, name).wave()) continue;
        EXPECT_TRUE(earlier.state() == v1::ROLLOUT_TENANT_STATE_UPDATED ||
                    earlier.state() == v1::ROLLOUT_TENANT_STATE_SKIPPED)
            << name << " begins before " << earlier.tenant() << " is good";
      }
    }
    if (move.kind == Move::Kind::kDone) {
      EXPECT_FALSE(failed);
    }
    if (move.kind != Move::Kind::kWait) {
      EXPECT_EQ(RunningChildren(), 0) << "it ends after its children";
    }
  }

  SeededRandom random_;
  v1::Rollout rollout_;
  Surroundings around_;
  std::map<std::string, int> begun_;
};

TEST(NextMove, KeepsItsPromisesWhateverHappens) {
  for (uint64_t seed = 0; seed < 2000 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Course course(seed);
    EXPECT_TRUE(course.Run()) << "it goes on for ever";
  }
}

}  // namespace
}  // namespace mtp
