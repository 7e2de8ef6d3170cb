// Tenants that get other secrets and settings by a new container.
#pragma once

#include <string>
#include <vector>

#include "controller/tenants/secrets.h"
#include "tests/unit/controller/set_fixture.h"

namespace mtp {

inline constexpr char kOldToken[] = "1:secret";
inline constexpr char kNewToken[] = "7:CANARY-token";
inline constexpr char kNewKey[] = "CANARY-key";

class ReconfigureTest : public SetTest {
 protected:
  using Act = v1::EnsureActionRequest;
  using FakeAgents = mtp::testing::FakeAgents;

  static v1::UpdateTenantRequest Token(const std::string& token = kNewToken) {
    v1::UpdateTenantRequest request = Request(-1, -1);
    request.mutable_secrets()->set_telegram_token(token);
    request.mutable_update_mask()->add_paths("secrets.telegram_token");
    return request;
  }
  static v1::UpdateTenantRequest Key(const std::string& key = kNewKey) {
    v1::UpdateTenantRequest request = Request(-1, -1);
    request.mutable_secrets()->set_anthropic_key(key);
    request.mutable_update_mask()->add_paths("secrets.anthropic_key");
    return request;
  }
  static v1::UpdateTenantRequest Variable(const std::string& name, const std::string& value) {
    v1::UpdateTenantRequest request = Request(-1, -1);
    (*request.mutable_spec()->mutable_environment())[name] = value;
    request.mutable_update_mask()->add_paths("environment");
    return request;
  }
  // What the host is asked for with the new settings fails, and with the former ones does not.
  void HostFails(const FakeAgents::Outcome& outcome) {
    agents_.on_begin = [this, outcome](const Act& request) {
      if (!request.has_reconfigure()) return;
      agents_.outcomes[Act::kReconfigure] =
          request.reconfigure().secrets().telegram_token() == kOldToken ? Well() : outcome;
    };
  }
  static FakeAgents::Outcome Well() {
    return {.result = {{"container_before", "1"}, {"taken_in", "true"}}};
  }
  static FakeAgents::Outcome Ill(bool taken_in = true) {
    FakeAgents::Outcome outcome =
        FakeAgents::Failed(absl::DeadlineExceededError("not ready: 401 Unauthorized"));
    if (taken_in) outcome.result = Well().result;
    return outcome;
  }

  v1::TenantSecrets Secrets() {
    const auto row = life_->tables.secrets.Get("acme");
    return *OpenTenantSecrets(box_, row->value.sealed(), life_->tables.secrets.Key("acme"));
  }
  v1::TenantSecrets Sent() {
    return agents_.Last(Act::kReconfigure).request.reconfigure().secrets();
  }
  std::vector<std::string> BotsOf(const std::string& tenant) {
    std::vector<std::string> bots;
    const auto rows = life_->tables.bots.List();
    for (const auto& row : *rows) {
      if (row.value.tenant() == tenant) bots.push_back(row.id);
    }
    return bots;
  }
  void ExpectNothingIsLeft() {
    EXPECT_TRUE(life_->tables.next_secrets.List()->empty());
    EXPECT_THAT(BotsOf("acme"), ::testing::ElementsAre(Record().bot_fingerprint()));
  }
  void ExpectFormerSecrets() {
    EXPECT_EQ(Secrets().telegram_token(), kOldToken);
    EXPECT_FALSE(Record().has_secret_change_time());
    ExpectNothingIsLeft();
  }
  // A backup of acme with those secrets.
  void PutBackup(const std::string& id, const v1::TenantSecrets& secrets) {
    state::v1::BackupRecord record;
    record.mutable_backup()->set_name("backups/" + id);
    record.mutable_backup()->set_tenant("acme");
    record.set_sealed_secrets(SealTenantSecrets(box_, secrets, life_->tables.backups.Key(id)));
    kv::Txn txn;
    life_->tables.backups.Put(txn, id, record);
    ASSERT_TRUE(life_->store.Commit(txn).ok());
  }
  v1::TenantSecrets SecretsOfBackup(const std::string& id) {
    const auto row = life_->tables.backups.Get(id);
    return *OpenTenantSecrets(box_, row->value.sealed_secrets(), life_->tables.backups.Key(id));
  }
};

}  // namespace mtp
