// UpdateTenant and the kind `set`: what is reserved, what is asked of the host, and what is put
// back.
#include <gmock/gmock.h>

#include <optional>
#include <vector>

#include "tests/unit/controller/set_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Act = v1::EnsureActionRequest;
using mtp::testing::CommitFault;
using mtp::testing::FakeAgents;

TEST_F(SetTest, AnotherLimitIsAskedOfTheHost) {
  const v1::Operation operation = Ended(Update(Limit(4096)));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_EQ(operation.kind(), "set");
  EXPECT_EQ(operation.host(), "h1");
  EXPECT_EQ(operation.result().at("memory_limit_mib"), "4096");
  EXPECT_EQ(agents_.Last(Act::kLimit).request.limit().memory_limit_mib(), 4096);
  EXPECT_EQ(Record().spec().memory_limit_mib(), 4096);
  EXPECT_EQ(Record().resolved().memory_limit_mib(), 4096);
  EXPECT_EQ(Record().spec().memory_reservation_mib(), 0);
  EXPECT_EQ(Reserved().memory_mib(), 1024);
}

TEST_F(SetTest, AnotherReservationIsTheControllersAlone) {
  for (const int64_t mib : {2000, 500}) {
    Succeeds(Reservation(mib));
    EXPECT_EQ(Record().spec().memory_reservation_mib(), mib);
    EXPECT_EQ(Record().resolved().memory_reservation_mib(), mib);
    EXPECT_EQ(Record().resolved().memory_limit_mib(), 2048);
    EXPECT_EQ(Reserved().memory_mib(), mib);
  }
  EXPECT_EQ(agents_.Count(Act::kLimit), 0);
}

TEST_F(SetTest, TheDefaultLimitGrowsWithTheReservation) {
  Succeeds(Reservation(3000));
  EXPECT_EQ(Record().spec().memory_limit_mib(), 0);
  EXPECT_EQ(Record().resolved().memory_limit_mib(), 3000);
  EXPECT_EQ(agents_.Last(Act::kLimit).request.limit().memory_limit_mib(), 3000);
}

TEST_F(SetTest, NothingIsBackToTheDefault) {
  Succeeds(Request(2000, 3000));
  Succeeds(Request(0, 0));
  ExpectAsBefore();
  EXPECT_EQ(agents_.Last(Act::kLimit).request.limit().memory_limit_mib(), 2048);
}

TEST_F(SetTest, LabelsLeaveTheMemoryAsItWasResolved) {
  Succeeds(Team("blue"));
  EXPECT_EQ(Record().spec().labels().at("team"), "blue");
  EXPECT_EQ(Record().resolved().labels().at("team"), "blue");
  EXPECT_EQ(Record().resolved().memory_reservation_mib(), 1024);
  EXPECT_EQ(Reserved().anti_affinity(), "team=blue");
  EXPECT_EQ(agents_.Count(Act::kLimit), 0);
}

TEST_F(SetTest, AnImageThatAnUpdatePinnedStays) {
  auto row = *life_->tables.tenants.Get("acme");
  row.value.mutable_resolved()->set_image("openclaw@sha256:1");
  kv::Txn txn;
  life_->tables.tenants.Put(txn, "acme", row.value);
  ASSERT_TRUE(life_->store.Commit(txn).ok());
  Succeeds(Request(900, 1000));
  EXPECT_EQ(Record().resolved().image(), "openclaw@sha256:1");
  EXPECT_EQ(Record().spec().image(), "");
}

TEST_F(SetTest, OnlyWhatIsReservedMoreHasToFit) {
  Provision("beta", 2);
  Succeeds(Reservation(kHostMib - 1024));
  EXPECT_EQ(Reserved().memory_mib(), kHostMib - 1024);
  const auto refused = Update(Reservation(kHostMib - 1023));
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status()));
  EXPECT_THAT(refused.status().message(), AllOf(HasSubstr("host h1"), HasSubstr("1 MiB more"),
                                                HasSubstr("0 MiB of 4,096 MiB are free")));
  EXPECT_EQ(Reserved().memory_mib(), kHostMib - 1024);
}

