// Restores of one backup of `acme`.
#pragma once

#include <string>

#include "tests/unit/controller/backups_fixture.h"

namespace mtp {

class BackupRestore : public BackupsFixture {
 protected:
  BackupRestore();
  ~BackupRestore() override;

  v1::RestoreBackupRequest Request(const std::string& tenant = "");
  absl::StatusOr<v1::Operation> Ask(const v1::RestoreBackupRequest& request);
  v1::Operation Fails(const absl::StatusOr<v1::Operation>& created);
  v1::Operation Cancelled(const absl::StatusOr<v1::Operation>& created);
  void KeepDataOn(const std::string& host, const std::string& tenant);

  std::string backup_;
  std::string gateway_;
};

}  // namespace mtp
