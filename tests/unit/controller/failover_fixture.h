// A tenant `acme` of host h1, with a backup, and another host to which it may go; the keeper that
// sees to it, on virtual time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/durations.h"
#include "controller/failover/failovers.h"
#include "controller/failover/keeper.h"
#include "controller/state/fleet.h"
#include "tests/unit/controller/restore_fixture.h"

namespace mtp {

// Counts what is asked of another one.
class CountedExecutor final : public Executor {
 public:
  explicit CountedExecutor(Executor* inner) : inner_(inner) {}
  void Post(std::function<void()> task) override {
    PostAfter(absl::ZeroDuration(), std::move(task));
  }
  void PostAfter(absl::Duration delay, std::function<void()> task) override {
    ++asked;
    inner_->PostAfter(delay, std::move(task));
  }

  int asked = 0;

 private:
  Executor* const inner_;
};

class FailoverTest : public BackupRestore {
 protected:
  FailoverTest() {
    AddHost("h2");
    Guard("h1");
    Guard("h2");
    agents_.outcomes[Act::kApply].result = {{"lease", "bound"}};
    keeper_ = std::make_shared<failover::Keeper>(
        store_.get(), &engine_, &failovers_, &book_, &observations_, &clock_, &looks_,
        [this](const std::string& host, const v1::GrantLeaseRequest& grant) {
          grants_[host] = grant;
        },
        NullLog(), failover::Keeper::Options());
    keeper_->Start();
  }
  ~FailoverTest() override {
    keeper_->Stop();
    executor_.DropAll();
  }

  void Guard(const std::string& host) {
    observations_.Update(host, [](HostObservation& seen) { seen.status.set_guarded(true); });
  }
  // As `tenant set --failover failover` leaves it.
  void Lease(const std::string& tenant) {
    auto row = tables_.tenants.Get(tenant);
    row->value.mutable_spec()->set_failover_policy(v1::FAILOVER_POLICY_FAILOVER);
    row->value.mutable_resolved()->set_failover_policy(v1::FAILOVER_POLICY_FAILOVER);
    row->value.set_leased(true);
    kv::Txn txn;
    tables_.tenants.Put(txn, tenant, row->value);
    ASSERT_TRUE(store_->Commit(txn).ok());
  }
  void Stamp(const std::string& host) {
    v1::LeaseStamp stamp;
    stamp.set_agent_instance(host);
    *stamp.mutable_boot_time() = ToDuration(clock_.Boottime());
    keeper_->OnStamp(host, stamp);
  }
  // It is heard up to this moment.
  void Lose(const std::string& host) {
    Stamp(host);
    agents_.away.insert(host);
    observations_.Update(host, [](HostObservation& seen) {
      seen.connected = false;
      seen.error = "the agent fell silent";
    });
  }
  void IsBack(const std::string& host) {
    agents_.away.erase(host);
    observations_.Update(host, [](HostObservation& seen) {
      seen.connected = true;
      seen.held.clear();
    });
    Stamp(host);
  }
  std::vector<std::string> Named(const std::string& host) {
    std::vector<std::string> names;
    for (const auto& tenant : grants_[host].tenants()) names.push_back(tenant.tenant());
    return names;
  }
  // The one operation of that kind.
  v1::Operation OneOf(const std::string& kind) {
    std::vector<v1::Operation> found;
    const auto rows = tables_.operations.List();
    for (const auto& row : *rows) {
      if (row.value.operation().kind() == kind) found.push_back(row.value.operation());
    }
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? v1::Operation() : found.front();
  }
  static v1::FailOverTenantRequest Word(bool accept = false, bool preview = false) {
    v1::FailOverTenantRequest request;
    request.set_name("tenants/acme");
    request.set_accept_two_copies(accept);
    request.set_validate_only(preview);
    return request;
  }
  std::string Message() {
    const auto row = tables_.tenants.Get("acme");
    return ToTenant(*row, "", observations_.GetHost(row->value.host())).status().message();
  }

  failover::LeaseBook book_{store_.get(), &clock_, {}};
  // The keeper's: without a task there is no look.
  CountedExecutor looks_{&executor_};
  failover::Failovers failovers_{store_.get(), &engine_, &tenants_, &observations_, &book_};
  std::shared_ptr<failover::Keeper> keeper_;
  std::map<std::string, v1::GrantLeaseRequest> grants_;
};

}  // namespace mtp
