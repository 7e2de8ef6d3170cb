// An operation that borrows the locks of another one, which waits meanwhile.
#include <absl/strings/str_cat.h>

#include "tests/unit/operations/engine_fixture.h"

namespace mtp::operations {
namespace {

using mtp::testing::CommitFault;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kLock[] = "/locks/tenants/acme";

class EngineLendTest : public EngineFixture {
 protected:
  EngineLendTest() {
    AddKind({"lender",
             {Ending("l",
                     [this](StepContext&) {
                       return lender_goes_on_ ? StepResult::Done()
                                              : StepResult::Wait(absl::Minutes(9));
                     })},
             nullptr});
    AddKind({"borrower",
             {Ending("b",
                     [this](StepContext&) {
                       if (!borrower_ends_) return StepResult::Wait(absl::Minutes(9));
                       return borrower_succeeds_
                                  ? StepResult::Done()
                                  : StepResult::Fail(absl::InternalError("no such thing"));
                     })},
             nullptr});
  }

  NewOperation Locked(const std::string& kind, const std::string& lender = "") {
    NewOperation request = Request(kind);
    request.locks = {kLock};
    request.lender = lender;
    return request;
  }
  std::string Holder() {
    const auto entry = disk_->Get(kLock);
    state::v1::LockRecord lock;
    return entry.ok() && lock.ParseFromString(entry->value) ? lock.operation() : "nobody";
  }
  void Begin() {
    MustBoot();
    lender_ = MustCreate(Locked("lender"));
    Run();
    borrower_ = MustCreate(Locked("borrower", lender_));
    Run();
    ASSERT_EQ(Holder(), borrower_);
  }
  void End(bool succeeds) {
    borrower_ends_ = true;
    borrower_succeeds_ = succeeds;
    engine_->Wake(borrower_);
    Run();
  }

  std::string lender_;
  std::string borrower_;
  bool lender_goes_on_ = false;
  bool borrower_ends_ = false;
  bool borrower_succeeds_ = true;
};

TEST_F(EngineLendTest, OneThatFailsGivesTheLockBack) {
  Begin();
  End(/*succeeds=*/false);
  EXPECT_EQ(Get(borrower_).state(), v1::OPERATION_STATE_FAILED);
  EXPECT_EQ(Holder(), lender_);
  lender_goes_on_ = true;
  engine_->Wake(lender_);
  Run();
  EXPECT_EQ(Get(lender_).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(Holder(), "nobody");
}

TEST_F(EngineLendTest, OneThatSucceedsKeepsItUntilItsEnd) {
  Begin();
  End(/*succeeds=*/true);
  EXPECT_EQ(Get(borrower_).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(Holder(), "nobody");
  EXPECT_EQ(Get(lender_).state(), v1::OPERATION_STATE_RUNNING);
}

TEST_F(EngineLendTest, TheLenderIsWokenByTheEnd) {
  Begin();
  log_.clear();
  End(/*succeeds=*/true);
  EXPECT_THAT(log_, ElementsAre("b", "l"));
}

TEST_F(EngineLendTest, ALenderThatEndsFirstLeavesTheLockAlone) {
  Begin();
  lender_goes_on_ = true;
  engine_->Wake(lender_);
  Run();
  EXPECT_EQ(Get(lender_).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(Holder(), borrower_);
  End(/*succeeds=*/false);
  EXPECT_EQ(Holder(), "nobody") << "nobody is left to give it back to";
}

TEST_F(EngineLendTest, WhatTheLenderLeavesTooLateIsNotTakenFromAThird) {
  Begin();
  End(/*succeeds=*/true);
  borrower_ends_ = false;
  const std::string third = MustCreate(Locked("borrower"));
  lender_goes_on_ = true;
  engine_->Wake(lender_);
  Run();
  EXPECT_EQ(Get(lender_).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(Holder(), third);
}

TEST_F(EngineLendTest, AnotherOperationsLockIsNotLent) {
  Begin();
  const auto refused = engine_->Create(Locked("borrower", lender_), {});
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr(borrower_));
}

TEST_F(EngineLendTest, WithoutTheLendersLockItTakesAFreeOne) {
  MustBoot();
  borrower_ends_ = true;
  EXPECT_EQ(Get(MustCreate(Locked("borrower", "01ARZ3NDEKTSV4RRFFQ69G5FAV"))).state(),
            v1::OPERATION_STATE_PENDING);
  Run();
  EXPECT_EQ(Holder(), "nobody");
}

// The process dies at the n-th commit after the borrower's failure, for every n until none is left.
TEST_F(EngineLendTest, ADeathAtAnyCommitLeavesTheLockWithOneOfThem) {
  for (const CommitFault fault : {CommitFault::kCrashBefore, CommitFault::kCrashAfter}) {
    bool crashed = true;
    for (int n = 1; crashed; ++n) {
      SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), ", commit ", n));
      disk_ = kv::NewMemoryStore();
      lender_goes_on_ = borrower_ends_ = false;
      Begin();
      int commits = 0;
      store_->choose_fault = [&](const kv::Txn&) {
        return ++commits == n ? fault : CommitFault::kNone;
      };
      End(/*succeeds=*/false);
      crashed = store_->crashed();
      MustBoot();
      Run();
      EXPECT_EQ(Get(borrower_).state(), v1::OPERATION_STATE_FAILED);
      EXPECT_EQ(Holder(), lender_);
      lender_goes_on_ = true;
      MustBoot();
      Run();
      EXPECT_EQ(Get(lender_).state(), v1::OPERATION_STATE_SUCCEEDED);
      EXPECT_EQ(Holder(), "nobody");
    }
  }
}

}  // namespace
}  // namespace mtp::operations
