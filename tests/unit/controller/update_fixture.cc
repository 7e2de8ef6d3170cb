#include "tests/unit/controller/update_fixture.h"

#include <gmock/gmock.h>

#include "common/kv/sqlite_store.h"
#include "controller/backups/kinds.h"
#include "controller/state/fleet.h"
#include "controller/tenants/kinds.h"

namespace mtp {

UpdateFixture::Life::Life(UpdateFixture* world)
    : store(world->disk_.get()),
      engine(&store, &world->clock_, &world->random_, &world->executor_, {}),
      repositories(&store, &world->box_, &world->clock_, &world->random_),
      tenants(&store, &engine, &world->observations_, &world->box_, &world->clock_, &world->random_,
              {}),
      updates(&store, &engine, &repositories, &world->observations_, &world->clock_,
              &world->random_) {
  const TenantClients clients{&store, &world->agents_, &world->box_};
  engine.Register(ProvisionKind(clients));
  engine.Register(StopKind(clients));
  engine.Register(UpdateKind({clients, &world->clock_, "f"}));
  EXPECT_TRUE(engine.Start().ok());
  store.on_crash = [world] { world->executor_.DropAll(); };
}

UpdateFixture::Life::~Life() = default;

UpdateFixture::UpdateFixture() : disk_(kv::NewMemoryStore()) {
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

UpdateFixture::~UpdateFixture() { executor_.DropAll(); }

void UpdateFixture::TearDown() { EXPECT_THAT(agents_.complaints(), ::testing::IsEmpty()); }

void UpdateFixture::AddHost(int64_t mib) {
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

void UpdateFixture::NewLife() {
  executor_.DropAll();
  life_.reset();
  life_.emplace(this);
}

void UpdateFixture::Run(absl::Duration duration) { executor_.RunFor(duration); }

absl::StatusOr<v1::Operation> UpdateFixture::Begin(const v1::RolloutSettings& settings,
                                                   const std::string& request_id) {
  return life_->updates.Begin(kRolloutCaller, request_id, "acme", settings, kImageAfter);
}

v1::RolloutSettings UpdateFixture::NoRehearsal() {
  v1::RolloutSettings settings;
  settings.set_no_rehearsal(true);
  return settings;
}

std::string UpdateFixture::IdOf(const v1::Operation& operation) {
  return operation.name().substr(sizeof("operations/") - 1);
}

v1::Operation UpdateFixture::Get(const absl::StatusOr<v1::Operation>& begun) {
  return life_->engine.Get(IdOf(*begun)).value_or(v1::Operation());
}

v1::Operation UpdateFixture::Ended(const absl::StatusOr<v1::Operation>& begun) {
  EXPECT_TRUE(begun.ok()) << begun.status();
  if (!begun.ok()) return {};
  Run();
  return Get(begun);
}

std::vector<std::string> UpdateFixture::Actions() {
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

state::v1::TenantRecord UpdateFixture::Tenant() {
  return Tables(disk_.get()).tenants.Get("acme")->value;
}

std::vector<std::string> UpdateFixture::LeftToPruning() {
  std::vector<std::string> ids;
  const auto rows = Tables(disk_.get()).left_snapshots.List();
  EXPECT_TRUE(rows.ok()) << rows.status();
  if (!rows.ok()) return ids;
  for (const auto& row : *rows) ids.push_back(row.id);
  return ids;
}

std::vector<v1::Backup> UpdateFixture::Catalogue() {
  std::vector<v1::Backup> backups;
  const auto rows = Tables(disk_.get()).backups.List();
  for (const auto& row : *rows) backups.push_back(row.value.backup());
  return backups;
}

int UpdateFixture::Sandboxes() {
  int count = 0;
  const auto row = Tables(disk_.get()).allocations.Get("h1");
  for (const auto& one : row->value.allocations()) {
    count += one.tenant().rfind(kSandboxPrefix, 0) == 0 ? 1 : 0;
  }
  return count;
}

void UpdateFixture::ExpectOld() {
  EXPECT_EQ(host_.image, kImageBefore);
  EXPECT_EQ(host_.state, "old");
  EXPECT_TRUE(host_.runs);
}

void UpdateFixture::ExpectNew() {
  EXPECT_EQ(host_.image, kImageAfter);
  EXPECT_EQ(host_.state, "migrated");
  EXPECT_TRUE(host_.runs);
}

void UpdateFixture::Act_(const Act& request) {
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

}  // namespace mtp
