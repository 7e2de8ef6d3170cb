// What survives the death of the process, and of the disk beneath it.
#include <absl/strings/str_cat.h>

#include <set>

#include "tests/unit/operations/engine_fixture.h"

namespace mtp::operations {
namespace {

using mtp::testing::CommitFault;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class EngineCrashTest : public EngineFixture {
 protected:
  // Steps a, b, c with effects that are counted once per key, as an agent does.
  Step WithEffect(const std::string& name, bool fails) {
    return {name,
            [this, name, fails](StepContext& context) {
              // A dead process reaches nobody.
              if (!store_->crashed()) {
                EXPECT_EQ(PersistedState(context, name), v1::STEP_STATE_RUNNING)
                    << "a step runs only after its begin is in the store";
                effects_.insert(context.key());
              }
              return fails ? StepResult::Fail(absl::InternalError("no")) : StepResult::Done();
            },
            [this](StepContext& context) {
              if (!store_->crashed()) undone_.insert(context.key());
              return StepResult::Done();
            }};
  }
  v1::StepState PersistedState(const StepContext& context, const std::string& name) {
    state::v1::OperationRecord record;
    record.ParseFromString(disk_->Get("/" + context.record().operation().name())->value);
    for (const v1::OperationStep& step : record.operation().steps()) {
      if (step.name() == name) return step.state();
    }
    return v1::STEP_STATE_UNSPECIFIED;
  }

  std::set<std::string> effects_;
  std::set<std::string> undone_;
};

// The process dies at the n-th commit, before or after it takes effect, for every n until none is
// left.
TEST_F(EngineCrashTest, GoesOnFromADeathAtAnyCommit) {
  for (const bool fails : {false, true}) {
    for (const CommitFault fault : {CommitFault::kCrashBefore, CommitFault::kCrashAfter}) {
      bool crashed = true;
      for (int n = 1; crashed; ++n) {
        SCOPED_TRACE(
            absl::StrCat("fails ", fails, ", fault ", static_cast<int>(fault), ", commit ", n));
        disk_ = kv::NewMemoryStore();
        effects_.clear();
        undone_.clear();
        kinds_.clear();
        AddKind({"work",
                 {WithEffect("a", false), WithEffect("b", false), WithEffect("c", fails)},
                 nullptr});
        MustBoot();
        NewOperation request = Request("work");
        request.locks = {"/locks/tenants/acme"};
        const std::string id = MustCreate(request);
        int commits = 0;
        store_->choose_fault = [&](const kv::Txn&) {
          return ++commits == n ? fault : CommitFault::kNone;
        };
        store_->on_crash = [this] { executor_.DropAll(); };
        Run();
        crashed = store_->crashed();
        if (crashed) {
          MustBoot();
          Run();
        }
        EXPECT_EQ(Get(id).state(),
                  fails ? v1::OPERATION_STATE_FAILED : v1::OPERATION_STATE_SUCCEEDED);
        EXPECT_THAT(effects_, SizeIs(3));
        EXPECT_THAT(undone_, SizeIs(fails ? 3 : 0));
        EXPECT_THAT(disk_->List("/locks/"), SizeIs(0));
        ASSERT_LT(n, 50);
      }
    }
  }
}

TEST_F(EngineCrashTest, CountsTheAttemptThatADeathCutShort) {
  AddKind({"work",
           {Ending("a",
                   [this](StepContext&) {
                     if (log_.size() == 1) store_->Crash();
                     return StepResult::Done();
                   })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run();
  MustBoot();
  Run();
  EXPECT_THAT(log_, ElementsAre("a", "a"));
  EXPECT_EQ(Get(id).steps(0).attempts(), 2);
}

TEST_F(EngineCrashTest, KeepsTheBackoffOverADeath) {
  AddKind({"work",
           {Ending("a",
                   [](StepContext&) { return StepResult::Retry(absl::UnavailableError("away")); })},
           nullptr});
  MustBoot();
  MustCreate(Request("work"));
  Run(absl::Minutes(10));
  const size_t before = log_.size();
  for (int i = 0; i < 20; ++i) {
    MustBoot();
    Run(absl::Milliseconds(100));
  }
  EXPECT_LE(log_.size() - before, 2U) << "restarts do not hurry it";
}

TEST_F(EngineCrashTest, AJumpOfTheWallClockDelaysAtMostByOneBackoff) {
  AddKind({"work",
           {Ending("a",
                   [this](StepContext&) {
                     return log_.size() == 1 ? StepResult::Retry(absl::UnavailableError("away"))
                                             : StepResult::Done();
                   })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run(absl::Milliseconds(1));
  clock_.JumpWall(-absl::Hours(1000));
  MustBoot();
  Run(absl::Seconds(31));
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_SUCCEEDED);
}

TEST_F(EngineCrashTest, AFullDiskDelaysAndNeitherLosesNorDoubles) {
  AddKind({"work", {WithEffect("a", false), Noting("b")}, nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  bool full = false;
  int failures = 0;
  store_->choose_fault = [&](const kv::Txn&) {
    return full ? CommitFault::kDiskFull : CommitFault::kNone;
  };
  options_.on_persist_failure = [&](const std::string&, const absl::Status&) { ++failures; };
  MustBoot();
  store_->choose_fault = [&](const kv::Txn&) {
    return full ? CommitFault::kDiskFull : CommitFault::kNone;
  };
  full = true;
  Run(absl::Minutes(30));
  EXPECT_THAT(effects_, SizeIs(0)) << "nothing begins that is not in the store";
  EXPECT_THAT(engine_->Create(Request("work"), {}).status().message(), HasSubstr("full"));
  EXPECT_GT(failures, 10);
  full = false;
  Run(absl::Minutes(1));
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_THAT(log_, ElementsAre("b"));
}

TEST_F(EngineCrashTest, AStepThatEndedIsNotRunAgainBecauseItsEndCouldNotBeWritten) {
  bool full = false;
  AddKind({"work",
           {Ending("a",
                   [&full](StepContext& context) {
                     full = true;
                     context.txn().Put("/x", "1");
                     return StepResult::Done();
                   })},
           nullptr});
  MustBoot();
  store_->choose_fault = [&](const kv::Txn&) {
    return full ? CommitFault::kDiskError : CommitFault::kNone;
  };
  const std::string id = MustCreate(Request("work"));
  Run(absl::Minutes(5));
  EXPECT_FALSE(disk_->Get("/x").ok());
  full = false;
  Run(absl::Minutes(1));
  EXPECT_THAT(log_, ElementsAre("a"));
  EXPECT_EQ(disk_->Get("/x")->value, "1");
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_SUCCEEDED);
}

TEST_F(EngineCrashTest, ACreateWhoseAnswerWasLostIsFoundByItsRequestId) {
  AddKind({"work", {Noting("a")}, nullptr});
  MustBoot();
  NewOperation request = Request("work");
  request.request_id = "r1";
  store_->choose_fault = [](const kv::Txn&) { return CommitFault::kCrashAfter; };
  EXPECT_FALSE(engine_->Create(request, {}).ok());
  MustBoot();
  Run();
  const std::string id = MustCreate(request);
  Run();
  EXPECT_THAT(log_, ElementsAre("a"));
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_SUCCEEDED);
}

TEST_F(EngineCrashTest, ACancelRequestSurvivesADeath) {
  AddKind({"work",
           {Ending("a", [](StepContext&) { return StepResult::Wait(absl::Minutes(9)); })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run(absl::Seconds(1));
  ASSERT_TRUE(engine_->Cancel(id).ok());
  MustBoot();
  Run(absl::Seconds(1));
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_CANCELLED);
}

TEST_F(EngineCrashTest, LeavesOperationsOfAnotherVersionUntouchedAndCarriesOutTheRest) {
  AddKind({"new-kind", {Noting("x")}, nullptr});
  AddKind({"changed", {Noting("x")}, nullptr});
  AddKind({"work", {Noting("a")}, nullptr});
  MustBoot();
  const std::string unknown = MustCreate(Request("new-kind"));
  const std::string changed = MustCreate(Request("changed"));
  const std::string known = MustCreate(Request("work"));
  const std::string before = disk_->Get("/operations/" + unknown)->value;

  kinds_.clear();
  AddKind({"work", {Noting("a")}, nullptr});
  AddKind({"changed", {Noting("y"), Noting("x")}, nullptr});
  const absl::Status status = Boot();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("was begun by another version"));
  Run();
  EXPECT_THAT(log_, ElementsAre("a"));
  EXPECT_EQ(Get(known).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(Get(changed).state(), v1::OPERATION_STATE_PENDING);
  EXPECT_EQ(Get(unknown).kind(), "new-kind") << "it is shown";
  EXPECT_EQ(disk_->Get("/operations/" + unknown)->value, before);
  EXPECT_TRUE(absl::IsFailedPrecondition(engine_->Cancel(unknown).status()));
}

TEST_F(EngineCrashTest, SaysOfATargetThatAnOperationOfAnotherVersionHoldsIt) {
  AddKind({"changed", {Noting("x")}, nullptr});
  MustBoot();
  NewOperation request = Request("changed");
  request.locks.push_back("/locks/tenants/acme");
  MustCreate(request);

  kinds_.clear();
  AddKind({"changed", {Noting("y")}, nullptr});
  EXPECT_FALSE(Boot().ok());
  const auto another = engine_->Create(request, {});
  EXPECT_TRUE(absl::IsFailedPrecondition(another.status())) << another.status();
  EXPECT_THAT(std::string(another.status().message()),
              HasSubstr("(changed) was begun by another version; install that version"));
}

// What a record may hold that no build of today would write: each is left as it is, and nothing of
// it is run.
TEST_F(EngineCrashTest, LeavesAPositionAndAStateThatItDoesNotKnowUntouched) {
  AddKind({"work", {Noting("a"), Noting("b")}, nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  state::v1::OperationRecord good;
  ASSERT_TRUE(good.ParseFromString(disk_->Get("/operations/" + id)->value));

  state::v1::OperationRecord beyond = good;
  beyond.set_step(3);
  state::v1::OperationRecord before = good;
  before.set_step(-1);
  state::v1::OperationRecord undoing_beyond = good;
  undoing_beyond.mutable_operation()->set_state(v1::OPERATION_STATE_COMPENSATING);
  undoing_beyond.set_step(2);
  state::v1::OperationRecord more = good;
  more.mutable_operation()->add_steps()->set_name("c");
  state::v1::OperationRecord newer = good;
  newer.mutable_operation()->set_state(static_cast<v1::OperationState>(77));
  state::v1::OperationRecord none = good;
  none.mutable_operation()->set_state(v1::OPERATION_STATE_UNSPECIFIED);
  for (const auto& record : {beyond, before, undoing_beyond, more, newer, none}) {
    const std::string kept = record.SerializeAsString();
    ASSERT_TRUE(disk_->Commit(kv::Txn().Put("/operations/" + id, kept)).ok());
    const absl::Status status = Boot();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(id));
    Run();
    EXPECT_THAT(log_, ElementsAre()) << record.ShortDebugString();
    EXPECT_EQ(disk_->Get("/operations/" + id)->value, kept);
  }
}

TEST_F(EngineCrashTest, SaysWhenTheStateCannotBeRead) {
  ASSERT_TRUE(
      disk_->Commit(kv::Txn().Put("/operations/01ARZ3NDEKTSV4RRFFQ69G5FAV", "\xff\xff")).ok());
  EXPECT_TRUE(absl::IsDataLoss(Boot()));
}

TEST_F(EngineCrashTest, PassesEachNamedPointWithTheStepsKey) {
  std::vector<std::string> points;
  options_.failpoint = [&points](const std::string& point, const std::string& key) {
    EXPECT_EQ(key.substr(0, 5), "work/");
    points.push_back(absl::StrCat(point, " ", key.substr(key.rfind('/'))));
  };
  AddKind({"work", {Noting("a")}, nullptr});
  MustBoot();
  MustCreate(Request("work"));
  Run();
  EXPECT_THAT(points,
              ElementsAre("before-persist /accept#begin", "after-persist /accept#begin",
                          "before-persist /a#begin", "after-persist /a#begin", "before-step /a",
                          "after-step /a", "before-persist /a#done", "after-persist /a#done",
                          "before-persist /end#end", "after-persist /end#end"));
}

}  // namespace
}  // namespace mtp::operations
