#include "controller/tenants/claims.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>

#include "common/base/names.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// An empty record when there is none.
template <typename Message>
absl::StatusOr<kv::Row<Message>> GetOrEmpty(const kv::Table<Message>& table,
                                            const std::string& id) {
  auto row = table.Get(id);
  if (absl::IsNotFound(row.status())) return kv::Row<Message>{id, Message(), 0};
  return row;
}

void AddAllocation(const state::v1::TenantRecord& tenant, state::v1::AllocationsRecord& record) {
  auto* allocation = record.add_allocations();
  allocation->set_tenant(tenant.name());
  allocation->set_memory_mib(tenant.resolved().memory_reservation_mib());
  allocation->set_port(tenant.port());
  allocation->set_anti_affinity(AntiAffinityOf(tenant.spec()));
}

}  // namespace

absl::Status TakeClaims(const Tables& tables, const state::v1::TenantRecord& tenant,
                        const kv::Row<state::v1::HostRecord>& host,
                        const std::string& env_prefix_key, const std::string& sealed_secrets,
                        kv::Txn& txn) {
  MTP_ASSIGN_OR_RETURN(auto allocations, GetOrEmpty(tables.allocations, tenant.host()));
  MTP_ASSIGN_OR_RETURN(const auto epoch, GetOrEmpty(tables.epochs, tenant.name()));
  AddAllocation(tenant, allocations.value);
  state::v1::ClaimRecord claim;
  claim.set_tenant(tenant.name());
  state::v1::EpochRecord next_epoch;
  next_epoch.set_epoch(tenant.epoch());
  state::v1::SecretsRecord secrets;
  secrets.set_sealed(sealed_secrets);

  txn.RequireAbsent(tables.tenants.Key(tenant.name()));
  txn.RequireAbsent(tables.env_prefixes.Key(env_prefix_key));
  txn.RequireAbsent(tables.bots.Key(tenant.bot_fingerprint()));
  txn.RequireRevision(tables.allocations.Key(tenant.host()), allocations.revision);
  txn.RequireRevision(tables.hosts.Key(host.id), host.revision);
  txn.RequireRevision(tables.epochs.Key(tenant.name()), epoch.revision);
  tables.tenants.Put(txn, tenant.name(), tenant);
  tables.env_prefixes.Put(txn, env_prefix_key, claim);
  tables.bots.Put(txn, tenant.bot_fingerprint(), claim);
  tables.allocations.Put(txn, tenant.host(), allocations.value);
  tables.epochs.Put(txn, tenant.name(), next_epoch);
  tables.secrets.Put(txn, tenant.name(), secrets);
  return absl::OkStatus();
}

absl::Status ChangeReservation(const Tables& tables, const state::v1::TenantRecord& tenant,
                               int64_t memory_mib, kv::Txn& txn) {
  MTP_ASSIGN_OR_RETURN(auto row, tables.allocations.Get(tenant.host()));
  for (auto& allocation : *row.value.mutable_allocations()) {
    if (allocation.tenant() != tenant.name()) continue;
    allocation.set_memory_mib(memory_mib);
    allocation.set_anti_affinity(AntiAffinityOf(tenant.spec()));
    txn.RequireRevision(tables.allocations.Key(tenant.host()), row.revision);
    tables.allocations.Put(txn, tenant.host(), row.value);
    return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrCat("tenant ", tenant.name(), " reserves nothing on host ", tenant.host()));
}

int64_t NextEpoch(const Tables& tables, const std::string& tenant) {
  const auto last = tables.epochs.Get(tenant);
  const auto every = tables.epochs.Get(kEveryName);
  return std::max(last.ok() ? last->value.epoch() : 0, every.ok() ? every->value.epoch() : 0) + 1;
}

absl::Status RaiseEpoch(const Tables& tables, const std::string& tenant, int64_t epoch,
                        kv::Txn& txn) {
  MTP_ASSIGN_OR_RETURN(const auto row, GetOrEmpty(tables.epochs, tenant));
  state::v1::EpochRecord next;
  next.set_epoch(epoch);
  txn.RequireRevision(tables.epochs.Key(tenant), row.revision);
  tables.epochs.Put(txn, tenant, next);
  return absl::OkStatus();
}

absl::Status MoveClaims(const Tables& tables, const kv::Row<state::v1::TenantRecord>& before,
                        const state::v1::TenantRecord& after,
                        const kv::Row<state::v1::HostRecord>& host, kv::Txn& txn) {
  MTP_ASSIGN_OR_RETURN(auto allocations, GetOrEmpty(tables.allocations, after.host()));
  AddAllocation(after, allocations.value);
  txn.RequireRevision(tables.tenants.Key(before.id), before.revision);
  txn.RequireRevision(tables.allocations.Key(after.host()), allocations.revision);
  txn.RequireRevision(tables.hosts.Key(host.id), host.revision);
  tables.tenants.Put(txn, before.id, after);
  tables.allocations.Put(txn, after.host(), allocations.value);
  return RaiseEpoch(tables, before.id, after.epoch(), txn);
}

