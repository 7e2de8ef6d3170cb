#include "tests/unit/controller/backups_fixture.h"

#include <gmock/gmock.h>

#include "common/kv/sqlite_store.h"
#include "controller/backups/policies.h"
#include "controller/failover/evict_kind.h"
#include "controller/rollouts/all_kinds.h"

namespace mtp {

BackupsFixture::BackupsFixture()
    : store_(kv::NewMemoryStore()),
      tenants_(
          store_.get(), &engine_, &observations_, &box_, &clock_, &random_,
          {.removal_repository = [this](const std::string& tenant) -> absl::StatusOr<std::string> {
            return removes_into_repository_ ? repositories_.OfTenant(tenant) : "";
          }}) {
  AddHost("h1");
  agents_.outcomes[Act::kSnapshot].result = SnapshotResult();
  const TenantClients clients{store_.get(), &agents_, &box_};
  for (operations::Kind& kind : AllKinds({clients, &clock_, "f"}, {store_.get(), &agents_, &engine_,
                                                                   &observations_, nullptr, ""})) {
    engine_.Register(std::move(kind));
  }
  engine_.Register(failover::EvictKind(clients));
  EXPECT_TRUE(engine_.Start().ok());
}

BackupsFixture::~BackupsFixture() = default;

void BackupsFixture::TearDown() { EXPECT_THAT(agents_.complaints(), ::testing::IsEmpty()); }

std::map<std::string, std::string> BackupsFixture::SnapshotResult() {
  return {{"snapshot", "5a5a"},
          {"manifest_sha256", "abcd"},
          {"start_time", "2026-01-02T03:04:05Z"},
          {"duration_ms", "61500"},
          {"pause_us", "1234"},
          {"bytes_scanned", "1000"},
          {"bytes_added", "100"},
          {"files", "12"},
          {"skipped", "1"},
          {"databases", "3"},
          {"damaged_databases", R"(["a \"b\".db"])"},
          {"image_digest", "sha256:1"}};
}

void BackupsFixture::AddHost(const std::string& name, int64_t mib) {
  state::v1::HostRecord record;
  record.set_name(name);
  record.set_allocatable_mib(mib);
  kv::Txn txn;
  tables_.hosts.Put(txn, name, record);
  EXPECT_TRUE(store_->Commit(txn).ok());
  observations_.Update(name, [mib](HostObservation& seen) {
    seen.connected = true;
    seen.status.set_allocatable_mib(mib);
    seen.status.set_memory_total_mib(mib);
    seen.status.set_disk_free_mib(100'000);
  });
}

void BackupsFixture::Run(absl::Duration duration) { executor_.RunFor(duration); }

std::string BackupsFixture::IdOf(const v1::Operation& operation) {
  return operation.name().substr(sizeof("operations/") - 1);
}

v1::Operation BackupsFixture::Ended(const absl::StatusOr<v1::Operation>& created) {
  EXPECT_TRUE(created.ok()) << created.status();
  if (!created.ok()) return {};
  Run();
  return engine_.Get(IdOf(*created)).value_or(v1::Operation());
}

void BackupsFixture::Succeeds(const absl::StatusOr<v1::Operation>& created) {
  const v1::Operation operation = Ended(created);
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
}

void BackupsFixture::Provision(const std::string& name, const std::string& token) {
  v1::ProvisionTenantRequest request;
  request.set_tenant_id(name);
  request.mutable_secrets()->set_telegram_token(token);
  request.mutable_secrets()->set_anthropic_key(kAnthropicKey);
  const auto response = tenants_.Provision(kCaller, request);
  ASSERT_TRUE(response.ok()) << response.status();
  Succeeds(response->operation());
}

void BackupsFixture::Remove(const std::string& name) {
  v1::RemoveTenantRequest request;
  request.set_name("tenants/" + name);
  Succeeds(tenants_.Remove(kCaller, request));
}

void BackupsFixture::Stop(const std::string& name) {
  v1::StopTenantRequest request;
  request.set_name("tenants/" + name);
  Succeeds(tenants_.Stop(kCaller, request));
}

void BackupsFixture::AddRepository(const std::string& name) {
  v1::AddRepositoryRequest request;
  request.set_repository_id(name);
  request.set_url("/srv/" + name);
  request.mutable_secrets()->set_root_key(kRootKey);
  const auto added = repositories_.Add(request);
  ASSERT_TRUE(added.ok()) << added.status();
}

void BackupsFixture::SetPolicyRepository(const std::string& tenant, const std::string& repository) {
  v1::SetBackupPolicyRequest request;
  if (!tenant.empty()) request.set_tenant("tenants/" + tenant);
  request.mutable_policy()->set_repository(repository);
  const auto set = Policies(store_.get(), &repositories_, &clock_).Set(request);
  ASSERT_TRUE(set.ok()) << set.status();
}

absl::StatusOr<v1::Operation> BackupsFixture::Create(const std::string& tenant,
                                                     const std::string& request_id) {
  v1::CreateBackupRequest request;
  request.set_tenant("tenants/" + tenant);
  request.set_request_id(request_id);
  return backups_.Create(kCaller, request);
}

std::string BackupsFixture::BackUp(const std::string& tenant) {
  const v1::Operation operation = Ended(Create(tenant));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  return operation.result().count("backup") > 0 ? operation.result().at("backup") : "";
}

absl::StatusOr<v1::Operation> BackupsFixture::Verify(const std::string& backup) {
  v1::VerifyBackupRequest request;
  request.set_name(backup);
  return backups_.Verify(kCaller, request);
}

absl::StatusOr<v1::Operation> BackupsFixture::Restore(const std::string& backup,
                                                      const std::string& tenant) {
  v1::RestoreBackupRequest request;
  request.set_name(backup);
  request.set_tenant_id(tenant);
  return backups_.Restore(kCaller, request);
}

absl::StatusOr<v1::PruneBackupsResponse> BackupsFixture::Prune(const std::string& tenant,
                                                               int keep_last, int keep_days) {
  v1::PruneBackupsRequest request;
  request.set_tenant("tenants/" + tenant);
  request.set_keep_last(keep_last);
  request.set_keep_days(keep_days);
  return backups_.Prune(kCaller, request);
}

state::v1::TenantRecord BackupsFixture::Tenant(const std::string& name) {
  const auto row = tables_.tenants.Get(name);
  return row.ok() ? row->value : state::v1::TenantRecord();
}

bool BackupsFixture::Exists(const std::string& name) { return tables_.tenants.Get(name).ok(); }

int64_t BackupsFixture::Reserved(const std::string& host) {
  int64_t mib = 0;
  const auto row = tables_.allocations.Get(host);
  if (!row.ok()) return mib;
  for (const auto& allocation : row->value.allocations()) mib += allocation.memory_mib();
  return mib;
}

std::string BackupsFixture::AllBytes() {
  std::string bytes;
  for (const kv::Entry& entry : store_->List("", nullptr)) bytes += entry.key + entry.value;
  return bytes;
}

}  // namespace mtp
