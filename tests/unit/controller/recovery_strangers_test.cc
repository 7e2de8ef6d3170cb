// Tenants that a host has and the state does not, as after a recovery from an older copy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/kv/sqlite_store.h"
#include "controller/state/fleet.h"

namespace mtp {
namespace {

class StrangersTest : public ::testing::Test {
 protected:
  StrangersTest() {
    state::v1::AllocationsRecord allocations;
    auto* acme = allocations.add_allocations();
    acme->set_tenant("acme");
    acme->set_port(18'801);
    kv::Txn txn;
    tables_.hosts.Put(txn, "h1", state::v1::HostRecord());
    tables_.allocations.Put(txn, "h1", allocations);
    EXPECT_TRUE(store_->Commit(txn).ok());
    observed_["h1"].connected = true;
    observed_["h1"].tenants["acme"].set_port(18'801);
  }
  std::string Message() const {
    const auto host = *tables_.hosts.Get("h1");
    return ToHost(host, tables_.allocations.Get("h1")->value, observed_.at("h1"))
        .status()
        .message();
  }

  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  const Tables tables_{store_.get()};
  FleetObservation observed_;
};

TEST_F(StrangersTest, AreNamedAtTheirHost) {
  EXPECT_EQ(Message(), "");
  observed_["h1"].tenants["late"].set_port(18'804);
  EXPECT_THAT(Message(), ::testing::HasSubstr("does not know: late"));
  observed_["h1"].connected = false;
  EXPECT_THAT(Message(), ::testing::Not(::testing::HasSubstr("late")));
}

TEST_F(StrangersTest, KeepTheirPortsFromOthers) {
  observed_["h1"].tenants["late"].set_port(18'804);
  const auto views = HostViews(tables_, observed_);
  ASSERT_TRUE(views.ok()) << views.status();
  EXPECT_THAT((*views)[0].ports, ::testing::UnorderedElementsAre(18'801, 18'804));
}

// The agent gives another one when its own is taken on the host. The one that was asked for may be
// stuck there.
TEST_F(StrangersTest, ATenantsOtherPortIsShownAndKeptFromOthers) {
  observed_["h1"].tenants["acme"].set_port(18'802);
  const auto views = HostViews(tables_, observed_);
  ASSERT_TRUE(views.ok()) << views.status();
  EXPECT_THAT((*views)[0].ports, ::testing::UnorderedElementsAre(18'801, 18'802));
  state::v1::TenantRecord record;
  record.set_host("h1");
  record.set_port(18'801);
  EXPECT_EQ(ToTenant({"acme", record, 1}, "", observed_["h1"]).status().port(), 18'802);
}

}  // namespace
}  // namespace mtp
