// The journal's part about actions.
#include <absl/strings/str_cat.h>
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

#include "agent/tenants/journal.h"
#include "common/base/canonical_bytes.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"

namespace mtp {
namespace {

constexpr absl::Duration kActionLifetime = absl::Hours(24 * 7);
constexpr size_t kMaxActions = 10'000;

std::string ActionSecretsKey(const std::string& key) {
  return absl::StrCat("/action-secrets/", key);
}

std::string ActionRepositoryKey(const std::string& key) {
  return absl::StrCat("/action-repositories/", key);
}

// Null for actions that bring none.
const v1::TenantSecrets* SecretsOf(const v1::EnsureActionRequest& request) {
  if (request.has_apply()) return &request.apply().secrets();
  if (request.has_reconfigure()) return &request.reconfigure().secrets();
  return nullptr;
}

// Null for actions that use none.
const v1::RepositoryAccess* RepositoryOf(const v1::EnsureActionRequest& request) {
  if (request.has_snapshot()) return &request.snapshot().repository();
  if (request.has_verify()) return &request.verify().repository();
  if (request.has_restore()) return &request.restore().repository();
  if (request.has_forget()) return &request.forget().repository();
  if (request.has_check()) return &request.check().repository();
  if (request.has_drill()) return &request.drill().repository();
  return nullptr;
}

}  // namespace

absl::StatusOr<state::v1::AgentActionRecord> Journal::Action(const std::string& key) const {
  MTP_ASSIGN_OR_RETURN(auto row, actions_.Get(key));
  return row.value;
}

absl::StatusOr<std::vector<state::v1::AgentActionRecord>> Journal::Actions() const {
  MTP_ASSIGN_OR_RETURN(auto rows, actions_.List());
  std::vector<state::v1::AgentActionRecord> records;
  for (auto& row : rows) records.push_back(std::move(row.value));
  return records;
}

absl::Status Journal::RaiseEpoch(const v1::EnsureActionRequest& request, kv::Txn& txn) {
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::Parse(request.tenant()));
  const int64_t highest = HighestEpoch(name);
  if (request.epoch() < highest) {
    return absl::FailedPreconditionError(absl::StrCat("this command belongs to epoch ",
                                                      request.epoch(), " of tenant ", name.value(),
                                                      "; epoch ", highest, " was seen already"));
  }
  state::v1::EpochRecord epoch;
  epoch.set_epoch(request.epoch());
  epochs_.Put(txn, name.value(), epoch);
  auto tenant = tenants_.Get(name.value());
  if (tenant.ok() && tenant->value.epoch() < request.epoch()) {
    tenant->value.set_epoch(request.epoch());
    tenants_.Put(txn, name.value(), tenant->value);
  }
  return absl::OkStatus();
}

absl::Status Journal::BeginAction(const state::v1::AgentActionRecord& record,
                                  const v1::EnsureActionRequest& request) {
  absl::MutexLock lock(&mutex_);
  const std::string& key = record.action().key();
  kv::Txn txn;
  txn.RequireAbsent(actions_.Key(key));
  actions_.Put(txn, key, record);
  // An action about the host itself belongs to no placement.
  if (!record.request().tenant().empty()) MTP_RETURN_IF_ERROR(RaiseEpoch(record.request(), txn));
  if (const v1::TenantSecrets* secrets = SecretsOf(request)) {
    txn.Put(ActionSecretsKey(key), Seal(ActionSecretsKey(key), *secrets));
  }
  if (const v1::RepositoryAccess* access = RepositoryOf(request)) {
    txn.Put(ActionRepositoryKey(key), Seal(ActionRepositoryKey(key), *access));
  }
  absl::Status status = Commit(txn);
  if (absl::IsAborted(status)) {
    return absl::AlreadyExistsError(absl::StrCat("action ", key, " exists already"));
  }
  return status;
}

absl::Status Journal::SaveAction(const state::v1::AgentActionRecord& record) {
  absl::MutexLock lock(&mutex_);
  kv::Txn txn;
  actions_.Put(txn, record.action().key(), record);
  return Commit(txn);
}

absl::Status Journal::EndAction(const state::v1::AgentActionRecord& record) {
  absl::MutexLock lock(&mutex_);
  kv::Txn txn;
  actions_.Put(txn, record.action().key(), record);
  for (const std::string& secrets :
       {ActionSecretsKey(record.action().key()), ActionRepositoryKey(record.action().key())}) {
    if (store_->Get(secrets).ok()) txn.Delete(secrets).LeaveNoTrace();
  }
  return Commit(txn);
}

absl::StatusOr<v1::TenantSecrets> Journal::ActionSecrets(const std::string& key) const {
  return OpenSecrets(ActionSecretsKey(key));
}

absl::StatusOr<v1::RepositoryAccess> Journal::ActionRepository(const std::string& key) const {
  v1::RepositoryAccess access;
  MTP_RETURN_IF_ERROR(Open(ActionRepositoryKey(key), &access));
  return access;
}

absl::Status Journal::TrimActions(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  MTP_ASSIGN_OR_RETURN(auto rows, actions_.List());
  std::vector<std::pair<absl::Time, std::string>> ended;
  for (const auto& row : rows) {
    if (row.value.action().state() == v1::ACTION_STATE_RUNNING) continue;
    ended.emplace_back(FromTimestamp(row.value.action().end_time()), row.id);
  }
  std::sort(ended.begin(), ended.end());
  const size_t too_many = ended.size() > kMaxActions ? ended.size() - kMaxActions : 0;
  kv::Txn txn;
  for (size_t i = 0; i < ended.size() && txn.deletes.size() < kv::kMaxChanges; ++i) {
    if (i >= too_many && ended[i].first + kActionLifetime > now) break;
    txn.Delete(actions_.Key(ended[i].second));
  }
  return txn.deletes.empty() ? absl::OkStatus() : Commit(txn);
}

v1::EnsureActionRequest WithoutSecrets(const v1::EnsureActionRequest& request) {
  v1::EnsureActionRequest bare = request;
  if (bare.has_apply()) bare.mutable_apply()->clear_secrets();
  if (bare.has_reconfigure()) bare.mutable_reconfigure()->clear_secrets();
  if (bare.has_snapshot()) bare.mutable_snapshot()->clear_repository();
  if (bare.has_verify()) bare.mutable_verify()->clear_repository();
  if (bare.has_restore()) bare.mutable_restore()->clear_repository();
  if (bare.has_forget()) bare.mutable_forget()->clear_repository();
  if (bare.has_check()) bare.mutable_check()->clear_repository();
  if (bare.has_drill()) bare.mutable_drill()->clear_repository();
  return bare;
}

std::string RequestHash(const v1::EnsureActionRequest& request) {
  std::string bytes = CanonicalBytes(request);
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(hash.data()));
  WipeString(&bytes);
  return hash;
}

}  // namespace mtp