TEST_F(SetTest, RefusesWhatMakesNoSense) {
  const auto message = [this](const v1::UpdateTenantRequest& request) {
    const auto status = Update(request).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(message(Limit(512)),
              AllOf(HasSubstr("780 MiB"), HasSubstr("within 20 s"), HasSubstr("at least 768 MiB")));
  EXPECT_THAT(message(Limit(900)), HasSubstr("less than the reservation of 1024 MiB"));
  EXPECT_THAT(message(Request(-1, -1)), HasSubstr("name at least one of"));
  v1::UpdateTenantRequest image = Request(-1, -1);
  image.mutable_update_mask()->add_paths("image");
  EXPECT_THAT(message(image), HasSubstr("only memory_reservation_mib"));
  EXPECT_THAT(message(Reservation(5)), HasSubstr("memory reservation"));
  v1::UpdateTenantRequest unlabelled = Team("x");
  unlabelled.mutable_spec()->clear_labels();
  EXPECT_THAT(message(unlabelled), HasSubstr("anti-affinity"));
  ExpectAsBefore();
}

TEST_F(SetTest, AProvisionBelowTheLeastIsRefusedToo) {
  v1::ProvisionTenantRequest request;
  request.set_tenant_id("beta");
  request.mutable_secrets()->set_telegram_token("2:secret");
  request.mutable_spec()->set_memory_reservation_mib(400);
  request.mutable_spec()->set_memory_limit_mib(512);
  const auto refused = life_->tenants.Provision(kSetCaller, request);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(refused.status().message(), HasSubstr("within 20 s"));
}

TEST_F(SetTest, ALabelThatAnotherOnTheHostHasIsRefusedWhereItKeepsThemApart) {
  Provision("beta", 2);
  const auto refused = Update(Team("beta"));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(refused.status().message(), HasSubstr("beta"));
  ExpectAsBefore();
}

TEST_F(SetTest, HonoursEtagsRequestIdsAndDryRuns) {
  v1::UpdateTenantRequest request = Limit(3000);
  request.set_etag("1");
  EXPECT_TRUE(absl::IsAborted(Update(request).status()));
  request.clear_etag();
  request.set_validate_only(true);
  const auto preview = Update(request);
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_EQ(preview->name(), "");
  ExpectAsBefore();

  request.set_validate_only(false);
  request.set_request_id("once");
  const auto first = Update(request);
  Ended(first);
  const auto again = Update(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), first->name());
  EXPECT_EQ(agents_.Count(Act::kLimit), 1);
}

TEST_F(SetTest, UnknownTenantsAreNotFound) {
  v1::UpdateTenantRequest request = Limit(3000);
  request.set_name("tenants/ghost");
  EXPECT_TRUE(absl::IsNotFound(Update(request).status()));
}

TEST_F(SetTest, WhatTheHostRefusesIsPutBack) {
  agents_.outcomes[Act::kLimit] =
      FakeAgents::Failed(absl::FailedPreconditionError("acme uses 812 MiB now"));
  const v1::Operation operation = Ended(Update(Request(2000, 3000)));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(), HasSubstr("uses 812 MiB now"));
  ExpectAsBefore();
}

TEST_F(SetTest, TheHostIsAskedForTheOldLimitAgain) {
  agents_.outcomes[Act::kLimit] = FakeAgents::Running();
  const auto created = Update(Limit(3000));
  executor_.RunFor(absl::Seconds(1));
  ASSERT_EQ(agents_.Count(Act::kLimit), 1);
  agents_.outcomes.erase(Act::kLimit);
  ASSERT_TRUE(life_->engine.Cancel(created->name().substr(sizeof("operations/") - 1)).ok());
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(agents_.Last(Act::kLimit).request.limit().memory_limit_mib(), 2048);
  ExpectAsBefore();
}

