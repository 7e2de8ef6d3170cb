#include "tests/unit/controller/schedule_fixture.h"

#include <absl/strings/str_cat.h>

#include "common/base/status.h"
#include "controller/backups/kinds.h"
#include "controller/tenants/kinds.h"

namespace mtp {

ScheduleFixture::Life::Life(kv::Store* inner) : store(inner) {}

ScheduleFixture::Life::~Life() = default;

ScheduleFixture::ScheduleFixture() {
  options_.start_drill = [this](const std::string& tenant, const std::string& backup,
                                const std::string& request_id) {
    return StartDrill(tenant, backup, request_id);
  };
  options_.on_failure = [this](const std::string& what, const absl::Status& status) {
    told_.push_back(absl::StrCat(what, ": ", std::string(status.message())));
  };
}

ScheduleFixture::~ScheduleFixture() = default;

void ScheduleFixture::TearDown() {
  Die();
  BackupsFixture::TearDown();
}

void ScheduleFixture::Live() {
  ASSERT_EQ(life_, nullptr);
  life_ = std::make_unique<Life>(store_.get());
  kv::Store* const store = &life_->store;
  life_->engine = std::make_unique<operations::Engine>(store, &clock_, &random_, &executor_,
                                                       operations::Engine::Options());
  const TenantClients clients{store, &agents_, &box_};
  const BackupClients backup_clients{clients, &clock_, "f"};
  life_->engine->Register(ProvisionKind(clients));
  life_->engine->Register(RemoveKind(backup_clients));
  life_->engine->Register(StopKind(clients));
  life_->engine->Register(BackupKind(backup_clients));
  life_->engine->Register(PruneKind(backup_clients));
  ASSERT_TRUE(life_->engine->Start().ok());
  life_->tenants = std::make_unique<Tenants>(store, life_->engine.get(), &observations_, &box_,
                                             &clock_, &random_, Tenants::Options());
  life_->backups = std::make_unique<Backups>(store, life_->engine.get(), life_->tenants.get(),
                                             &repositories_, &observations_, &box_, &clock_);
  life_->schedule = std::make_shared<Schedule>(store, life_->backups.get(), &observations_, &clock_,
                                               &executor_, options_);
  ASSERT_TRUE(life_->schedule->Start().ok());
}

void ScheduleFixture::Die() {
  if (life_ == nullptr) return;
  life_->store.Crash();
  life_->schedule->Stop();
  life_->engine->Stop();
  executor_.DropAll();
  life_.reset();
}

void ScheduleFixture::Fleet(int tenants, int per_host) {
  for (int i = 0; i < tenants; ++i) {
    if (i > 0 && i % per_host == 0) AddHost(absl::StrCat("h", i / per_host + 1), 100'000);
    ProvisionOn(absl::StrCat("t", i), absl::StrCat("h", i / per_host + 1), i);
  }
}

void ScheduleFixture::ProvisionOn(const std::string& name, const std::string& host, int bot) {
  v1::ProvisionTenantRequest request;
  request.set_tenant_id(name);
  request.mutable_spec()->set_host(host);
  request.mutable_spec()->set_memory_reservation_mib(256);
  request.mutable_secrets()->set_telegram_token(absl::StrCat(1000 + bot, ":TOKEN"));
  const auto response = tenants_.Provision(kCaller, request);
  ASSERT_TRUE(response.ok()) << response.status();
  Succeeds(response->operation());
}

absl::StatusOr<v1::BackupPolicy> ScheduleFixture::SetPolicy(const v1::BackupPolicy& policy,
                                                            const std::string& tenant) {
  v1::SetBackupPolicyRequest request;
  if (!tenant.empty()) request.set_tenant("tenants/" + tenant);
  *request.mutable_policy() = policy;
  return policies_.Set(request);
}

v1::BackupPolicy ScheduleFixture::Policy(const std::string& tenant) {
  v1::GetBackupPolicyRequest request;
  if (!tenant.empty()) request.set_tenant("tenants/" + tenant);
  const auto policy = policies_.Get(request);
  EXPECT_TRUE(policy.ok()) << policy.status();
  return policy.value_or(v1::BackupPolicy());
}

v1::BackupPolicy ScheduleFixture::Every(absl::Duration interval) {
  v1::BackupPolicy policy;
  policy.mutable_interval()->set_seconds(absl::ToInt64Seconds(interval));
  return policy;
}

state::v1::ScheduleRecord ScheduleFixture::Record(const std::string& tenant) {
  const auto row = tables_.schedules.Get(tenant);
  return row.ok() ? row->value : state::v1::ScheduleRecord();
}

int ScheduleFixture::Snapshots() const { return agents_.Count(Act::kSnapshot); }

int ScheduleFixture::SnapshotsOf(const std::string& tenant) const {
  int count = 0;
  for (const auto& begun : agents_.begun()) {
    count += begun.request.has_snapshot() && begun.request.tenant() == tenant ? 1 : 0;
  }
  return count;
}

void ScheduleFixture::Fails() {
  agents_.outcomes[Act::kSnapshot] =
      mtp::testing::FakeAgents::Failed(absl::UnavailableError("the repository is away"));
}

void ScheduleFixture::Works() { agents_.outcomes[Act::kSnapshot] = {.result = SnapshotResult()}; }

void ScheduleFixture::GoesOn() {
  agents_.outcomes[Act::kSnapshot] = mtp::testing::FakeAgents::Running();
}

void ScheduleFixture::EndBackups() {
  agents_.End(Act::kSnapshot, {v1::ACTION_STATE_DONE, absl::OkStatus(), SnapshotResult()});
}

absl::StatusOr<v1::Operation> ScheduleFixture::StartDrill(const std::string& tenant,
                                                          const std::string& backup,
                                                          const std::string& request_id) {
  MTP_RETURN_IF_ERROR(drill_status_);
  drills_.push_back(absl::StrCat(tenant, " ", backup));
  drill_requests_.insert(request_id);
  v1::Operation operation;
  operation.set_name("operations/01ARZ3NDEKTSV4RRFFQ69G5FA0");
  return operation;
}

}  // namespace mtp