absl::Status ReleaseOn(const Tables& tables, const std::string& tenant, const std::string& host,
                       kv::Txn& txn) {
  MTP_ASSIGN_OR_RETURN(auto allocations, GetOrEmpty(tables.allocations, host));
  if (!DropAllocation(tenant, allocations.value)) return absl::OkStatus();
  txn.RequireRevision(tables.allocations.Key(host), allocations.revision);
  tables.allocations.Put(txn, host, allocations.value);
  return absl::OkStatus();
}

absl::Status CheckBotFree(const Tables& tables, const std::string& tenant,
                          const std::string& fingerprint) {
  const auto row = tables.bots.Get(fingerprint);
  if (!row.ok() || row->value.tenant() == tenant) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat("this Telegram bot belongs to tenant \"", row->value.tenant(),
                   "\" already; two pollers on one bot steal each other's messages. Make another "
                   "bot with BotFather"));
}

absl::Status TakeBot(const Tables& tables, const std::string& tenant,
                     const std::string& fingerprint, kv::Txn& txn) {
  MTP_ASSIGN_OR_RETURN(auto claim, GetOrEmpty(tables.bots, fingerprint));
  claim.value.set_tenant(tenant);
  txn.RequireRevision(tables.bots.Key(fingerprint), claim.revision);
  tables.bots.Put(txn, fingerprint, claim.value);
  return absl::OkStatus();
}

absl::Status KeepOnlyBot(const Tables& tables, const std::string& tenant,
                         const std::string& fingerprint, kv::Txn& txn) {
  MTP_ASSIGN_OR_RETURN(const auto rows, tables.bots.List());
  for (const auto& row : rows) {
    if (row.value.tenant() != tenant || row.id == fingerprint) continue;
    txn.RequireRevision(tables.bots.Key(row.id), row.revision).Delete(tables.bots.Key(row.id));
  }
  return absl::OkStatus();
}

absl::Status ReleaseClaims(const Tables& tables, const std::string& tenant, kv::Txn& txn) {
  const auto row = tables.tenants.Get(tenant);
  if (absl::IsNotFound(row.status())) return absl::OkStatus();
  if (!row.ok()) return row.status();
  MTP_RETURN_IF_ERROR(ReleaseOn(tables, tenant, row->value.host(), txn));
  return ForgetTenant(tables, *row, txn);
}

absl::Status ForgetTenant(const Tables& tables, const kv::Row<state::v1::TenantRecord>& tenant,
                          kv::Txn& txn) {
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::Parse(tenant.id));
  txn.RequireRevision(tables.tenants.Key(tenant.id), tenant.revision);
  txn.Delete(tables.tenants.Key(tenant.id));
  txn.Delete(tables.env_prefixes.Key(name.EnvPrefixKey()));
  // All of them: a controller that was recovered may have one more of a change that was cut short.
  MTP_RETURN_IF_ERROR(KeepOnlyBot(tables, tenant.id, "", txn));
  txn.Delete(tables.secrets.Key(tenant.id)).LeaveNoTrace();
  txn.Delete(tables.next_secrets.Key(tenant.id));
  txn.Delete(tables.policies.Key("tenants/" + tenant.id));
  txn.Delete(tables.schedules.Key(tenant.id));
  return absl::OkStatus();
}

bool DropAllocation(const std::string& tenant, state::v1::AllocationsRecord& record) {
  auto& list = *record.mutable_allocations();
  const auto gone = std::remove_if(list.begin(), list.end(), [&](const auto& allocation) {
    return allocation.tenant() == tenant;
  });
  if (gone == list.end()) return false;
  list.erase(gone, list.end());
  return true;
}

std::string BotFingerprint(const std::string& key, absl::string_view telegram_token) {
  const absl::string_view bot_id = telegram_token.substr(0, telegram_token.find(':'));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(bot_id.data()), bot_id.size(), digest.data(),
       &length);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), length));
}

std::string AntiAffinityOf(const v1::TenantSpec& spec) {
  if (spec.anti_affinity_label().empty()) return "";
  const auto it = spec.labels().find(spec.anti_affinity_label());
  return absl::StrCat(spec.anti_affinity_label(), "=", it == spec.labels().end() ? "" : it->second);
}

}  // namespace mtp
