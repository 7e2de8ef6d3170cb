#include "agent/tenants/journal.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>

#include "common/base/status.h"
#include "common/base/timestamps.h"

namespace mtp {
namespace {

// Beyond so many all are forgotten: each is then checked once more.
constexpr size_t kMaxAcceptedConfigs = 100;
constexpr char kAdminTokenKey[] = "/admin/gateway-token";
constexpr char kAcceptedConfigPrefix[] = "/accepted-configs/";

std::string SecretsKey(const TenantName& name) { return absl::StrCat("/secrets/", name.value()); }
std::string CrashHistoryKey(const TenantName& name) {
  return absl::StrCat("/crash-histories/", name.value());
}

// A decision that the tenant shall run, or not, is newer than that it was parked.
void ClearParked(state::v1::AgentTenantRecord& record) {
  record.clear_parked_reason();
  record.clear_last_log_lines();
}

using TenantRows = std::vector<kv::Row<state::v1::AgentTenantRecord>>;

absl::Status CheckEnvPrefix(const TenantRows& rows, const TenantName& name) {
  for (const auto& row : rows) {
    if (row.id == name.value()) continue;
    auto other = TenantName::Parse(row.id);
    if (other.ok() && other->EnvPrefix() == name.EnvPrefix()) {
      return absl::FailedPreconditionError(absl::StrCat("tenant ", row.id, " has the prefix ",
                                                        name.EnvPrefix(), " in .env already"));
    }
  }
  return absl::OkStatus();
}

// The first one, from that port on, that no tenant here has.
absl::StatusOr<int> FreePort(const TenantRows& rows, int port) {
  std::set<int> taken;
  for (const auto& row : rows) taken.insert(row.value.port());
  while (taken.count(port) > 0) ++port;
  constexpr int kLast = 65535;
  if (port <= kLast) return port;
  return absl::ResourceExhaustedError("no loopback port is left for a tenant on this host");
}

// 0 when none is free.
int FreeSubnet(const TenantRows& rows, int subnets) {
  std::set<int> taken;
  for (const auto& row : rows) taken.insert(row.value.subnet_index());
  for (int index = 1; index < subnets; ++index) {
    if (taken.count(index) == 0) return index;
  }
  return 0;
}

}  // namespace

Journal::Journal(kv::Store* store, const SecretBox* box)
    : store_(store),
      box_(box),
      tenants_(store, "/tenants/"),
      actions_(store, "/actions/"),
      epochs_(store, "/epochs/") {}

absl::Status Journal::Commit(const kv::Txn& txn) { return store_->Commit(txn).status(); }

std::string Journal::Seal(const std::string& key,
                          const google::protobuf::MessageLite& message) const {
  std::string plain = message.SerializeAsString();
  state::v1::SecretsRecord record;
  record.set_sealed(box_->Seal(plain, key));
  WipeString(&plain);
  return record.SerializeAsString();
}

absl::Status Journal::Open(const std::string& key, google::protobuf::MessageLite* message) const {
  auto entry = store_->Get(key);
  if (!entry.ok()) return entry.status();
  state::v1::SecretsRecord record;
  if (!record.ParseFromString(entry->value)) {
    return absl::DataLossError(absl::StrCat("the state of ", key, " cannot be read"));
  }
  auto plain = box_->Open(record.sealed(), key);
  if (!plain.ok()) return Annotate(plain.status(), key);
  if (!message->ParseFromArray(plain->Reveal().data(), static_cast<int>(plain->size()))) {
    return absl::DataLossError(absl::StrCat("the state of ", key, " cannot be read"));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::TenantSecrets> Journal::OpenSecrets(const std::string& key) const {
  v1::TenantSecrets secrets;
  MTP_RETURN_IF_ERROR(Open(key, &secrets));
  return secrets;
}

absl::StatusOr<state::v1::AgentTenantRecord> Journal::Tenant(const TenantName& name) const {
  auto row = tenants_.Get(name.value());
  if (absl::IsNotFound(row.status())) {
    return absl::NotFoundError(absl::StrCat("tenant ", name.value(), " is not on this host"));
  }
  if (!row.ok()) return row.status();
  return row->value;
}

absl::StatusOr<std::vector<state::v1::AgentTenantRecord>> Journal::Tenants() const {
  MTP_ASSIGN_OR_RETURN(auto rows, tenants_.List());
  std::vector<state::v1::AgentTenantRecord> records;
  for (auto& row : rows) records.push_back(std::move(row.value));
  return records;
}

absl::StatusOr<v1::TenantSecrets> Journal::Secrets(const TenantName& name) const {
  return OpenSecrets(SecretsKey(name));
}

absl::StatusOr<state::v1::AgentTenantRecord> Journal::PutTenant(const TenantName& name,
                                                                const TenantChange& change) {
  absl::MutexLock lock(&mutex_);
  MTP_ASSIGN_OR_RETURN(const auto rows, tenants_.List());
  MTP_RETURN_IF_ERROR(CheckEnvPrefix(rows, name));

  state::v1::AgentTenantRecord record;
  auto found = std::find_if(rows.begin(), rows.end(),
                            [&](const auto& row) { return row.id == name.value(); });
  if (found != rows.end()) {
    record = found->value;
  } else {
    record.set_name(name.value());
    MTP_ASSIGN_OR_RETURN(const int port, FreePort(rows, change.port));
    record.set_port(port);
    record.set_subnet_index(FreeSubnet(rows, change.subnets));
    if (record.subnet_index() == 0) {
      return absl::ResourceExhaustedError(
          "no network is left in this host's subnet pool. Start the agent with a larger "
          "--subnet-pool");
    }
  }
  record.set_epoch(change.epoch);
  *record.mutable_spec() = change.spec;
  record.set_run_policy(change.stopped ? v1::RUN_POLICY_STOP : v1::RUN_POLICY_RUN);
  ClearParked(record);
  record.set_probation(change.probation);

  kv::Txn txn;
  tenants_.Put(txn, name.value(), record);
  txn.Put(SecretsKey(name), Seal(SecretsKey(name), change.secrets)).LeaveNoTrace();
  MTP_RETURN_IF_ERROR(Commit(txn));
  return record;
}

absl::Status Journal::Change(
    const TenantName& name,
    const std::function<absl::StatusOr<bool>(state::v1::AgentTenantRecord&)>& change) {
  absl::MutexLock lock(&mutex_);
  MTP_ASSIGN_OR_RETURN(auto record, Tenant(name));
  MTP_ASSIGN_OR_RETURN(const bool changed, change(record));
  if (!changed) return absl::OkStatus();
  kv::Txn txn;
  tenants_.Put(txn, name.value(), record);
  return Commit(txn);
}

absl::Status Journal::MoveToNextPort(const TenantName& name) {
  return Change(name, [&](auto& record) -> absl::StatusOr<bool> {
    MTP_ASSIGN_OR_RETURN(const auto rows, tenants_.List());
    MTP_ASSIGN_OR_RETURN(const int port, FreePort(rows, record.port() + 1));
    record.set_port(port);
    return true;
  });
}

absl::Status Journal::SetRunPolicy(const TenantName& name, v1::RunPolicy policy) {
  return Change(name, [&](auto& record) {
    const bool probation = record.probation() && policy != v1::RUN_POLICY_RUN;
    if (record.run_policy() == policy && record.probation() == probation &&
        record.parked_reason().empty()) {
      return false;
    }
    record.set_run_policy(policy);
    ClearParked(record);
    record.set_probation(probation);
    return true;
  });
}

absl::Status Journal::EndProbation(const TenantName& name) {
  return Change(name, [](auto& record) {
    const bool changes = record.probation();
    record.set_probation(false);
    return changes;
  });
}

absl::Status Journal::SetLastBackup(const TenantName& name, absl::Time time) {
  return Change(name, [time](auto& record) {
    *record.mutable_last_backup_time() = ToTimestamp(time);
    return true;
  });
}

absl::Status Journal::SetFailoverPolicy(const TenantName& name, v1::FailoverPolicy policy) {
  return Change(name, [policy](auto& record) {
    if (record.spec().failover_policy() == policy) return false;
    record.mutable_spec()->set_failover_policy(policy);
    return true;
  });
}

absl::Status Journal::SetMemoryLimit(const TenantName& name, int64_t limit_mib) {
  return Change(name, [limit_mib](auto& record) {
    if (record.spec().memory_limit_mib() == limit_mib) return false;
    record.mutable_spec()->set_memory_limit_mib(limit_mib);
    return true;
  });
}

absl::Status Journal::Park(const TenantName& name, const std::string& reason,
                           const std::vector<std::string>& last_lines) {
  return Change(name, [&](auto& record) {
    ClearParked(record);
    record.set_parked_reason(reason);
    for (const std::string& line : last_lines) record.add_last_log_lines(line);
    return true;
  });
}

absl::Status Journal::Unpark(const TenantName& name) {
  return Change(name, [](auto& record) {
    if (record.parked_reason().empty()) return false;
    ClearParked(record);
    return true;
  });
}

std::string Journal::CrashHistoryText(const TenantName& name) const {
  auto entry = store_->Get(CrashHistoryKey(name));
  return entry.ok() ? entry->value : std::string();
}

absl::Status Journal::SetCrashHistoryText(const TenantName& name, const std::string& text) {
  absl::MutexLock lock(&mutex_);
  // A look may still be going on when the tenant is removed.
  MTP_RETURN_IF_ERROR(Tenant(name).status());
  kv::Txn txn;
  txn.Put(CrashHistoryKey(name), text);
  return Commit(txn);
}

absl::Status Journal::RemoveTenant(const TenantName& name) {
  absl::MutexLock lock(&mutex_);
  kv::Txn txn;
  txn.Delete(CrashHistoryKey(name));
  txn.Delete(tenants_.Key(name.value()));
  txn.Delete(SecretsKey(name)).LeaveNoTrace();
  return Commit(txn);
}

int64_t Journal::HighestEpoch(const TenantName& name) const {
  auto row = epochs_.Get(name.value());
  return row.ok() ? row->value.epoch() : 0;
}

absl::StatusOr<SecretString> Journal::AdminGatewayToken(Random& random) {
  absl::MutexLock lock(&mutex_);
  auto secrets = OpenSecrets(kAdminTokenKey);
  if (secrets.ok()) return SecretString(secrets->gateway_token());
  if (!absl::IsNotFound(secrets.status())) return secrets.status();
  v1::TenantSecrets made;
  made.set_gateway_token(absl::BytesToHexString(random.Bytes(32)));
  kv::Txn txn;
  txn.Put(kAdminTokenKey, Seal(kAdminTokenKey, made));
  MTP_RETURN_IF_ERROR(Commit(txn));
  return SecretString(made.gateway_token());
}

bool Journal::IsConfigAccepted(const std::string& hash) const {
  return store_->Get(kAcceptedConfigPrefix + hash).ok();
}

absl::Status Journal::SetConfigAccepted(const std::string& hash) {
  absl::MutexLock lock(&mutex_);
  kv::Txn txn;
  const auto known = store_->List(kAcceptedConfigPrefix);
  if (known.size() >= kMaxAcceptedConfigs) {
    for (const kv::Entry& entry : known) txn.Delete(entry.key);
  }
  txn.Put(kAcceptedConfigPrefix + hash, "1");
  return Commit(txn);
}

}  // namespace mtp
