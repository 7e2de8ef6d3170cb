#include "tests/unit/cli/backup_fixture.h"

#include <absl/strings/str_cat.h>

namespace mtp::cli {

v1::Backup MakeBackup(const std::string& id, const std::string& tenant) {
  v1::Backup backup;
  backup.set_name("backups/" + id);
  backup.set_tenant(tenant);
  backup.set_host("h1");
  backup.set_repository("nas");
  backup.mutable_start_time()->set_seconds(1'769'860'800);  // 2026-01-31T12:00:00Z
  backup.mutable_duration()->set_seconds(12);
  backup.mutable_duration()->set_nanos(345'000'000);
  backup.mutable_pause()->set_nanos(81'200'000);
  backup.set_bytes_scanned(1'288'490'188);
  backup.set_bytes_added(3'565'158);
  backup.set_files(5321);
  backup.set_databases(4);
  backup.set_image_digest("sha256:abc");
  backup.set_reason("manual");
  return backup;
}

BackupCliTest::BackupCliTest() {
  for (const char* name : {"acme", "beta"}) {
    v1::Tenant& tenant = *controller_.fleet.add_tenants();
    tenant.set_name(absl::StrCat("tenants/", name));
    tenant.mutable_status()->set_host("h1");
  }
  controller_.backups = {MakeBackup(kNewest, "acme"), MakeBackup(kOlder, "acme"),
                         MakeBackup(kOfGone, "gone")};
}

BackupCliTest::~BackupCliTest() = default;

void BackupCliTest::Succeeds(const std::string& kind, const std::string& tenant,
                             const std::string& backup) {
  v1::Operation done = MakeOperation(kind, "tenants/" + tenant, v1::OPERATION_STATE_SUCCEEDED);
  done.set_host("h1");
  if (!backup.empty()) (*done.mutable_result())["backup"] = backup;
  controller_.streams.push_back({.operations = {done}});
}

void BackupCliTest::Fails(const std::string& kind, const std::string& tenant,
                          const std::string& why) {
  v1::Operation failed = MakeOperation(kind, "tenants/" + tenant, v1::OPERATION_STATE_FAILED);
  failed.mutable_error()->set_message(why);
  controller_.streams.push_back({.operations = {failed}});
}

void BackupCliTest::GoesOn(const std::string& kind, const std::string& tenant) {
  controller_.streams.push_back(
      {.operations = {MakeOperation(kind, "tenants/" + tenant, v1::OPERATION_STATE_RUNNING)},
       .hang = true});
}

void BackupCliTest::Person(const std::string& answer) {
  environment_.in_is_terminal = environment_.err_is_terminal = true;
  variables_["TERM"] = "dumb";
  answer_ = answer;
}

}  // namespace mtp::cli
