// When a cancel request is honoured, and what is undone then.
#include "tests/unit/operations/engine_fixture.h"

namespace mtp::operations {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class EngineCancelTest : public EngineFixture {};

TEST_F(EngineCancelTest, ACancelRequestIsHonouredWhileAStepWaits) {
  AddKind(
      {"work",
       {Noting("a"), Ending("b", [](StepContext&) { return StepResult::Wait(absl::Minutes(9)); })},
       nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run(absl::Seconds(1));
  const auto marked = engine_->Cancel(id);
  ASSERT_TRUE(marked.ok());
  EXPECT_TRUE(marked->cancel_requested());
  Run(absl::Seconds(1));
  EXPECT_THAT(log_, ElementsAre("a", "b", "undo b", "undo a"));
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(engine_->Cancel(id)->state(), v1::OPERATION_STATE_CANCELLED) << "twice changes nothing";
}

TEST_F(EngineCancelTest, ACancelRequestThatComesWhileTheStepRunsIsNotLost) {
  AddKind({"work",
           {Ending("a",
                   [this](StepContext& context) {
                     const std::string& name = context.record().operation().name();
                     EXPECT_TRUE(engine_->Cancel(name.substr(name.find('/') + 1)).ok());
                     return StepResult::Wait(absl::Minutes(5));
                   })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run(absl::Seconds(1));
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_CANCELLED);
}

TEST_F(EngineCancelTest, ACancelRequestCutsABackoffShort) {
  AddKind({"work",
           {Ending("a",
                   [](StepContext&) { return StepResult::Retry(absl::UnavailableError("away")); })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run(absl::Minutes(5));
  ASSERT_TRUE(engine_->Cancel(id).ok());
  Run(absl::Milliseconds(10));
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_CANCELLED);
}

TEST_F(EngineCancelTest, ThePausesOnTheWayBackBeginShortAgain) {
  Step away =
      Ending("a", [](StepContext&) { return StepResult::Retry(absl::UnavailableError("away")); });
  std::vector<absl::Duration> times;
  away.compensate = [this, &times](StepContext&) {
    times.push_back(clock_.Monotonic());
    return times.size() < 2 ? StepResult::Retry(absl::UnavailableError("away"))
                            : StepResult::Done();
  };
  AddKind({"work", {away}, nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run(absl::Minutes(5));
  ASSERT_TRUE(engine_->Cancel(id).ok());
  Run(absl::Minutes(1));
  ASSERT_EQ(times.size(), 2U);
  EXPECT_LE(times[1] - times[0], absl::Milliseconds(500));
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_CANCELLED);
}

TEST_F(EngineCancelTest, ACancelRequestBeforeTheFirstStepUndoesNothing) {
  AddKind({"work", {Noting("a")}, nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  ASSERT_TRUE(engine_->Cancel(id).ok());
  Run();
  EXPECT_THAT(log_, IsEmpty());
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_CANCELLED);
}

TEST_F(EngineCancelTest, ACancelRequestAfterThePointOfNoReturnIsTooLate) {
  Step last = Noting("b");
  last.cancellable = false;
  AddKind({"work",
           {Ending("a",
                   [this](StepContext& context) {
                     EXPECT_TRUE(
                         engine_->Cancel(context.record().operation().name().substr(11)).ok());
                     return StepResult::Done();
                   }),
            last},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run();
  EXPECT_THAT(log_, ElementsAre("a", "b"));
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_TRUE(Get(id).cancel_requested());
}

TEST_F(EngineCancelTest, CancelSaysNotFoundForAnUnknownId) {
  MustBoot();
  EXPECT_TRUE(absl::IsNotFound(engine_->Cancel("01ARZ3NDEKTSV4RRFFQ69G5FAV").status()));
  engine_->Wake("01ARZ3NDEKTSV4RRFFQ69G5FAV");
}

}  // namespace
}  // namespace mtp::operations
