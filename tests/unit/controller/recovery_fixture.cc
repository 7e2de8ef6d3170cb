#include "tests/unit/controller/recovery_fixture.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "common/base/atomic_file.h"
#include "common/base/timestamps.h"
#include "common/kv/sqlite_store.h"
#include "controller/pki/authority.h"

namespace mtp {

StateMaker::StateMaker(kv::Store* store, const SecretBox* box, testing::SeededRandom* random)
    : store_(store), tables_(store), box_(box), random_(random) {}

std::string StateMaker::Ulid() { return absl::StrFormat("01J%023d", ++ulid_); }

v1::TenantSecrets StateMaker::Secrets() {
  v1::TenantSecrets secrets;
  secrets.set_gateway_token(absl::BytesToHexString(random_->Bytes(32)));
  secrets.set_telegram_token(absl::StrCat(random_->Below(1'000'000'000), ":", Hex(17)));
  secrets.set_anthropic_key("sk-ant-api03-" + Hex(45));
  return secrets;
}

void StateMaker::AddTenant(const std::string& name, const v1::TenantSecrets& secrets,
                           int64_t epoch) {
  state::v1::TenantRecord tenant;
  tenant.set_name(name);
  tenant.mutable_spec()->set_image("ghcr.io/openclaw/openclaw:main");
  tenant.mutable_resolved()->set_image("ghcr.io/openclaw/openclaw@sha256:" + Hex(32));
  tenant.mutable_resolved()->set_memory_reservation_mib(1024);
  tenant.set_host("h" + absl::StrCat(random_->Below(9)));
  tenant.set_epoch(epoch);
  tenant.set_port(static_cast<int32_t>(20'000 + random_->Below(9999)));
  tenant.set_bot_fingerprint(Hex(32));
  tenant.set_env_prefix(name);
  tenant.set_provisioned(true);
  state::v1::SecretsRecord sealed;
  sealed.set_sealed(box_->Seal(secrets.SerializeAsString(), tables_.secrets.Key(name)));
  state::v1::EpochRecord highest;
  highest.set_epoch(epoch);
  state::v1::ClaimRecord claim;
  claim.set_tenant(name);
  kv::Txn txn;
  tables_.tenants.Put(txn, name, tenant);
  tables_.secrets.Put(txn, name, sealed);
  tables_.epochs.Put(txn, name, highest);
  tables_.bots.Put(txn, tenant.bot_fingerprint(), claim);
  Commit(txn);
}

std::string StateMaker::AddBackup(const std::string& tenant, const v1::TenantSecrets& secrets) {
  const std::string id = Ulid();
  state::v1::BackupRecord record;
  v1::Backup& backup = *record.mutable_backup();
  backup.set_name("backups/" + id);
  backup.set_tenant(tenant);
  backup.set_host("h1");
  backup.set_repository("main");
  backup.set_bytes_scanned(static_cast<int64_t>(random_->Below(1 << 30)));
  backup.set_files(static_cast<int64_t>(random_->Below(10'000)));
  backup.set_image_digest("sha256:" + std::string(64, 'a'));
  backup.set_manifest_sha256(Hex(32));
  backup.set_snapshot(Hex(32));
  record.set_sealed_secrets(box_->Seal(secrets.SerializeAsString(), tables_.backups.Key(id)));
  kv::Txn txn;
  tables_.backups.Put(txn, id, record);
  Commit(txn);
  return id;
}

std::string StateMaker::AddOperation(const std::string& kind, v1::OperationState state) {
  const std::string id = Ulid();
  state::v1::OperationRecord record;
  record.mutable_operation()->set_name("operations/" + id);
  record.mutable_operation()->set_kind(kind);
  record.mutable_operation()->set_target("tenants/acme");
  record.mutable_operation()->set_state(state);
  record.mutable_operation()->add_steps()->set_state(v1::STEP_STATE_RUNNING);
  if (state != v1::OPERATION_STATE_RUNNING) {
    *record.mutable_operation()->mutable_end_time() = ToTimestamp(absl::UnixEpoch());
  }
  record.add_locks("/locks/tenants/acme");
  state::v1::RequestRecord request;
  request.set_operation(id);
  kv::Txn txn;
  tables_.operations.Put(txn, id, record);
  txn.Put(absl::StrCat("/requests/operator/alice/", id), request.SerializeAsString());
  txn.Put("/locks/tenants/" + id, "x");
  Commit(txn);
  return id;
}

void StateMaker::Put(const std::string& key, const std::string& value) {
  kv::Txn txn;
  txn.Put(key, value);
  Commit(txn);
}

std::string StateMaker::Hex(size_t bytes) { return absl::BytesToHexString(random_->Bytes(bytes)); }

void StateMaker::Commit(const kv::Txn& txn) { EXPECT_TRUE(store_->Commit(txn).ok()); }

RecoveryFixture::RecoveryFixture() {
  EXPECT_TRUE(MakeFolders(data_dir_, 0700).ok());
  box_.emplace(SecretBox::Open(data_dir_ + "/master.key").value());
  EXPECT_TRUE(Authority::OpenOrCreate(data_dir_ + "/pki", kFleet, *box_, clock_).ok());
  EXPECT_TRUE(WriteFileAtomically(data_dir_ + "/controller.yaml", "fleet: mtp\n", 0600).ok());
  store_ = kv::OpenSqliteStore(data_dir_ + "/state.db").value();
  maker_.emplace(store_.get(), &*box_, &random_);
  state::v1::FleetRecord fleet;
  fleet.set_fleet(kFleet);
  maker_->Put("/meta/fleet", fleet.SerializeAsString());
}

RecoveryFixture::~RecoveryFixture() = default;

CopySource RecoveryFixture::Source() const {
  return {.records = store_->List(""),
          .data_dir = data_dir_,
          .box = &*box_,
          .fleet = kFleet,
          .copy_id = "01JZZZZZZZZZZZZZZZZZZZZZZZ",
          .time = clock_.Now()};
}

}  // namespace mtp
