#include "tests/unit/controller/restore_fixture.h"

namespace mtp {

BackupRestore::BackupRestore() {
  Provision("acme");
  AddRepository();
  backup_ = BackUp("acme");
  gateway_ = agents_.Last(Act::kApply).request.apply().secrets().gateway_token();
}

BackupRestore::~BackupRestore() = default;

v1::RestoreBackupRequest BackupRestore::Request(const std::string& tenant) {
  v1::RestoreBackupRequest request;
  request.set_name(backup_);
  request.set_tenant_id(tenant);
  return request;
}

absl::StatusOr<v1::Operation> BackupRestore::Ask(const v1::RestoreBackupRequest& request) {
  return backups_.Restore(kCaller, request);
}

v1::Operation BackupRestore::Fails(const absl::StatusOr<v1::Operation>& created) {
  v1::Operation operation = Ended(created);
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED) << operation.ShortDebugString();
  return operation;
}

v1::Operation BackupRestore::Cancelled(const absl::StatusOr<v1::Operation>& created) {
  Run();
  EXPECT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  v1::Operation operation = Ended(created);
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_CANCELLED) << operation.ShortDebugString();
  return operation;
}

void BackupRestore::KeepDataOn(const std::string& host, const std::string& tenant) {
  observations_.Update(host, [&](HostObservation& seen) { seen.kept_data.insert(tenant); });
}

}  // namespace mtp
