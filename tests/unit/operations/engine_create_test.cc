// What an operation takes when it is created, and gives back at its end.
#include "tests/unit/operations/engine_fixture.h"

namespace mtp::operations {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class EngineCreateTest : public EngineFixture {};

TEST_F(EngineCreateTest, LocksAreExclusiveAndReleasedWithTheEnd) {
  bool fail = false;
  AddKind({"work",
           {Ending("a",
                   [&fail](StepContext&) {
                     return fail ? StepResult::Fail(absl::InternalError("no")) : StepResult::Done();
                   })},
           nullptr});
  MustBoot();
  NewOperation request = Request("work");
  request.locks = {"/locks/tenants/acme"};
  for (int round = 0; round < 2; ++round) {
    const std::string id = MustCreate(request);
    const auto second = engine_->Create(request, kv::Txn().Put("/reserved", "x"));
    EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
    EXPECT_THAT(std::string(second.status().message()), HasSubstr(id));
    EXPECT_FALSE(disk_->Get("/reserved").ok());
    Run();
    EXPECT_FALSE(disk_->Get("/locks/tenants/acme").ok());
    fail = true;
  }
}

TEST_F(EngineCreateTest, WhatOnEndAddsBecomesTrueWithTheEnd) {
  ASSERT_TRUE(disk_->Commit(kv::Txn().Put("/reserved", "0")).ok());
  int calls = 0;
  Kind kind{"work", {Noting("a")}, nullptr};
  kind.on_end = [&](const state::v1::OperationRecord& record, kv::Txn& txn) {
    EXPECT_EQ(record.operation().state(), v1::OPERATION_STATE_SUCCEEDED);
    txn.RequireRevision("/reserved", disk_->Get("/reserved")->mod_revision).Delete("/reserved");
    // Somebody else is faster, once.
    if (++calls == 1) {
      EXPECT_TRUE(disk_->Commit(kv::Txn().Put("/reserved", "1")).ok());
    }
  };
  AddKind(kind);
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  Run();
  EXPECT_EQ(calls, 2);
  EXPECT_FALSE(disk_->Get("/reserved").ok());
  EXPECT_EQ(Get(id).state(), v1::OPERATION_STATE_SUCCEEDED);
}

TEST_F(EngineCreateTest, CreateCarriesItsReservationsOutInTheSameTransaction) {
  AddKind({"work", {Noting("a")}, nullptr});
  MustBoot();
  ASSERT_TRUE(
      engine_->Create(Request("work"), kv::Txn().RequireAbsent("/port").Put("/port", "1")).ok());
  EXPECT_EQ(disk_->Get("/port")->value, "1");
  const auto second =
      engine_->Create(Request("work"), kv::Txn().RequireAbsent("/port").Put("/port", "2"));
  EXPECT_TRUE(absl::IsAborted(second.status())) << second.status();
  EXPECT_EQ(engine_->Active(), 1);
}

TEST_F(EngineCreateTest, ARequestIdIsCarriedOutOnce) {
  AddKind({"work", {Noting("a")}, nullptr});
  MustBoot();
  NewOperation request = Request("work");
  request.request_id = "r1";
  request.request_hash = "hash";
  request.locks = {"/locks/tenants/acme"};
  const std::string id = MustCreate(request);
  EXPECT_EQ(MustCreate(request), id) << "while it goes on";
  Run();
  EXPECT_EQ(MustCreate(request), id) << "after its end";
  Run();
  EXPECT_THAT(log_, SizeIs(1));
  EXPECT_EQ(engine_->FindRequest("operator/alice", "r1", "hash")->name(), "operations/" + id);
  EXPECT_TRUE(absl::IsNotFound(engine_->FindRequest("operator/bob", "r1", "hash").status()));
  EXPECT_TRUE(
      absl::IsAlreadyExists(engine_->FindRequest("operator/alice", "r1", "other").status()));
  request.request_hash = "other";
  EXPECT_TRUE(absl::IsAlreadyExists(engine_->Create(request, {}).status()));
}

TEST_F(EngineCreateTest, RefusesWhatItDoesNotKnowOrCannotHold) {
  options_.max_active = 1;
  AddKind({"work",
           {Ending("a", [](StepContext&) { return StepResult::Wait(absl::Minutes(9)); })},
           nullptr});
  MustBoot();
  EXPECT_TRUE(absl::IsInvalidArgument(engine_->Create(Request("other"), {}).status()));
  NewOperation long_id = Request("work");
  long_id.request_id = std::string(129, 'r');
  EXPECT_TRUE(absl::IsInvalidArgument(engine_->Create(long_id, {}).status()));
  MustCreate(Request("work"));
  EXPECT_TRUE(absl::IsResourceExhausted(engine_->Create(Request("work"), {}).status()));
  engine_->Stop();
  EXPECT_TRUE(absl::IsUnavailable(engine_->Create(Request("work"), {}).status()));
}

}  // namespace
}  // namespace mtp::operations
