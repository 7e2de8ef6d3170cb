// Hosts that leave the fleet: empty ones, and lost ones with all that is placed there or waits for
// them.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>

#include "controller/backups/updates.h"
#include "controller/failover/host_removals.h"
#include "tests/support/faulty_store.h"
#include "tests/unit/controller/failover_fixture.h"

namespace mtp {
namespace {

using mtp::testing::CommitFault;
using mtp::testing::FakeAgents;
using mtp::testing::FaultyStore;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr bool kLost = true;

// `acme` has a backup.
class HostRemoval : public FailoverTest {
 protected:
  absl::StatusOr<v1::RemoveHostResponse> TakeOut(const std::string& host, bool lost = false,
                                                 bool preview = false) {
    v1::RemoveHostRequest request;
    request.set_name("hosts/" + host);
    request.set_lost(lost);
    request.set_validate_only(preview);
    auto response = removals_.Remove(request);
    if (response.ok() && !preview) agents_.gone.insert(host);
    return response;
  }
  // Where all tenants are placed by then.
  void LoseForGood(const std::string& host) {
    Lose(host);
    const auto taken = TakeOut(host, kLost);
    ASSERT_TRUE(taken.ok()) << taken.status();
  }
  bool IsThere(const std::string& host) { return tables_.hosts.Get(host).ok(); }
  // Keys of the store that name the tenant, without what is kept of it for good.
  std::vector<std::string> KeysOf(const std::string& tenant) {
    std::vector<std::string> keys;
    for (const kv::Entry& entry : store_->List("")) {
      const bool stays =
          absl::StartsWith(entry.key, "/epochs/") || absl::StartsWith(entry.key, "/backups/") ||
          absl::StartsWith(entry.key, "/left-snapshots/") ||
          absl::StartsWith(entry.key, "/operations/") || absl::StartsWith(entry.key, "/requests/");
      const bool names =
          absl::StrContains(entry.key, tenant) || absl::StrContains(entry.value, tenant);
      if (names && !stays) keys.push_back(entry.key);
    }
    return keys;
  }
  v1::Operation Get(const v1::Operation& operation) {
    return engine_.Get(IdOf(operation)).value_or(v1::Operation());
  }

  failover::HostRemovals removals_{store_.get(), &engine_, &observations_};
  Updates updates_{store_.get(), &engine_, &repositories_, &observations_, &clock_, &random_};
};

TEST_F(HostRemoval, AnEmptyHostLeaves) {
  const auto taken = TakeOut("h2");
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_THAT(taken->tenants(), IsEmpty());
  EXPECT_FALSE(IsThere("h2"));
  EXPECT_TRUE(IsThere("h1"));
  EXPECT_TRUE(absl::IsNotFound(TakeOut("h2").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(TakeOut("../h1").status()));
}

TEST_F(HostRemoval, OneWithTenantsStaysAndSaysWhatToDo) {
  const auto refused = TakeOut("h1");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr("still has 1 tenant ("), HasSubstr("remove them first"),
                    Not(HasSubstr("--lost"))));
  Lose("h1");
  EXPECT_THAT(std::string(TakeOut("h1").status().message()),
              AllOf(HasSubstr("mtp-cli tenant failover"), HasSubstr("host remove h1 --lost")));
  EXPECT_TRUE(IsThere("h1"));
  EXPECT_TRUE(Exists("acme"));
}

TEST_F(HostRemoval, OneWithADrillStaysAndSaysSo) {
  state::v1::AllocationsRecord held;
  auto& sandbox = *held.add_allocations();
  sandbox.set_tenant(absl::StrCat(kSandboxPrefix, "acme"));
  sandbox.set_memory_mib(500);
  kv::Txn txn;
  tables_.allocations.Put(txn, "h2", held);
  ASSERT_TRUE(store_->Commit(txn).ok());
  const auto refused = TakeOut("h2");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(refused.status().message(), HasSubstr("a drill goes on on host h2"));
  EXPECT_TRUE(IsThere("h2"));
}

TEST_F(HostRemoval, OneThatIsConnectedIsNotLost) {
  const auto refused = TakeOut("h1", kLost);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("is connected"));
  EXPECT_TRUE(IsThere("h1"));
  EXPECT_TRUE(Exists("acme"));
}

