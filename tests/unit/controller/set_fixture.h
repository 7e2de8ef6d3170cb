// Tenants whose settings are changed, over one host with fake agents, on virtual time.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/kv/sqlite_store.h"
#include "controller/tenants/kinds.h"
#include "controller/tenants/tenants.h"
#include "tests/support/faulty_store.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"
#include "tests/unit/controller/fake_agents.h"

namespace mtp {

inline constexpr char kSetCaller[] = "operator/alice";
inline constexpr int64_t kHostMib = 4096;

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
      engine.Register(ReconfigureKind(clients));
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
    const auto response = life_->tenants.Provision(kSetCaller, request);
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
    return life_->tenants.Update(kSetCaller, request);
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
  mtp::testing::FakeAgents agents_;
  Observations observations_;
  std::unique_ptr<Life> life_;
};

}  // namespace mtp
