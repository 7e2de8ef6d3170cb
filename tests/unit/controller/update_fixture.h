// Updates of `acme` on host h1, in a controller that may die and begin anew, over agents that keep
// a little host: which image runs, and which state it has.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/backups/repositories.h"
#include "controller/backups/updates.h"
#include "controller/tenants/tenants.h"
#include "tests/support/faulty_store.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"
#include "tests/unit/controller/fake_agents.h"

namespace mtp {

using Act = v1::EnsureActionRequest;

inline constexpr char kRolloutCaller[] = "rollout/1";
inline constexpr char kImageAfter[] = "openclaw@sha256:22";
inline constexpr char kImageBefore[] = "sha256:11";

class UpdateFixture : public ::testing::Test {
 protected:
  struct Life {
    explicit Life(UpdateFixture* world);
    ~Life();

    mtp::testing::FaultyStore store;
    operations::Engine engine;
    Repositories repositories;
    Tenants tenants;
    Updates updates;
  };
  // What the host would look like.
  struct Host {
    std::string image;
    std::string state = "old";
    bool runs = false;
    std::map<std::string, std::string> backups;  // id → state
    std::vector<std::string> aside;
  };

  UpdateFixture();
  ~UpdateFixture() override;
  void TearDown() override;

  void AddHost(int64_t mib = 8192);
  // The controller's process dies and another begins.
  void NewLife();
  void Run(absl::Duration duration = absl::Minutes(3));

  absl::StatusOr<v1::Operation> Begin(const v1::RolloutSettings& settings = {},
                                      const std::string& request_id = "acme");
  static v1::RolloutSettings NoRehearsal();
  static std::string IdOf(const v1::Operation& operation);
  v1::Operation Get(const absl::StatusOr<v1::Operation>& begun);
  v1::Operation Ended(const absl::StatusOr<v1::Operation>& begun);
  // The kinds of the actions that were begun since the tenant was there, `apply-old` and
  // `apply-new` for the two images.
  std::vector<std::string> Actions();
  state::v1::TenantRecord Tenant();
  std::vector<v1::Backup> Catalogue();
  // ULIDs of the backups that may have left a snapshot.
  std::vector<std::string> LeftToPruning();
  int Sandboxes();

  // The old image with the state as it was when it was stopped, or the new one with its own.
  void ExpectOld();
  void ExpectNew();

  mtp::testing::SimClock clock_;
  mtp::testing::SeededRandom random_{11};
  mtp::testing::SimExecutor executor_{&clock_, nullptr};
  mtp::testing::FakeAgents agents_;
  const std::unique_ptr<kv::Store> disk_;
  const SecretBox box_ = SecretBox::ForTest();
  Observations observations_;
  std::optional<Life> life_;
  size_t begun_before_ = 0;
  Host host_;
  // How an apply of each image goes.
  mtp::testing::FakeAgents::Outcome apply_new_;
  mtp::testing::FakeAgents::Outcome apply_old_;
  // How the snapshot of the stopped tenant goes; the other one is good.
  mtp::testing::FakeAgents::Outcome final_snapshot_;

 private:
  void Act_(const Act& request);
};

}  // namespace mtp