TEST_F(HostRemoval, ALostOneTakesItsTenantsOffAndTheirNamesAreFree) {
  Provision("beta", "222:BETA-TOKEN");
  ASSERT_EQ(Tenant("beta").host(), "h1");
  const int64_t epoch = Tenant("beta").epoch();
  Lose("h1");
  const auto taken = TakeOut("h1", kLost);
  ASSERT_TRUE(taken.ok()) << taken.status();
  ASSERT_THAT(taken->tenants(), SizeIs(2));
  EXPECT_EQ(taken->tenants(0).name(), "tenants/acme");
  EXPECT_EQ(taken->tenants(0).backup(), backup_);
  EXPECT_TRUE(taken->tenants(0).has_backup_time());
  EXPECT_EQ(taken->tenants(1).name(), "tenants/beta");
  EXPECT_EQ(taken->tenants(1).backup(), "");
  EXPECT_FALSE(taken->tenants(1).has_backup_time());
  EXPECT_FALSE(IsThere("h1"));
  EXPECT_THAT(KeysOf("acme"), IsEmpty());
  EXPECT_THAT(KeysOf("beta"), IsEmpty());

  Provision("beta", "222:BETA-TOKEN");
  EXPECT_EQ(Tenant("beta").host(), "h2");
  EXPECT_GT(Tenant("beta").epoch(), epoch);
  Succeeds(Ask(Request("acme")));
  EXPECT_EQ(Tenant("acme").host(), "h2");
  EXPECT_EQ(agents_.Last(Act::kApply).request.apply().secrets().gateway_token(), gateway_);
}

TEST_F(HostRemoval, APreviewNamesTheTenantsAndChangesNothing) {
  Lose("h1");
  const int64_t revision = store_->Revision();
  const auto preview = TakeOut("h1", kLost, true);
  ASSERT_TRUE(preview.ok()) << preview.status();
  ASSERT_THAT(preview->tenants(), SizeIs(1));
  EXPECT_EQ(preview->tenants(0).backup(), backup_);
  EXPECT_EQ(store_->Revision(), revision);
}

