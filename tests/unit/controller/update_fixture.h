// Updates of `acme` on host h1, in a controller that may die and begin anew, over agents that keep
// a little host: which image runs, and which state it has.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/kv/sqlite_store.h"
#include "controller/backups/kinds.h"
#include "controller/backups/repositories.h"
#include "controller/backups/updates.h"
#include "controller/state/fleet.h"
#include "controller/tenants/kinds.h"
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
    explicit Life(UpdateFixture* world)
        : store(world->disk_.get()),
          engine(&store, &world->clock_, &world->random_, &world->executor_, {}),
          repositories(&store, &world->box_, &world->clock_, &world->random_),
          tenants(&store, &engine, &world->observations_, &world->box_, &world->clock_,
                  &world->random_, {}),
          updates(&store, &engine, &repositories, &world->observations_, &world->clock_,
                  &world->random_) {
      const TenantClients clients{&store, &world->agents_, &world->box_};
      engine.Register(ProvisionKind(clients));
      engine.Register(StopKind(clients));
      engine.Register(UpdateKind({clients, &world->clock_, "f"}));
      EXPECT_TRUE(engine.Start().ok());
      store.on_crash = [world] { world->executor_.DropAll(); };
    }

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

  UpdateFixture() {
    agents_.on_begin = [this](const Act& request) { Act_(request); };
    agents_.outcomes[Act::kPull].result = {{"pinned", kImageAfter}, {"image_id", "sha256:22"}};
    agents_.outcomes[Act::kRestore].result = {{"previous_data", ".quarantine/acme-1"}};
    agents_.outcomes[Act::kStop].result = {{"stopping", "true"}};
    NewLife();
    AddHost();
    v1::AddRepositoryRequest repository;
    repository.set_repository_id("main");
    repository.set_url("/srv/main");
    EXPECT_TRUE(life_->repositories.Add(repository).ok());
    v1::ProvisionTenantRequest provision;
    provision.set_tenant_id("acme");
    provision.mutable_spec()->set_image("openclaw:latest");
    provision.mutable_secrets()->set_telegram_token("111:TELEGRAM-MARKER");
    EXPECT_TRUE(life_->tenants.Provision("operator/alice", provision).ok());
    Run();
    begun_before_ = agents_.begun().size();
    // What a tag meant when the container was made.
    host_.image = kImageBefore;
    observations_.Update(
        "h1", [](HostObservation& seen) { seen.tenants["acme"].set_image_id(kImageBefore); });
  }
  ~UpdateFixture() override { executor_.DropAll(); }
  void TearDown() override { EXPECT_THAT(agents_.complaints(), ::testing::IsEmpty()); }

  void AddHost(int64_t mib = 8192) {
    state::v1::HostRecord record;
    record.set_name("h1");
    record.set_allocatable_mib(mib);
    kv::Txn txn;
    Tables(disk_.get()).hosts.Put(txn, "h1", record);
    EXPECT_TRUE(disk_->Commit(txn).ok());
    observations_.Update("h1", [mib](HostObservation& seen) {
      seen.connected = true;
      seen.status.set_allocatable_mib(mib);
      seen.status.set_memory_total_mib(mib);
      seen.status.set_disk_free_mib(100'000);
    });
  }
  // The controller's process dies and another begins.
  void NewLife() {
    executor_.DropAll();
    life_.reset();
    life_.emplace(this);
  }
  void Run(absl::Duration duration = absl::Minutes(3)) { executor_.RunFor(duration); }

  absl::StatusOr<v1::Operation> Begin(const v1::RolloutSettings& settings = {},
                                      const std::string& request_id = "acme") {
    return life_->updates.Begin(kRolloutCaller, request_id, "acme", settings, kImageAfter);
  }
  static v1::RolloutSettings NoRehearsal() {
    v1::RolloutSettings settings;
    settings.set_no_rehearsal(true);
    return settings;
  }
  static std::string IdOf(const v1::Operation& operation) {
    return operation.name().substr(sizeof("operations/") - 1);
  }
  v1::Operation Get(const absl::StatusOr<v1::Operation>& begun) {
    return life_->engine.Get(IdOf(*begun)).value_or(v1::Operation());
  }
  v1::Operation Ended(const absl::StatusOr<v1::Operation>& begun) {
    EXPECT_TRUE(begun.ok()) << begun.status();
    if (!begun.ok()) return {};
    Run();
    return Get(begun);
  }
  // The kinds of the actions that were begun since the tenant was there, `apply-old` and
  // `apply-new` for the two images.
  std::vector<std::string> Actions() {
    std::vector<std::string> names;
    for (size_t i = begun_before_; i < agents_.begun().size(); ++i) {
      const Act& request = agents_.begun()[i].request;
      std::string name = Act::descriptor()->FindFieldByNumber(request.action_case())->name();
      if (request.has_apply()) {
        name += request.apply().spec().image() == kImageAfter ? "-new" : "-old";
      }
      names.push_back(name);
    }
    return names;
  }
  state::v1::TenantRecord Tenant() { return Tables(disk_.get()).tenants.Get("acme")->value; }
  std::vector<v1::Backup> Catalogue() {
    std::vector<v1::Backup> backups;
    const auto rows = Tables(disk_.get()).backups.List();
    for (const auto& row : *rows) backups.push_back(row.value.backup());
    return backups;
  }
  int Sandboxes() {
    int count = 0;
    const auto row = Tables(disk_.get()).allocations.Get("h1");
    for (const auto& one : row->value.allocations()) {
      count += one.tenant().rfind(kSandboxPrefix, 0) == 0 ? 1 : 0;
    }
    return count;
  }

  // The old image with the state as it was when it was stopped, or the new one with its own.
  void ExpectOld() {
    EXPECT_EQ(host_.image, kImageBefore);
    EXPECT_EQ(host_.state, "old");
    EXPECT_TRUE(host_.runs);
  }
  void ExpectNew() {
    EXPECT_EQ(host_.image, kImageAfter);
    EXPECT_EQ(host_.state, "migrated");
    EXPECT_TRUE(host_.runs);
  }

  mtp::testing::SimClock clock_;
  mtp::testing::SeededRandom random_{11};
  mtp::testing::SimExecutor executor_{&clock_, nullptr};
  mtp::testing::FakeAgents agents_;
  const std::unique_ptr<kv::Store> disk_ = kv::NewMemoryStore();
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
  void Act_(const Act& request) {
    if (request.has_stop()) host_.runs = false;
    if (request.has_snapshot()) {
      host_.backups[request.snapshot().backup_id()] = host_.state;
      auto& outcome = agents_.outcomes[Act::kSnapshot];
      outcome = host_.runs ? mtp::testing::FakeAgents::Outcome() : final_snapshot_;
      outcome.result = {{"snapshot", "5a5a"},
                        {"manifest_sha256", host_.runs ? "aa" : "bb"},
                        {"start_time", "2026-01-02T03:04:05Z"},
                        {"image_digest", host_.runs ? kImageBefore : ""}};
    }
    if (request.has_restore()) {
      host_.aside.push_back(host_.state);
      host_.state = host_.backups[request.restore().backup().backup_id()];
      host_.runs = false;
    }
    if (request.has_apply()) {
      host_.image = request.apply().spec().image();
      const bool is_new = host_.image == kImageAfter;
      if (is_new) host_.state = "migrated";
      // Never the old image on a state that it does not know.
      EXPECT_TRUE(is_new || host_.state == "old") << request.key();
      host_.runs = true;
      agents_.outcomes[Act::kApply] = is_new ? apply_new_ : apply_old_;
    }
  }
};

}  // namespace mtp
