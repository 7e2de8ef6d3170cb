// Rollouts over fake hosts and fake updates of tenants, on virtual time, with a controller that can
// die.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/secret_box.h"
#include "controller/backups/repositories.h"
#include "controller/rollouts/rollouts.h"
#include "controller/state/observations.h"
#include "tests/support/faulty_store.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"
#include "tests/unit/controller/fake_agents.h"

namespace mtp {

using Act = v1::EnsureActionRequest;

inline constexpr char kCaller[] = "operator/alice";
inline constexpr char kOldImage[] = "openclaw@sha256:old";
inline constexpr char kNewImage[] = "openclaw@sha256:new";

class RolloutsFixture : public ::testing::Test {
 protected:
  RolloutsFixture();
  ~RolloutsFixture() override;
  void TearDown() override;

  void Halt();
  // A process over what the store holds.
  void Boot();

  // How a tenant's update goes.
  enum class Course {
    kGood,
    kBadRehearsal,  // before it is touched
    kBadStart,
    kHangs,  // until it is cancelled, or told otherwise
  };

  void AddTenant(const std::string& name, const std::string& host = "h1",
                 const std::string& image = "");
  void PutTenant(const state::v1::TenantRecord& record);
  state::v1::TenantRecord Tenant(const std::string& name);
  void StopTenant(const std::string& name);

  static v1::CreateRolloutRequest Request(const std::vector<std::string>& tenants = {},
                                          int max_unavailable = 1,
                                          const std::string& image = "openclaw:new");
  // Name of a new rollout.
  std::string MustCreate(const v1::CreateRolloutRequest& request);
  v1::Rollout Get(const std::string& name);
  v1::RolloutTenant TenantIn(const std::string& rollout, const std::string& name);
  v1::Operation OperationOf(const std::string& rollout);
  void Run(absl::Duration duration = absl::Minutes(10));
  // The rollout after it has had its time.
  v1::Rollout Ended(const std::string& name);

  // What the fake updates have done, `begin a`, `end a`, `undo a`, in order.
  std::vector<std::string> log_;
  std::map<std::string, Course> courses_;
  // Called when an update begins to touch its tenant.
  std::function<void(const std::string& tenant)> on_touch_;
  int most_at_once_ = 0;

  mtp::testing::SimClock clock_;
  mtp::testing::SeededRandom random_{23};
  mtp::testing::SimExecutor executor_{&clock_, nullptr};
  mtp::testing::FakeAgents agents_;
  std::unique_ptr<kv::Store> disk_;
  Tables tables_{disk_.get()};
  const SecretBox box_ = SecretBox::ForTest();
  Observations observations_;
  std::unique_ptr<mtp::testing::FaultyStore> store_;
  std::unique_ptr<operations::Engine> engine_;
  std::unique_ptr<Repositories> repositories_;
  std::unique_ptr<Rollouts> rollouts_;
  std::unique_ptr<kv::Watch> watch_;

 private:
  absl::StatusOr<v1::Operation> Begin(const std::string& caller, const std::string& request_id,
                                      const std::string& tenant, const v1::RolloutSettings&,
                                      const std::string& pinned_image);

  void Note(const std::string& what, const std::string& tenant);

  // rehearse → stop → soak, as far as the names matter.
  operations::Kind FakeUpdate();

  std::set<std::string> touched_;
};

}  // namespace mtp
