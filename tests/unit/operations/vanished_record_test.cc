// The record of an operation is gone from the store while the engine still holds it: a state put
// back from a backup, or repaired by hand.
#include "tests/unit/operations/engine_fixture.h"

namespace mtp::operations {
namespace {

using mtp::testing::CommitFault;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class VanishedRecordTest : public EngineFixture {
 protected:
  VanishedRecordTest() {
    options_.on_drop = [this](const std::string& id) { dropped_.push_back(id); };
    AddKind({"wait",
             {Ending("w", [](StepContext&) { return StepResult::Wait(absl::Seconds(10)); })},
             nullptr});
    AddKind(
        {"retry",
         {Ending("r",
                 [](StepContext&) { return StepResult::Retry(absl::UnavailableError("away")); })},
         nullptr});
    AddKind({"work", {Noting("a"), Noting("b")}, nullptr});
  }

  void Vanish(const std::string& id) {
    ASSERT_TRUE(disk_->Commit(kv::Txn().Delete("/operations/" + id)).ok());
  }
  NewOperation Locking(const std::string& kind) {
    NewOperation request = Request(kind);
    request.locks = {"/locks/tenants/acme"};
    return request;
  }
  // It is gone for good, said once, and the engine is of use.
  void ExpectDropped(const std::string& id) {
    EXPECT_EQ(engine_->Active(), 0);
    EXPECT_THAT(dropped_, ElementsAre(id));
    EXPECT_TRUE(absl::IsNotFound(engine_->Get(id).status()));
    EXPECT_THAT(disk_->List("/operations/"), IsEmpty()) << "it must not be written anew";
    const std::string other = MustCreate(Locking("work"));
    Run();
    EXPECT_EQ(Get(other).state(), v1::OPERATION_STATE_SUCCEEDED);
  }

  std::vector<std::string> dropped_;
};

TEST_F(VanishedRecordTest, AnOperationThatHasNotBegunIsDroppedWithoutRunning) {
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Vanish(id);
  Run();
  EXPECT_THAT(log_, IsEmpty());
  ExpectDropped(id);
}

TEST_F(VanishedRecordTest, AWaitingOperationIsDroppedWhenItsTimerFires) {
  MustBoot();
  const std::string id = MustCreate(Request("wait"));
  Run(absl::Seconds(1));
  Vanish(id);
  Run(absl::Seconds(20));
  EXPECT_THAT(log_, ElementsAre("w")) << "no step runs for an operation that is not there";
  ExpectDropped(id);
}

TEST_F(VanishedRecordTest, AWaitingOperationIsDroppedAtOnceWhenItIsWoken) {
  MustBoot();
  const std::string id = MustCreate(Request("wait"));
  Run(absl::Seconds(1));
  Vanish(id);
  engine_->Wake(id);
  engine_->Wake(id);
  Run(absl::Milliseconds(10));
  EXPECT_THAT(log_, ElementsAre("w"));
  ExpectDropped(id);
  engine_->Wake(id);
  Run();
  EXPECT_EQ(engine_->Active(), 0) << "a wake that comes later finds nothing";
}

TEST_F(VanishedRecordTest, AnOperationInABackoffIsDroppedWhenItIsOver) {
  MustBoot();
  const std::string id = MustCreate(Request("retry"));
  Run(absl::Milliseconds(1));
  Vanish(id);
  Run();
  EXPECT_THAT(log_, ElementsAre("r"));
  ExpectDropped(id);
}

TEST_F(VanishedRecordTest, AnOperationThatVanishesUnderItsRunningStepIsDroppedAfterIt) {
  for (const bool with_changes : {false, true}) {
    SCOPED_TRACE(with_changes);
    log_.clear();
    dropped_.clear();
    kinds_.clear();
    AddKind({"work", {Noting("a")}, nullptr});
    AddKind({"vanish",
             {Ending("v",
                     [this, with_changes](StepContext& context) {
                       Vanish(context.record().operation().name().substr(11));
                       if (with_changes) context.txn().RequireAbsent("/x").Put("/x", "1");
                       return StepResult::Done();
                     }),
              Noting("next")},
             nullptr});
    MustBoot();
    const std::string id = MustCreate(Request("vanish"));
    Run();
    EXPECT_THAT(log_, ElementsAre("v"));
    EXPECT_FALSE(disk_->Get("/x").ok()) << "what the step wanted to change is not changed";
    ExpectDropped(id);
    ASSERT_TRUE(disk_->Commit(kv::Txn().Delete(disk_->List("/operations/").front().key)).ok());
  }
}

TEST_F(VanishedRecordTest, AnOperationThatVanishesWhileItIsUndoneIsDropped) {
  Step stubborn = Noting("s");
  stubborn.compensate = [this](StepContext&) {
    log_.push_back("undo s");
    return StepResult::Retry(absl::UnavailableError("away"));
  };
  AddKind({"undo",
           {stubborn,
            Ending("f", [](StepContext&) { return StepResult::Fail(absl::AbortedError("no")); })},
           nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("undo"));
  Run(absl::Milliseconds(1));
  ASSERT_THAT(log_, Contains("undo s"));
  const size_t before = log_.size();
  Vanish(id);
  Run();
  EXPECT_THAT(log_, SizeIs(before));
  ExpectDropped(id);
}

TEST_F(VanishedRecordTest, ItsLocksAreReleasedEvenIfTheDiskIsFullAtFirst) {
  MustBoot();
  const std::string id = MustCreate(Locking("wait"));
  Run(absl::Seconds(1));
  Vanish(id);
  store_->choose_fault = [](const kv::Txn&) { return CommitFault::kDiskFull; };
  Run(absl::Seconds(20));
  EXPECT_TRUE(disk_->Get("/locks/tenants/acme").ok());
  EXPECT_THAT(dropped_, IsEmpty());
  store_->choose_fault = nullptr;
  Run();
  EXPECT_FALSE(disk_->Get("/locks/tenants/acme").ok());
  ExpectDropped(id);
}

TEST_F(VanishedRecordTest, ALockThatAnotherOperationHasTakenSinceStays) {
  MustBoot();
  const std::string id = MustCreate(Locking("wait"));
  Run(absl::Seconds(1));
  ASSERT_TRUE(
      disk_->Commit(kv::Txn().Delete("/operations/" + id).Delete("/locks/tenants/acme")).ok());
  const std::string holder = MustCreate(Locking("wait"));
  Run(absl::Minutes(1));
  EXPECT_THAT(dropped_, ElementsAre(id));
  EXPECT_TRUE(absl::IsFailedPrecondition(engine_->Create(Locking("work"), {}).status()));
  EXPECT_EQ(Get(holder).state(), v1::OPERATION_STATE_RUNNING);
}

TEST_F(VanishedRecordTest, ACancelRequestForItFindsNothing) {
  MustBoot();
  const std::string id = MustCreate(Request("wait"));
  Run(absl::Seconds(1));
  Vanish(id);
  const auto cancelled = engine_->Cancel(id);
  EXPECT_TRUE(absl::IsNotFound(cancelled.status())) << cancelled.status();
  Run();
  ExpectDropped(id);
}

TEST_F(VanishedRecordTest, OtherOperationsGoOn) {
  MustBoot();
  const std::string waiting = MustCreate(Request("wait"));
  const std::string retrying = MustCreate(Request("retry"));
  const std::string working = MustCreate(Request("work"));
  const std::string staying = MustCreate(Request("wait"));
  Vanish(waiting);
  Vanish(retrying);
  Run();
  EXPECT_THAT(dropped_, ::testing::UnorderedElementsAre(waiting, retrying));
  EXPECT_EQ(Get(working).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(Get(staying).state(), v1::OPERATION_STATE_RUNNING);
  EXPECT_EQ(engine_->Active(), 1);
}

}  // namespace
}  // namespace mtp::operations
