// What can be asked of rollouts, and what is refused.
#include <gmock/gmock.h>

#include <thread>

#include "controller/rollouts/rollout_kind.h"
#include "tests/unit/controller/rollouts_fixture.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RolloutRequests : public RolloutsFixture {
 protected:
  RolloutRequests() {
    AddTenant("a", "h1");
    AddTenant("b", "h2");
  }
};

TEST_F(RolloutRequests, ThePreviewHasWavesAndNoName) {
  AddTenant("c");
  StopTenant("c");
  v1::CreateRolloutRequest request = Request();
  request.set_validate_only(true);
  const auto plan = rollouts_->Create(kCaller, request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->name(), "");
  ASSERT_EQ(plan->tenants_size(), 3);
  EXPECT_EQ(plan->tenants(0).tenant(), "a");
  EXPECT_EQ(plan->tenants(0).wave(), 0);
  EXPECT_EQ(plan->tenants(1).wave(), 1);
  EXPECT_EQ(plan->tenants(2).state(), v1::ROLLOUT_TENANT_STATE_SKIPPED);
  EXPECT_THAT(disk_->List("/rollouts/", nullptr), IsEmpty());
  EXPECT_THAT(disk_->List("/operations/", nullptr), IsEmpty());
}

TEST_F(RolloutRequests, DefaultsAreFilledIn) {
  const std::string name = MustCreate(Request({}, 0));
  const v1::RolloutSettings settings = Get(name).settings();
  EXPECT_EQ(settings.canary(), 1);
  EXPECT_EQ(settings.max_unavailable(), 1);
  EXPECT_EQ(settings.soak().seconds(), 60);
  EXPECT_EQ(settings.idle_wait().seconds(), 300);
  EXPECT_EQ(settings.repository(), "");  // each tenant's own
}

TEST_F(RolloutRequests, RefusesWhatMakesNoSense) {
  const auto code = [this](const v1::CreateRolloutRequest& request) {
    return rollouts_->Create(kCaller, request).status().code();
  };
  v1::CreateRolloutRequest request = Request();
  request.mutable_settings()->set_canary(-1);
  EXPECT_EQ(code(request), absl::StatusCode::kInvalidArgument);
  request = Request({}, 1001);
  EXPECT_EQ(code(request), absl::StatusCode::kInvalidArgument);
  request = Request({}, 1, "no image");
  EXPECT_EQ(code(request), absl::StatusCode::kInvalidArgument);
  request = Request();
  request.mutable_settings()->mutable_soak()->set_seconds(86'401);
  EXPECT_EQ(code(request), absl::StatusCode::kInvalidArgument);
  request = Request();
  request.mutable_settings()->mutable_idle_wait()->set_seconds(-1);
  EXPECT_EQ(code(request), absl::StatusCode::kInvalidArgument);
  request = Request();
  request.set_request_id("with a space");
  EXPECT_EQ(code(request), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Request({"nobody"})), absl::StatusCode::kNotFound);
  request = Request();
  request.mutable_settings()->set_repository("other");
  EXPECT_EQ(code(request), absl::StatusCode::kNotFound);
  EXPECT_THAT(disk_->List("/rollouts/", nullptr), IsEmpty());
}

TEST_F(RolloutRequests, WithNobodyToUpdateItIsRefusedWithTheReason) {
  StopTenant("a");
  const auto refused = rollouts_->Create(kCaller, Request({"a"}));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("a: it is stopped"));
}

TEST_F(RolloutRequests, WithoutARepositoryItIsRefused) {
  kv::Txn txn;
  for (const kv::Entry& entry : disk_->List("/repositories/", nullptr)) txn.Delete(entry.key);
  ASSERT_TRUE(disk_->Commit(txn).ok());
  const auto refused = rollouts_->Create(kCaller, Request());
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("repository add"));
}

TEST_F(RolloutRequests, TwoOperatorsWhoStartTheSameGetOne) {
  const std::string name = MustCreate(Request());
  const auto other = rollouts_->Create("operator/bob", Request({"b", "a", "a"}));
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(other->name(), name);
  EXPECT_THAT(disk_->List("/rollouts/", nullptr), SizeIs(1));
}

TEST_F(RolloutRequests, AnotherOneIsRefusedWhileOneGoesOn) {
  const std::string name = MustCreate(Request());
  for (const v1::CreateRolloutRequest& other : {Request({"a"}), Request({}, 2)}) {
    const auto refused = rollouts_->Create("operator/bob", other);
    EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr(name));
  }
}

TEST_F(RolloutRequests, ARetryGetsItsRolloutWhenItHasEndedToo) {
  v1::CreateRolloutRequest request = Request();
  request.set_request_id("first");
  const std::string name = MustCreate(request);
  v1::CreateRolloutRequest joining = Request();
  joining.set_request_id("second");
  ASSERT_EQ(rollouts_->Create("operator/bob", joining)->name(), name);
  ASSERT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_SUCCEEDED);
  EXPECT_EQ(rollouts_->Create(kCaller, request)->name(), name);
  EXPECT_EQ(rollouts_->Create("operator/bob", joining)->name(), name);
  joining.mutable_settings()->set_canary(2);
  EXPECT_TRUE(absl::IsAlreadyExists(rollouts_->Create("operator/bob", joining).status()));
}

