// Restores of one backup of `acme`.
#pragma once

#include <string>

#include "tests/unit/controller/backups_fixture.h"

namespace mtp {

class BackupRestore : public BackupsFixture {
 protected:
  BackupRestore() {
    Provision("acme");
    AddRepository();
    backup_ = BackUp("acme");
    gateway_ = agents_.Last(Act::kApply).request.apply().secrets().gateway_token();
  }
  v1::RestoreBackupRequest Request(const std::string& tenant = "") {
    v1::RestoreBackupRequest request;
    request.set_name(backup_);
    request.set_tenant_id(tenant);
    return request;
  }
  absl::StatusOr<v1::Operation> Ask(const v1::RestoreBackupRequest& request) {
    return backups_.Restore(kCaller, request);
  }
  v1::Operation Fails(const absl::StatusOr<v1::Operation>& created) {
    v1::Operation operation = Ended(created);
    EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED) << operation.ShortDebugString();
    return operation;
  }
  v1::Operation Cancelled(const absl::StatusOr<v1::Operation>& created) {
    Run();
    EXPECT_TRUE(engine_.Cancel(IdOf(*created)).ok());
    v1::Operation operation = Ended(created);
    EXPECT_EQ(operation.state(), v1::OPERATION_STATE_CANCELLED) << operation.ShortDebugString();
    return operation;
  }
  void KeepDataOn(const std::string& host, const std::string& tenant) {
    observations_.Update(host, [&](HostObservation& seen) { seen.kept_data.insert(tenant); });
  }

  std::string backup_;
  std::string gateway_;
};

}  // namespace mtp
