// UpdateTenant and the kind `set`: what is reserved, what is asked of the host, and what is put
// back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/kv/sqlite_store.h"
#include "controller/tenants/kinds.h"
#include "controller/tenants/tenants.h"
#include "tests/support/faulty_store.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"
#include "tests/unit/controller/fake_agents.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Act = v1::EnsureActionRequest;
using mtp::testing::CommitFault;
using mtp::testing::FakeAgents;

constexpr char kCaller[] = "operator/alice";
constexpr int64_t kHostMib = 4096;

class SetTest : public ::testing::Test {
 protected:
  SetTest() {
    state::v1::HostRecord host;
    host.set_name("h1");
    host.set_allocatable_mib(kHostMib);
    kv::Txn txn;
    Tables(disk_.get()).hosts.Put(txn, "h1", host);
    EXPECT_TRUE(disk_->Commit(txn).ok());
    observations_.Update("h1", [](HostObservation& seen) {
      seen.connected = true;
      seen.status.set_allocatable_mib(kHostMib);
      seen.status.set_memory_total_mib(kHostMib);
      seen.status.set_disk_free_mib(100'000);
    });
    NewController();
    Provision("acme", 1);
  }
  void TearDown() override { EXPECT_THAT(agents_.complaints(), ::testing::IsEmpty()); }

  // One life of the controller.
  struct Life {
    explicit Life(SetTest* test)
        : store(test->disk_.get()),
          tables(&store),
          engine(&store, &test->clock_, &test->random_, &test->executor_, {}),
          tenants(&store, &engine, &test->observations_, &test->box_, &test->clock_, &test->random_,
                  Options()) {
      const TenantClients clients{&store, &test->agents_, &test->box_};
      engine.Register(ProvisionKind(clients));
      engine.Register(SetKind(clients));
      engine.Register(SetFailoverKind(clients));
      EXPECT_TRUE(engine.Start().ok());
    }
    static Tenants::Options Options() {
      Tenants::Options options;
      options.min_memory_limit_mib = 768;
      return options;
    }
    mtp::testing::FaultyStore store;
    Tables tables;
    operations::Engine engine;
    Tenants tenants;
  };
  void NewController() {
    if (life_) life_->engine.Stop();
    executor_.DropAll();
    life_.reset();
    life_ = std::make_unique<Life>(this);
  }

  v1::Operation Ended(const absl::StatusOr<v1::Operation>& created) {
    EXPECT_TRUE(created.ok()) << created.status();
    if (!created.ok()) return {};
    executor_.RunFor(absl::Minutes(2));
    return life_->engine.Get(created->name().substr(sizeof("operations/") - 1))
        .value_or(v1::Operation());
  }
  void Provision(const std::string& name, int bot) {
    v1::ProvisionTenantRequest request;
    request.set_tenant_id(name);
    request.mutable_secrets()->set_telegram_token(absl::StrCat(bot, ":secret"));
    (*request.mutable_spec()->mutable_labels())["team"] = name;
    request.mutable_spec()->set_anti_affinity_label("team");
    const auto response = life_->tenants.Provision(kCaller, request);
    ASSERT_TRUE(response.ok()) << response.status();
    ASSERT_EQ(Ended(response->operation()).state(), v1::OPERATION_STATE_SUCCEEDED);
  }

  static v1::UpdateTenantRequest Request(int64_t reservation_mib, int64_t limit_mib) {
    v1::UpdateTenantRequest request;
    request.set_name("tenants/acme");
    if (reservation_mib >= 0) {
      request.mutable_spec()->set_memory_reservation_mib(reservation_mib);
      request.mutable_update_mask()->add_paths("memory_reservation_mib");
    }
    if (limit_mib >= 0) {
      request.mutable_spec()->set_memory_limit_mib(limit_mib);
      request.mutable_update_mask()->add_paths("memory_limit_mib");
    }
    return request;
  }
  static v1::UpdateTenantRequest Reservation(int64_t mib) { return Request(mib, -1); }
  static v1::UpdateTenantRequest Limit(int64_t mib) { return Request(-1, mib); }
  static v1::UpdateTenantRequest Team(const std::string& team) {
    v1::UpdateTenantRequest request = Request(-1, -1);
    (*request.mutable_spec()->mutable_labels())["team"] = team;
    request.mutable_update_mask()->add_paths("labels");
    return request;
  }
  static v1::UpdateTenantRequest Failover(v1::FailoverPolicy policy) {
    v1::UpdateTenantRequest request = Request(-1, -1);
    request.mutable_spec()->set_failover_policy(policy);
    request.mutable_update_mask()->add_paths("failover_policy");
    return request;
  }
  absl::StatusOr<v1::Operation> Update(const v1::UpdateTenantRequest& request) {
    return life_->tenants.Update(kCaller, request);
  }
  void Succeeds(const v1::UpdateTenantRequest& request) {
    const v1::Operation operation = Ended(Update(request));
    EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  }

  state::v1::TenantRecord Record() { return life_->tables.tenants.Get("acme")->value; }
  state::v1::AllocationsRecord::Allocation Reserved(const std::string& tenant = "acme") {
    const auto row = life_->tables.allocations.Get("h1");
    for (const auto& allocation : row->value.allocations()) {
      if (allocation.tenant() == tenant) return allocation;
    }
    return {};
  }
  void ExpectAsBefore() {
    EXPECT_EQ(Record().spec().memory_reservation_mib(), 0);
    EXPECT_EQ(Record().spec().memory_limit_mib(), 0);
    EXPECT_EQ(Record().resolved().memory_reservation_mib(), 1024);
    EXPECT_EQ(Record().resolved().memory_limit_mib(), 2048);
    EXPECT_EQ(Reserved().memory_mib(), 1024);
    EXPECT_EQ(Reserved().anti_affinity(), "team=acme");
  }

  mtp::testing::SimClock clock_;
  mtp::testing::SeededRandom random_{5};
  mtp::testing::SimExecutor executor_{&clock_, nullptr};
  std::unique_ptr<kv::Store> disk_ = kv::NewMemoryStore();
  SecretBox box_ = SecretBox::ForTest();
  FakeAgents agents_;
  Observations observations_;
  std::unique_ptr<Life> life_;
};

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
  const auto refused = life_->tenants.Provision(kCaller, request);
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

TEST_F(SetTest, ATenantIsMovableOnlyOnceItsHostHasSaidThatItIsUnderTheLease) {
  agents_.outcomes[Act::kSetFailover] = FakeAgents::Running();
  const auto begun = Update(Failover(v1::FAILOVER_POLICY_FAILOVER));
  ASSERT_TRUE(begun.ok()) << begun.status();
  EXPECT_EQ(begun->kind(), "set-failover");
  executor_.RunFor(absl::Seconds(5));
  EXPECT_EQ(Record().resolved().failover_policy(), v1::FAILOVER_POLICY_FAILOVER);
  EXPECT_FALSE(Record().leased());
  agents_.End(Act::kSetFailover, {.result = {{"lease", "bound"}}});
  EXPECT_EQ(Ended(begun).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_TRUE(Record().leased());
}

TEST_F(SetTest, AnAgentThatDoesNotSayItLeavesTheTenantWhereItIs) {
  Succeeds(Failover(v1::FAILOVER_POLICY_FAILOVER));
  EXPECT_FALSE(Record().leased());
}

TEST_F(SetTest, AHostWithoutAGuardPutsThePolicyBack) {
  agents_.outcomes[Act::kSetFailover] =
      FakeAgents::Failed(absl::FailedPreconditionError("the guard does not run"));
  agents_.on_begin = [this](const Act& request) {
    // The undo is not refused.
    if (request.set_failover().policy() != v1::FAILOVER_POLICY_FAILOVER) {
      agents_.outcomes[Act::kSetFailover] = {};
    }
  };
  const v1::Operation operation = Ended(Update(Failover(v1::FAILOVER_POLICY_FAILOVER)));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(), HasSubstr("the guard does not run"));
  EXPECT_EQ(Record().spec().failover_policy(), v1::FAILOVER_POLICY_UNSPECIFIED);
  EXPECT_EQ(Record().resolved().failover_policy(), v1::FAILOVER_POLICY_UNSPECIFIED);
  EXPECT_FALSE(Record().leased());
}

TEST_F(SetTest, ATenantThatIsToStayIsSoAtOnce) {
  agents_.outcomes[Act::kSetFailover] = {.result = {{"lease", "bound"}}};
  Succeeds(Failover(v1::FAILOVER_POLICY_FAILOVER));
  ASSERT_TRUE(Record().leased());
  agents_.away = {"h1"};
  ASSERT_TRUE(Update(Failover(v1::FAILOVER_POLICY_STAY)).ok());
  EXPECT_EQ(Record().resolved().failover_policy(), v1::FAILOVER_POLICY_STAY);
}

TEST_F(SetTest, ThePolicyIsChangedByItself) {
  v1::UpdateTenantRequest both = Failover(v1::FAILOVER_POLICY_STAY);
  both.mutable_update_mask()->add_paths("labels");
  EXPECT_TRUE(absl::IsInvalidArgument(Update(both).status()));
}

}  // namespace
}  // namespace mtp