// What its creation took is put back, too, when it never came to its first step.
TEST_F(SetTest, CalledOffBeforeItHasBegunItIsPutBack) {
  const auto created = Update(Request(2000, 3000));
  ASSERT_TRUE(life_->engine.Cancel(created->name().substr(sizeof("operations/") - 1)).ok());
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(agents_.Count(Act::kLimit), 0);
  ExpectAsBefore();
}

// What a lowered reservation would free may be promised to another tenant only once it cannot be
// taken back any more.
TEST_F(SetTest, WhatIsReservedLessIsKeptUntilNothingCanFailAnyMore) {
  agents_.outcomes[Act::kLimit] = FakeAgents::Running();
  const auto created = Update(Request(800, 1000));
  executor_.RunFor(absl::Seconds(1));
  EXPECT_EQ(Reserved().memory_mib(), 1024);
  agents_.outcomes.erase(Act::kLimit);
  agents_.End(Act::kLimit, FakeAgents::Failed(absl::FailedPreconditionError("uses more")));
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_FAILED);
  ExpectAsBefore();
  Succeeds(Request(800, 1000));
  EXPECT_EQ(Reserved().memory_mib(), 800);
}

class SetCrash : public SetTest, public ::testing::WithParamInterface<CommitFault> {
 protected:
  // The controller dies at commit `at` of the change, counted from 0, and another goes on. False
  // when the change made fewer.
  bool CrashAt(int at, const v1::UpdateTenantRequest& request) {
    int commits = 0;
    life_->store.choose_fault = [&](const kv::Txn&) {
      return commits++ == at ? GetParam() : CommitFault::kNone;
    };
    life_->store.on_crash = [this] { executor_.DropAll(); };
    const auto created = Update(request);
    if (!life_->store.crashed()) executor_.RunFor(absl::Minutes(2));
    const bool crashed = life_->store.crashed();
    NewController();
    executor_.RunFor(absl::Minutes(2));
    return crashed;
  }
};

TEST_P(SetCrash, GoesOnFromADeathAtEachCommit) {
  for (int at = 0;; ++at) {
    v1::UpdateTenantRequest request = Request(1100 + at, 3000 + at);
    request.set_request_id(absl::StrCat("r", at));
    const bool crashed = CrashAt(at, request);
    // A caller without an answer asks again.
    Succeeds(request);
    EXPECT_EQ(Record().resolved().memory_reservation_mib(), 1100 + at) << "commit " << at;
    EXPECT_EQ(Record().resolved().memory_limit_mib(), 3000 + at) << "commit " << at;
    EXPECT_EQ(Reserved().memory_mib(), 1100 + at) << "commit " << at;
    EXPECT_EQ(agents_.Last(Act::kLimit).request.limit().memory_limit_mib(), 3000 + at);
    if (!crashed) {
      EXPECT_GE(at, 3);
      return;
    }
  }
}

TEST_P(SetCrash, PutsBackAfterADeathAtEachCommit) {
  agents_.outcomes[Act::kLimit] =
      FakeAgents::Failed(absl::FailedPreconditionError("acme uses 812 MiB now"));
  for (int at = 0;; ++at) {
    v1::UpdateTenantRequest request = Request(at % 2 == 0 ? 1500 : 900, 3000);
    request.set_request_id(absl::StrCat("r", at));
    const bool crashed = CrashAt(at, request);
    EXPECT_EQ(Ended(Update(request)).state(), v1::OPERATION_STATE_FAILED) << "commit " << at;
    ExpectAsBefore();
    if (!crashed) {
      EXPECT_GE(at, 4);
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(BeforeAndAfter, SetCrash,
                         ::testing::Values(CommitFault::kCrashBefore, CommitFault::kCrashAfter));

}  // namespace
}  // namespace mtp
