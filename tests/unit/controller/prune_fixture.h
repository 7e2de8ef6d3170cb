// Pruning of acme's backups, which are a hundred days old, on host h1.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/controller/backups_fixture.h"

namespace mtp {

class BackupPrune : public BackupsFixture {
 protected:
  BackupPrune() {
    Provision("acme");
    AddRepository();
    Forgets("2", "1000");
    MadeDaysAgo(100);
  }
  // The backups that are made from now on.
  void MadeDaysAgo(int days) {
    agents_.outcomes[Act::kSnapshot].result["start_time"] = absl::FormatTime(
        absl::RFC3339_full, clock_.Now() - absl::Hours(24) * days, absl::UTCTimeZone());
  }
  void Forgets(const std::string& removed, const std::string& freed) {
    agents_.outcomes[Act::kForget] = {
        v1::ACTION_STATE_DONE, absl::OkStatus(), {{"removed", removed}, {"freed_bytes", freed}}};
  }
  void AddRemote(const std::string& name) {
    v1::AddRepositoryRequest request;
    request.set_repository_id(name);
    request.set_url("s3:https://s3.example/" + name);
    request.mutable_secrets()->set_root_key(kRootKey);
    request.mutable_secrets()->set_s3_access_key("access");
    request.mutable_secrets()->set_s3_secret_key("secret");
    const auto added = repositories_.Add(request);
    ASSERT_TRUE(added.ok()) << added.status();
  }
  std::string BackUpInto(const std::string& repository) {
    v1::CreateBackupRequest request;
    request.set_tenant("tenants/acme");
    request.set_repository("repositories/" + repository);
    return Ended(backups_.Create(kCaller, request)).result().at("backup");
  }
  // All in the catalogue.
  std::vector<std::string> Catalogue() {
    std::vector<std::string> names;
    const auto all = backups_.List("");
    EXPECT_TRUE(all.ok()) << all.status();
    if (!all.ok()) return names;
    for (const v1::Backup& backup : *all) names.push_back(backup.name());
    return names;
  }
  static std::vector<std::string> Names(const absl::StatusOr<v1::PruneBackupsResponse>& response) {
    std::vector<std::string> names;
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok()) return names;
    for (const v1::Backup& backup : response->backups()) names.push_back(backup.name());
    return names;
  }
  // ULID of a backup that is called off while its host is away.
  std::string CalledOff(const std::string& repository = "main") {
    const auto outcome = agents_.outcomes[Act::kSnapshot];
    agents_.outcomes[Act::kSnapshot] = mtp::testing::FakeAgents::Running();
    v1::CreateBackupRequest request;
    request.set_tenant("tenants/acme");
    request.set_repository("repositories/" + repository);
    const auto created = backups_.Create(kCaller, request);
    EXPECT_TRUE(created.ok()) << created.status();
    Run();
    agents_.away = {"h1"};
    EXPECT_TRUE(engine_.Cancel(IdOf(*created)).ok());
    EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_CANCELLED);
    agents_.away.clear();
    agents_.End(Act::kSnapshot, outcome);
    agents_.outcomes[Act::kSnapshot] = outcome;
    return IdOf(*created);
  }
  v1::Operation Pruned(const std::string& tenant = "acme") {
    const auto response = Prune(tenant);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? Ended(response->operation()) : v1::Operation();
  }
};

}  // namespace mtp
