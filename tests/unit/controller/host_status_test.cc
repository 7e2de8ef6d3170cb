// What `status` says of hosts, and what the scheduler sees of them, from records and observations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/timestamps.h"
#include "common/kv/sqlite_store.h"
#include "controller/state/fleet.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const absl::Time kNow = absl::FromUnixSeconds(1'798'761'600);  // 2027-01-01

class HostStatusTest : public ::testing::Test {
 protected:
  HostStatusTest() {
    state::v1::HostRecord host;
    host.set_name("h1");
    host.set_agent_address("10.0.0.1:7443");
    host.set_cordoned(true);
    host.set_memory_total_mib(8'000);
    host.set_allocatable_mib(7'000);
    (*host.mutable_labels())["region"] = "eu";
    *host.mutable_create_time() = ToTimestamp(kNow);
    Put("h1", host);
    state::v1::AllocationsRecord held;
    Add(held, "acme", 900, 18'801).set_anti_affinity("client=acme");
    Add(held, "beta", 800, 18'802);
    Add(held, "drill/beta", 500, 0);
    kv::Txn txn;
    tables_.allocations.Put(txn, "h1", held);
    EXPECT_TRUE(store_->Commit(txn).ok());

    HostObservation& seen = observed_["h1"];
    seen.connected = true;
    seen.last_seen = kNow - absl::Seconds(2);
    seen.status.set_state(v1::HOST_STATE_READY);
    seen.status.set_memory_total_mib(16'000);
    seen.status.set_allocatable_mib(15'000);
    seen.status.set_used_mib(3'000);
    seen.status.set_memory_pressure_percent(4);
    seen.status.set_disk_free_mib(50'000);
    seen.status.set_guarded(true);
    seen.tenants["acme"].set_port(18'801);
    seen.tenants["beta"].set_port(18'802);
  }
  static state::v1::AllocationsRecord::Allocation& Add(state::v1::AllocationsRecord& held,
                                                       const std::string& tenant, int64_t mib,
                                                       int32_t port) {
    auto& allocation = *held.add_allocations();
    allocation.set_tenant(tenant);
    allocation.set_memory_mib(mib);
    allocation.set_port(port);
    return allocation;
  }
  void Put(const std::string& name, const state::v1::HostRecord& host) {
    kv::Txn txn;
    tables_.hosts.Put(txn, name, host);
    EXPECT_TRUE(store_->Commit(txn).ok());
  }
  void Place(const std::string& name, const std::string& host) {
    state::v1::TenantRecord tenant;
    tenant.set_name(name);
    tenant.set_host(host);
    kv::Txn txn;
    tables_.tenants.Put(txn, name, tenant);
    EXPECT_TRUE(store_->Commit(txn).ok());
  }
  v1::FleetStatus Fleet(const std::string& tenant = "") const {
    const auto fleet = ToFleetStatus(tables_, observed_, kNow, tenant);
    EXPECT_TRUE(fleet.ok()) << fleet.status();
    return fleet.value_or(v1::FleetStatus());
  }
  v1::Host Shown() const { return Fleet().hosts(0); }
  scheduler::HostView View() const {
    const auto views = HostViews(tables_, observed_);
    EXPECT_TRUE(views.ok()) << views.status();
    return views->at(0);
  }

  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  const Tables tables_{store_.get()};
  FleetObservation observed_;
};

TEST_F(HostStatusTest, HasWhatIsKnownAndWhatIsReserved) {
  const v1::Host host = Shown();
  EXPECT_EQ(host.name(), "hosts/h1");
  EXPECT_EQ(host.agent_address(), "10.0.0.1:7443");
  EXPECT_TRUE(host.cordoned());
  EXPECT_EQ(host.labels().at("region"), "eu");
  EXPECT_EQ(FromTimestamp(host.create_time()), kNow);
  EXPECT_EQ(host.etag(), Etag(tables_.hosts.Get("h1")->revision));
  const v1::HostStatus& status = host.status();
  EXPECT_EQ(status.state(), v1::HOST_STATE_READY);
  EXPECT_EQ(status.memory_total_mib(), 16'000);
  EXPECT_EQ(status.allocatable_mib(), 15'000);
  EXPECT_EQ(status.reserved_mib(), 2'200);
  EXPECT_EQ(status.tenants(), 2);  // A sandbox is none.
  EXPECT_EQ(FromTimestamp(status.last_seen_time()), kNow - absl::Seconds(2));
  EXPECT_EQ(status.message(), "");
}

TEST_F(HostStatusTest, OneThatIsNotThereIsUnreachableWithTheReason) {
  observed_["h1"].connected = false;
  observed_["h1"].error = "connection refused";
  EXPECT_EQ(Shown().status().state(), v1::HOST_STATE_UNREACHABLE);
  EXPECT_EQ(Shown().status().message(), "connection refused");
  observed_.clear();
  const v1::HostStatus status = Shown().status();
  EXPECT_EQ(status.state(), v1::HOST_STATE_UNREACHABLE);
  EXPECT_EQ(status.message(), "not heard from since the controller started");
  EXPECT_EQ(status.memory_total_mib(), 8'000);
  EXPECT_EQ(status.allocatable_mib(), 7'000);
  EXPECT_FALSE(status.has_last_seen_time());
}

TEST_F(HostStatusTest, StrangersAreNamedWhereNothingElseIsWrong) {
  observed_["h1"].tenants["gamma"].set_port(18'807);
  EXPECT_THAT(Shown().status().message(),
              AllOf(HasSubstr("does not know: gamma;"), HasSubstr("docs/recovery.md")));
  observed_["h1"].status.set_message("the engine does not answer");
  EXPECT_EQ(Shown().status().message(), "the engine does not answer");
  observed_["h1"].connected = false;
  observed_["h1"].error = "connection refused";
  EXPECT_EQ(Shown().status().message(), "connection refused");
}

TEST_F(HostStatusTest, TheFleetIsAllTenantsOrOneWithItsHost) {
  Put("h2", {});
  Place("acme", "h1");
  Place("beta", "h2");
  const v1::FleetStatus all = Fleet();
  EXPECT_EQ(FromTimestamp(all.time()), kNow);
  EXPECT_NE(all.controller_version(), "");
  ASSERT_EQ(all.tenants_size(), 2);
  EXPECT_EQ(all.tenants(0).name(), "tenants/acme");
  EXPECT_EQ(all.tenants(1).name(), "tenants/beta");
  EXPECT_EQ(all.tenants(1).status().host(), "h2");
  ASSERT_EQ(all.hosts_size(), 2);
  EXPECT_EQ(all.hosts(1).name(), "hosts/h2");

  const v1::FleetStatus one = Fleet("beta");
  ASSERT_EQ(one.tenants_size(), 1);
  EXPECT_EQ(one.tenants(0).name(), "tenants/beta");
  ASSERT_EQ(one.hosts_size(), 1);
  EXPECT_EQ(one.hosts(0).name(), "hosts/h2");
  const auto none = ToFleetStatus(tables_, observed_, kNow, "gamma");
  EXPECT_TRUE(absl::IsNotFound(none.status())) << none.status();
  EXPECT_THAT(none.status().message(), HasSubstr("gamma"));
}

TEST_F(HostStatusTest, TheHolderOfATenantsLockIsWhatIsBeingDoneToIt) {
  Place("acme", "h1");
  EXPECT_EQ(TransitionKind(tables_, "acme"), "");
  EXPECT_TRUE(absl::IsNotFound(HolderOf(tables_, "acme").status()));
  state::v1::OperationRecord operation;
  operation.mutable_operation()->set_kind("update");
  state::v1::LockRecord lock;
  lock.set_operation("01J");
  kv::Txn txn;
  tables_.operations.Put(txn, "01J", operation);
  tables_.locks.Put(txn, "tenants/acme", lock);
  ASSERT_TRUE(store_->Commit(txn).ok());
  EXPECT_EQ(TransitionKind(tables_, "acme"), "update");
  EXPECT_EQ(HolderOf(tables_, "acme")->id, "01J");
  EXPECT_EQ(Fleet().tenants(0).status().state(), v1::TENANT_STATE_UPDATING);
  EXPECT_EQ(Fleet("acme").tenants(0).status().state(), v1::TENANT_STATE_UPDATING);
}

TEST_F(HostStatusTest, TheSchedulerSeesWhatTheHostMeasured) {
  const scheduler::HostView view = View();
  EXPECT_EQ(view.name, "h1");
  EXPECT_TRUE(view.cordoned);
  EXPECT_TRUE(view.reachable);
  EXPECT_TRUE(view.engine_up);
  EXPECT_TRUE(view.guarded);
  EXPECT_EQ(view.allocatable_mib, 15'000);
  EXPECT_EQ(view.memory_total_mib, 16'000);
  EXPECT_EQ(view.used_mib, 3'000);
  EXPECT_EQ(view.memory_pressure_percent, 4);
  EXPECT_EQ(view.disk_free_mib, 50'000);
  EXPECT_EQ(view.labels.at("region"), "eu");
  EXPECT_EQ(view.reserved_mib(), 2'200);
  EXPECT_THAT(view.ports, ElementsAre(18'801, 18'802));
  ASSERT_EQ(view.placed().size(), 2U);
  EXPECT_EQ(view.placed()[0].tenant, "acme");
  EXPECT_EQ(view.placed()[0].memory_mib, 900);
  EXPECT_EQ(view.placed()[0].anti_affinity, "client=acme");
}

TEST_F(HostStatusTest, TheSchedulerSeesThatAHostIsAwayOrItsEngineDown) {
  observed_["h1"].status.set_state(v1::HOST_STATE_ENGINE_DOWN);
  EXPECT_FALSE(View().engine_up);
  observed_["h1"].connected = false;
  const scheduler::HostView view = View();
  EXPECT_FALSE(view.reachable);
  EXPECT_FALSE(view.guarded);
  EXPECT_EQ(view.allocatable_mib, 7'000);
  EXPECT_EQ(view.memory_total_mib, 8'000);
  EXPECT_EQ(view.disk_free_mib, -1);
}

TEST_F(HostStatusTest, PortsThatAreNotAsAskedForAreTakenToo) {
  observed_["h1"].tenants["acme"].set_port(18'805);   // The agent gave it another one.
  observed_["h1"].tenants["beta"].set_port(0);        // It does not run.
  observed_["h1"].tenants["gamma"].set_port(18'806);  // A stranger.
  EXPECT_THAT(View().ports, ElementsAre(18'801, 18'802, 18'805, 18'806));
}

TEST_F(HostStatusTest, AHostThatHoldsNothingIsEmpty) {
  kv::Txn txn;
  txn.Delete(tables_.allocations.Key("h1"));
  ASSERT_TRUE(store_->Commit(txn).ok());
  observed_["h1"].tenants.clear();
  const scheduler::HostView view = View();
  EXPECT_EQ(view.reserved_mib(), 0);
  EXPECT_THAT(view.ports, IsEmpty());
  EXPECT_THAT(view.placed(), IsEmpty());
}

}  // namespace
}  // namespace mtp