// More than one transaction holds, and a controller that dies between two of them.
TEST_F(HostRemoval, OneWithManyTenantsLeavesWholeWhenItIsRepeated) {
  AddHost("h3", 200'000);
  for (int i = 0; i < 120; ++i) {
    v1::ProvisionTenantRequest request;
    request.set_tenant_id(absl::StrCat("t", i));
    request.mutable_spec()->set_host("h3");
    request.mutable_secrets()->set_telegram_token(absl::StrCat(1000 + i, ":TOKEN"));
    request.mutable_secrets()->set_anthropic_key(kAnthropicKey);
    ASSERT_TRUE(tenants_.Provision(kCaller, request).ok());
  }
  Run(absl::Minutes(5));
  Lose("h3");
  FaultyStore store(store_.get());
  int commits = 0;
  store.choose_fault = [&](const kv::Txn&) {
    return ++commits == 2 ? CommitFault::kDiskFull : CommitFault::kNone;
  };
  failover::HostRemovals removals(&store, &engine_, &observations_);
  v1::RemoveHostRequest request;
  request.set_name("hosts/h3");
  request.set_lost(true);
  EXPECT_TRUE(absl::IsResourceExhausted(removals.Remove(request).status()));
  EXPECT_TRUE(IsThere("h3"));
  EXPECT_THAT(*tables_.tenants.List(), SizeIs(1 + 70));
  EXPECT_THAT(tables_.allocations.Get("h3")->value.allocations(), SizeIs(70));

  const auto taken = removals.Remove(request);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_THAT(taken->tenants(), SizeIs(70));
  EXPECT_FALSE(IsThere("h3"));
  EXPECT_FALSE(tables_.allocations.Get("h3").ok());
  EXPECT_THAT(*tables_.tenants.List(), SizeIs(1));
  EXPECT_THAT(*tables_.bots.List(), SizeIs(1));
}

TEST_F(HostRemoval, OneThatGetsATenantMeanwhileStays) {
  FaultyStore store(store_.get());
  store.choose_fault = [this](const kv::Txn&) {
    state::v1::AllocationsRecord held;
    held.add_allocations()->set_tenant("beta");
    kv::Txn placed;
    tables_.allocations.Put(placed, "h2", held);
    EXPECT_TRUE(store_->Commit(placed).ok());
    return CommitFault::kNone;
  };
  failover::HostRemovals removals(&store, &engine_, &observations_);
  v1::RemoveHostRequest request;
  request.set_name("hosts/h2");
  EXPECT_FALSE(removals.Remove(request).ok());
  EXPECT_TRUE(IsThere("h2"));
  EXPECT_THAT(tables_.allocations.Get("h2")->value.allocations(), SizeIs(1));
}

// What waits for the host in each kind of operation.
struct Waiting {
  std::string kind;
  Act::ActionCase action;
  v1::OperationState ends;
};

class WhatWaits : public HostRemoval, public ::testing::WithParamInterface<Waiting> {
 protected:
  absl::StatusOr<v1::Operation> Begin(const std::string& kind) {
    if (kind == "provision") {
      v1::ProvisionTenantRequest request;
      request.set_tenant_id("beta");
      request.mutable_spec()->set_host("h1");
      request.mutable_secrets()->set_telegram_token("222:BETA-TOKEN");
      request.mutable_secrets()->set_anthropic_key(kAnthropicKey);
      auto response = tenants_.Provision(kCaller, request);
      if (!response.ok()) return response.status();
      return response->operation();
    }
    if (kind == "stop") return tenants_.Stop(kCaller, Named<v1::StopTenantRequest>());
    if (kind == "restart") return tenants_.Restart(kCaller, Named<v1::RestartTenantRequest>());
    if (kind == "remove") return tenants_.Remove(kCaller, Named<v1::RemoveTenantRequest>());
    if (kind == "backup") return Create("acme");
    if (kind == "restore") return Ask(Request());
    if (kind == "verify") return Verify(backup_);
    if (kind == "update") {
      v1::RolloutSettings settings;
      settings.set_no_rehearsal(true);
      return updates_.Begin("rollout/1", "acme", "acme", settings, kImageAfter);
    }
    auto request = Named<v1::UpdateTenantRequest>();
    if (kind == "set") {
      request.mutable_spec()->set_memory_limit_mib(3000);
      request.mutable_update_mask()->add_paths("memory_limit_mib");
    } else if (kind == "set-failover") {
      request.mutable_spec()->set_failover_policy(v1::FAILOVER_POLICY_FAILOVER);
      request.mutable_update_mask()->add_paths("failover_policy");
    } else {
      request.mutable_secrets()->set_anthropic_key("another");
      request.mutable_update_mask()->add_paths("secrets.anthropic_key");
    }
    return tenants_.Update(kCaller, request);
  }
  template <typename Request>
  static Request Named() {
    Request request;
    request.set_name("tenants/acme");
    return request;
  }
  // An operation that waits for h1 in the middle of that action.
  v1::Operation Wait() {
    agents_.outcomes[Act::kPull].result = {{"pinned", kImageAfter}};
    agents_.outcomes[Act::kStop].result = {{"stopping", "true"}};
    agents_.outcomes[Act::kSnapshot].result.erase("image_digest");
    observations_.Update(
        "h1", [](HostObservation& seen) { seen.tenants["acme"].set_image_id("sha256:11"); });
    agents_.outcomes[GetParam().action].state = v1::ACTION_STATE_RUNNING;
    const auto begun = Begin(GetParam().kind);
    EXPECT_TRUE(begun.ok()) << begun.status();
    if (!begun.ok()) return {};
    Run(absl::Minutes(1));
    EXPECT_EQ(Get(*begun).state(), v1::OPERATION_STATE_RUNNING) << Get(*begun).ShortDebugString();
    EXPECT_EQ(agents_.begun().back().request.action_case(), GetParam().action);
    return *begun;
  }
  void ExpectNothingLeft(const v1::Operation& operation, v1::OperationState state) {
    Run(absl::Minutes(1));
    EXPECT_EQ(Get(operation).state(), state) << Get(operation).ShortDebugString();
    EXPECT_THAT(*tables_.locks.List(), IsEmpty());
    EXPECT_THAT(KeysOf("acme"), IsEmpty());
    EXPECT_THAT(KeysOf("beta"), IsEmpty());
    EXPECT_EQ(Reserved("h1"), 0);
  }
  // Nobody can tell whether the snapshot was complete.
  size_t LeftToPruning() {
    const auto left = tables_.left_snapshots.List();
    EXPECT_TRUE(left.ok()) << left.status();
    return left.ok() ? left->size() : 0;
  }

  static constexpr char kImageAfter[] = "openclaw@sha256:22";
};

TEST_P(WhatWaits, EndsByItself) {
  const v1::Operation operation = Wait();
  LoseForGood("h1");
  ExpectNothingLeft(operation, GetParam().ends);
  EXPECT_EQ(LeftToPruning(), GetParam().action == Act::kSnapshot ? 1 : 0);
}

TEST_P(WhatWaits, EndsByItselfWhenTheHostWasNeverAsked) {
  Lose("h1");
  const auto begun = Begin(GetParam().kind);
  ASSERT_EQ(begun.ok(), GetParam().kind != "provision") << begun.status();
  if (!begun.ok()) return;  // no new tenant is placed there
  Run(absl::Minutes(1));
  const auto taken = TakeOut("h1", kLost);
  ASSERT_TRUE(taken.ok()) << taken.status();
  ExpectNothingLeft(*begun, GetParam().ends);
}

TEST_P(WhatWaits, EndsByItselfWhileItIsUndone) {
  const v1::Operation operation = Wait();
  Lose("h1");
  ASSERT_TRUE(engine_.Cancel(IdOf(operation)).ok());
  Run(absl::Minutes(1));
  const auto taken = TakeOut("h1", kLost);
  ASSERT_TRUE(taken.ok()) << taken.status();
  Run(absl::Minutes(1));
  const v1::OperationState state = Get(operation).state();
  EXPECT_TRUE(state == v1::OPERATION_STATE_CANCELLED || state == GetParam().ends)
      << Get(operation).ShortDebugString();
  ExpectNothingLeft(operation, state);
}

constexpr v1::OperationState kFails = v1::OPERATION_STATE_FAILED;
INSTANTIATE_TEST_SUITE_P(
    InEachKind, WhatWaits,
    ::testing::Values(
        Waiting{"provision", Act::kApply, kFails}, Waiting{"stop", Act::kStop, kFails},
        Waiting{"restart", Act::kRestart, kFails},
        Waiting{"remove", Act::kStop, v1::OPERATION_STATE_SUCCEEDED},
        Waiting{"remove", Act::kRemove, v1::OPERATION_STATE_SUCCEEDED},
        Waiting{"backup", Act::kSnapshot, kFails}, Waiting{"restore", Act::kRestore, kFails},
        Waiting{"restore", Act::kApply, kFails}, Waiting{"verify", Act::kVerify, kFails},
        Waiting{"set", Act::kLimit, kFails}, Waiting{"set-failover", Act::kSetFailover, kFails},
        Waiting{"reconfigure", Act::kReconfigure, kFails}, Waiting{"update", Act::kPull, kFails},
        Waiting{"update", Act::kStop, kFails}, Waiting{"update", Act::kSnapshot, kFails},
        Waiting{"update", Act::kApply, kFails}, Waiting{"update", Act::kSoak, kFails}),
    [](const auto& info) {
      const auto* action = Act::descriptor()->FindFieldByNumber(info.param.action);
      std::string name = absl::StrCat(info.param.kind, "_", action->name());
      for (char& letter : name) letter = letter == '-' ? '_' : letter;
      return name;
    });

TEST_F(HostRemoval, AHostWhoseTenantIsBeingRestoredElsewhereLeavesAfterwards) {
  agents_.outcomes[Act::kRestore] = FakeAgents::Running();
  Lose("h1");
  const auto moved = failovers_.FailOver(kCaller, Word(true));
  ASSERT_TRUE(moved.ok()) << moved.status();
  Run(absl::Minutes(1));
  const auto refused = TakeOut("h1", kLost);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("is being restored on host h2"));

  agents_.End(Act::kRestore, {});
  Run(absl::Minutes(1));
  ASSERT_EQ(Get(*moved).state(), v1::OPERATION_STATE_SUCCEEDED);
  const auto taken = TakeOut("h1");
  ASSERT_TRUE(taken.ok()) << taken.status();
  Run(absl::Minutes(1));
  EXPECT_EQ(Tenant("acme").host(), "h2");
  EXPECT_THAT(*tables_.locks.List(), IsEmpty()) << "the eviction has ended";
  EXPECT_THAT(*tables_.evictions.List(), IsEmpty());
}

TEST_F(HostRemoval, ATenantThatIsBeingRestoredOnALostHostGoesBack) {
  agents_.outcomes[Act::kRestore] = FakeAgents::Running();
  Lose("h1");
  const auto moved = failovers_.FailOver(kCaller, Word(true));
  ASSERT_TRUE(moved.ok()) << moved.status();
  Run(absl::Minutes(1));
  ASSERT_EQ(Tenant("acme").host(), "h2");
  Lose("h2");
  const auto taken = TakeOut("h2", kLost);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_THAT(taken->tenants(), IsEmpty());
  Run(absl::Minutes(1));
  EXPECT_EQ(Get(*moved).state(), v1::OPERATION_STATE_FAILED);
  EXPECT_EQ(Tenant("acme").host(), "h1");
  EXPECT_EQ(Reserved("h1"), 1024);
  EXPECT_FALSE(tables_.allocations.Get("h2").ok());
  EXPECT_THAT(*tables_.locks.List(), IsEmpty());
}

}  // namespace
}  // namespace mtp
