#include "tests/unit/operations/engine_fixture.h"

namespace mtp::operations {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineTest : public EngineFixture {};

TEST_F(EngineTest, CarriesOutTheStepsInOrderAndSucceeds) {
  AddKind({"work", {Noting("a"), Noting("b"), Noting("c")}, nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_PENDING);
  EXPECT_THAT(log_, IsEmpty()) << "Create carries out nothing itself";
  Run();
  EXPECT_THAT(log_, ElementsAre("a", "b", "c"));
  const v1::Operation ended = Get(id);
  EXPECT_EQ(ended.state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_TRUE(ended.has_end_time());
  for (const v1::OperationStep& step : ended.steps()) {
    EXPECT_EQ(step.state(), v1::STEP_STATE_DONE);
    EXPECT_EQ(step.attempts(), 1);
  }
  EXPECT_EQ(engine_->Active(), 0);
}

TEST_F(EngineTest, HandsFactsToLaterStepsAndResultsToTheCaller) {
  std::string seen;
  AddKind({"work",
           {Ending("a",
                   [](StepContext& context) {
                     context.SetFact("port", "18801");
                     context.SetResult("host", "h1");
                     return StepResult::Done();
                   }),
            Ending("b",
                   [&seen](StepContext& context) {
                     seen = context.Fact("port") + context.Fact("given") + context.Fact("none");
                     return StepResult::Done();
                   })},
           nullptr});
  MustBoot();
  NewOperation request = Request("work");
  request.facts["given"] = "+";
  const std::string id = MustCreate(request);
  Run();
  EXPECT_EQ(seen, "18801+");
  EXPECT_EQ(Get(id).result().at("host"), "h1");
}

TEST_F(EngineTest, AStepsChangesBecomeTrueWithItsEnd) {
  AddKind({"work",
           {Ending("a",
                   [this](StepContext& context) {
                     context.txn().Put("/x", log_.size() == 1 ? "dropped" : "kept");
                     return log_.size() == 1 ? StepResult::Retry(absl::UnavailableError("later"))
                                             : StepResult::Done();
                   })},
           nullptr});
  MustBoot();
  MustCreate(Request("work"));
  executor_.RunFor(absl::Milliseconds(1));
  EXPECT_FALSE(disk_->Get("/x").ok());
  Run();
  EXPECT_EQ(disk_->Get("/x")->value, "kept");
}

TEST_F(EngineTest, AStepWhoseChangesConflictDecidesAnew) {
  ASSERT_TRUE(disk_->Commit(kv::Txn().Put("/x", "0")).ok());
  AddKind({"work",
           {Ending("a",
                   [this](StepContext& context) {
                     const kv::Entry entry = *disk_->Get("/x");
                     context.txn().RequireRevision("/x", entry.mod_revision).Put("/x", "mine");
                     // Somebody else is faster, three times.
                     if (log_.size() <= 3) {
                       EXPECT_TRUE(disk_->Commit(kv::Txn().Put("/x", "theirs")).ok());
                     }
                     return StepResult::Done();
                   })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run();
  EXPECT_THAT(log_, SizeIs(4));
  EXPECT_EQ(disk_->Get("/x")->value, "mine");
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_SUCCEEDED);
}

TEST_F(EngineTest, AStepThatConflictsForEverPausesInsteadOfSpinning) {
  AddKind({"work",
           {Ending("a",
                   [](StepContext& context) {
                     context.txn().RequireRevision("/x", 12345);
                     return StepResult::Done();
                   })},
           nullptr});
  MustBoot();
  MustCreate(Request("work"));
  Run(absl::Minutes(1));
  EXPECT_LT(log_.size(), 150U);
  EXPECT_GT(log_.size(), 20U);
}

TEST_F(EngineTest, ChangesBeyondTheStoresLimitsFailTheStep) {
  AddKind({"work",
           {Ending("a",
                   [](StepContext& context) {
                     context.txn().Put("/x", "1").Put("/x", "2");
                     return StepResult::Done();
                   })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run();
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_FAILED);
}

TEST_F(EngineTest, RetriesWithAGrowingPauseAndCountsAttempts) {
  std::vector<absl::Duration> times;
  AddKind({"work",
           {Ending("a",
                   [&](StepContext&) {
                     times.push_back(clock_.Monotonic());
                     return times.size() < 12
                                ? StepResult::Retry(absl::UnavailableError("h1 is away"))
                                : StepResult::Done();
                   })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run(absl::Seconds(1));
  EXPECT_THAT(Get(id).message(), HasSubstr("h1 is away"));
  Run(absl::Minutes(10));
  ASSERT_EQ(times.size(), 12U);
  EXPECT_GE(times[1] - times[0], absl::Milliseconds(250));
  EXPECT_LE(times[1] - times[0], absl::Milliseconds(500));
  EXPECT_GE(times[11] - times[10], absl::Seconds(15));
  EXPECT_LE(times[11] - times[10], absl::Seconds(30));
  EXPECT_EQ(Get(id).steps(0).attempts(), 12);
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_SUCCEEDED);
}

TEST_F(EngineTest, PausesBeginShortAgainOnceAStepHasComeFurther) {
  std::vector<absl::Duration> times;
  const auto looks = [this, &times](const std::string& name,
                                    const std::vector<StepResult>& results) {
    auto next = std::make_shared<size_t>(0);
    return Ending(name, [this, &times, results, next](StepContext&) {
      times.push_back(clock_.Monotonic());
      return results.at((*next)++);
    });
  };
  const StepResult away = StepResult::Retry(absl::UnavailableError("h1 is away"));
  AddKind({"work",
           {looks("a", {away, away, away, away, away, away, StepResult::Wait(absl::Seconds(1)),
                        away, StepResult::Done()}),
            looks("b", {away, StepResult::Done()})},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run(absl::Minutes(5));
  ASSERT_EQ(Get(id).state(), v1::OPERATION_STATE_SUCCEEDED);
  ASSERT_EQ(times.size(), 11U);
  EXPECT_GE(times[6] - times[5], absl::Seconds(8));
  EXPECT_LE(times[8] - times[7], absl::Milliseconds(500));
  EXPECT_LE(times[10] - times[9], absl::Milliseconds(500));
}

TEST_F(EngineTest, AWaitingStepLooksAgainWhenWokenOrWhenItsTimeHasCome) {
  AddKind({"work",
           {Ending("a",
                   [this](StepContext&) {
                     return log_.size() < 3
                                ? StepResult::Wait(absl::Seconds(10), "pulling the image")
                                : StepResult::Done();
                   })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run(absl::Seconds(1));
  EXPECT_THAT(log_, SizeIs(1));
  EXPECT_EQ(Get(id).message(), "pulling the image");
  engine_->Wake(id);
  Run(absl::Seconds(1));
  EXPECT_THAT(log_, SizeIs(2));
  Run(absl::Seconds(20));
  EXPECT_THAT(log_, SizeIs(3));
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(Get(id).steps(0).attempts(), 1) << "looking again is no new attempt";
}

TEST_F(EngineTest, AWakeThatComesWhileTheStepRunsIsNotLost) {
  AddKind({"work",
           {Ending("a",
                   [this](StepContext& context) {
                     if (log_.size() > 1) return StepResult::Done();
                     engine_->Wake(context.record().operation().name().substr(11));
                     return StepResult::Wait(absl::Minutes(5));
                   })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run(absl::Seconds(1));
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_SUCCEEDED);
}

TEST_F(EngineTest, LookingAgainWithoutNewsWritesNothing) {
  AddKind(
      {"work",
       {Ending("a", [](StepContext&) { return StepResult::Wait(absl::Seconds(1), "waiting"); })},
       nullptr});
  MustBoot();
  MustCreate(Request("work"));
  Run(absl::Seconds(5));
  const int64_t revision = disk_->Revision();
  Run(absl::Seconds(20));
  EXPECT_GE(log_.size(), 20U);
  EXPECT_EQ(disk_->Revision(), revision);
}

TEST_F(EngineTest, AFailureUndoesEveryBegunStepInReverse) {
  Step without_undo = Noting("b");
  without_undo.compensate = nullptr;
  AddKind(
      {"work",
       {Noting("a"), without_undo,
        Ending("c",
               [](StepContext&) { return StepResult::Fail(absl::NotFoundError("no such image")); }),
        Noting("d")},
       nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run();
  EXPECT_THAT(log_, ElementsAre("a", "b", "c", "undo c", "undo a"));
  const v1::Operation ended = Get(id);
  EXPECT_EQ(ended.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_EQ(ended.error().message(), "c: no such image");
  EXPECT_EQ(ended.error().code(), static_cast<int>(absl::StatusCode::kNotFound));
  EXPECT_EQ(ended.steps(0).state(), v1::STEP_STATE_UNDONE);
  EXPECT_EQ(ended.steps(1).state(), v1::STEP_STATE_DONE);
  EXPECT_EQ(ended.steps(2).state(), v1::STEP_STATE_FAILED);
  EXPECT_EQ(ended.steps(2).message(), "no such image");
  EXPECT_TRUE(ended.steps(2).has_end_time());
  EXPECT_EQ(ended.steps(3).state(), v1::STEP_STATE_PENDING);
}

TEST_F(EngineTest, ACompensationIsRetriedAndItsOwnFailureIsNoted) {
  Step stubborn = Noting("a");
  int attempts = 0;
  stubborn.compensate = [&attempts](StepContext& context) {
    EXPECT_THAT(context.key(), ::testing::EndsWith("/a/undo"));
    if (++attempts < 3) return StepResult::Retry(absl::UnavailableError("away"));
    return StepResult::Fail(absl::InternalError("cannot be undone"));
  };
  AddKind({"work",
           {stubborn,
            Ending("b", [](StepContext&) { return StepResult::Fail(absl::AbortedError("no")); })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run();
  EXPECT_EQ(attempts, 3);
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(Get(id).error().message(),
              HasSubstr("b: no; undoing a failed too: cannot be undone"));
}

TEST_F(EngineTest, MessagesFromOutsideCanAlwaysBeReadBack) {
  AddKind({"work",
           {Ending("a",
                   [](StepContext& context) {
                     context.SetFact("said", "bad \xff");
                     return StepResult::Fail(absl::InternalError("bad \xff byte"));
                   })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run();
  EXPECT_EQ(Get(id).error().message(), "a: bad ? byte");
}

}  // namespace
}  // namespace mtp::operations