TEST_F(RolloutRequests, AJoinedRequestIsForgottenWithItsOperation) {
  v1::CreateRolloutRequest joining = Request();
  joining.set_request_id("second");
  const std::string name = MustCreate(Request());
  ASSERT_TRUE(rollouts_->Create("operator/bob", joining).ok());
  ASSERT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_SUCCEEDED);
  kv::Txn txn;
  txn.Delete("/operations/" + name.substr(sizeof("rollouts/") - 1));
  ASSERT_TRUE(disk_->Commit(txn).ok());
  AddTenant("c");
  const auto fresh = rollouts_->Create("operator/bob", joining);
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_NE(fresh->name(), name);
}

// Sixteen operators at the same moment, with real threads.
TEST_F(RolloutRequests, UnderARaceThereIsOneToo) {
  operations::Engine engine(disk_.get(), &clock_, &random_, &executor_, {});
  engine.Register(RolloutKind({disk_.get(), &agents_, &engine, &observations_, nullptr, ""}));
  ASSERT_TRUE(engine.Start().ok());
  Rollouts rollouts(disk_.get(), &engine, repositories_.get(), &clock_, &random_);
  std::vector<absl::StatusOr<v1::Rollout>> answers(16);
  std::vector<std::thread> operators;
  for (size_t i = 0; i < answers.size(); ++i) {
    operators.emplace_back([&, i] {
      v1::CreateRolloutRequest request = Request();
      request.set_request_id(absl::StrCat("request-", i));
      answers[i] = rollouts.Create(absl::StrCat("operator/o", i), request);
    });
  }
  for (std::thread& one : operators) one.join();
  for (const auto& answer : answers) {
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->name(), answers[0]->name());
  }
  EXPECT_THAT(disk_->List("/rollouts/", nullptr), SizeIs(1));
}

TEST_F(RolloutRequests, AnEndedOneCannotBePausedOrResumed) {
  const std::string name = MustCreate(Request());
  ASSERT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_SUCCEEDED);
  EXPECT_TRUE(absl::IsFailedPrecondition(rollouts_->Pause(name).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(rollouts_->Resume(name).status()));
  EXPECT_EQ(rollouts_->Abort(name)->state(), v1::ROLLOUT_STATE_SUCCEEDED);
}

TEST_F(RolloutRequests, AnAbortingOneCannotBeResumed) {
  courses_["a"] = Course::kHangs;
  const std::string name = MustCreate(Request());
  Run(absl::Minutes(1));
  ASSERT_TRUE(rollouts_->Abort(name).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(rollouts_->Resume(name).status()));
}

TEST_F(RolloutRequests, OneWithoutItsOperationCanBeAborted) {
  const std::string name = MustCreate(Request());
  kv::Txn txn;
  txn.Delete("/operations/" + name.substr(sizeof("rollouts/") - 1));
  ASSERT_TRUE(disk_->Commit(txn).ok());
  Boot();
  EXPECT_EQ(rollouts_->Abort(name)->state(), v1::ROLLOUT_STATE_ABORTED);
}

TEST_F(RolloutRequests, UnknownAndMalformedNamesAreToldApart) {
  EXPECT_TRUE(absl::IsNotFound(rollouts_->Get("rollouts/01ARZ3NDEKTSV4RRFFQ69G5FAV").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(rollouts_->Get("rollouts/x").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(rollouts_->Pause("operations/x").status()));
}

TEST_F(RolloutRequests, AThousandEndedOnesAreKept) {
  const std::string running = MustCreate(Request());
  for (int i = 0; i < 1005; ++i) {
    state::v1::RolloutRecord record;
    record.mutable_rollout()->set_state(v1::ROLLOUT_STATE_SUCCEEDED);
    kv::Txn txn;
    tables_.rollouts.Put(txn, absl::StrCat("00000000000000000000", absl::Dec(i, absl::kZeroPad6)),
                         record);
    ASSERT_TRUE(disk_->Commit(txn).ok());
  }
  ASSERT_EQ(Ended(running).state(), v1::ROLLOUT_STATE_SUCCEEDED);
  AddTenant("c");
  const std::string next = MustCreate(Request());
  EXPECT_THAT(disk_->List("/rollouts/", nullptr), SizeIs(1000)) << "999 and the new one";
  EXPECT_TRUE(absl::IsNotFound(rollouts_->Get("rollouts/00000000000000000000000000").status()));
  EXPECT_TRUE(rollouts_->Get(next).ok());
  EXPECT_EQ(rollouts_->List()->front().name(), next) << "newest first";
}

TEST_F(RolloutRequests, EndedOnesAreKeptAsLongAsTheyAreNotLarge) {
  for (int i = 0; i < 20; ++i) {
    state::v1::RolloutRecord record;
    record.mutable_rollout()->set_state(v1::ROLLOUT_STATE_SUCCEEDED);
    record.mutable_rollout()->set_message(std::string((1 << 20) - 64, 'x'));
    kv::Txn txn;
    tables_.rollouts.Put(txn, absl::StrCat("00000000000000000000", absl::Dec(i, absl::kZeroPad6)),
                         record);
    ASSERT_TRUE(disk_->Commit(txn).ok());
  }
  const std::string next = MustCreate(Request());
  EXPECT_THAT(disk_->List("/rollouts/", nullptr), SizeIs(17)) << "16 MiB and the new one";
  EXPECT_TRUE(absl::IsNotFound(rollouts_->Get("rollouts/00000000000000000000000003").status()));
  EXPECT_TRUE(rollouts_->Get("rollouts/00000000000000000000000004").ok());
  EXPECT_TRUE(rollouts_->Get(next).ok());
}

}  // namespace
}  // namespace mtp
