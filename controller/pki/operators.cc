#include "controller/pki/operators.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/kv/table.h"
#include "common/tls/identity.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp {
namespace {

constexpr int kMaxSerials = 8;
constexpr int kMaxAttempts = 8;
constexpr size_t kMaxOperators = 1000;

// Two removals at the same moment could each see the other's admin: they are compared in the
// transaction, since every change of the set also puts this key.
constexpr char kSetKey[] = "/meta/operators";

using OperatorTable = kv::Table<state::v1::OperatorRecord>;

OperatorTable Table(const kv::Store* store) { return {store, "/operators/"}; }

v1::Operator ToOperator(const state::v1::OperatorRecord& record) {
  v1::Operator shown;
  shown.set_name(record.name());
  shown.set_role(record.role());
  *shown.mutable_create_time() = record.create_time();
  *shown.mutable_certificate_expire_time() = record.certificate_expire_time();
  return shown;
}

bool Has(const state::v1::OperatorRecord& record, const std::string& serial) {
  const auto& serials = record.certificate_serials();
  return std::find(serials.begin(), serials.end(), serial) != serials.end();
}

// The oldest ones go when there are too many, but never `kept`.
void AddCertificate(const std::string& serial, absl::string_view kept, absl::Time now,
                    state::v1::OperatorRecord* record) {
  auto& serials = *record->mutable_certificate_serials();
  serials.Add()->assign(serial);
  while (serials.size() > kMaxSerials) {
    serials.erase(serials.begin() + (*serials.begin() == kept ? 1 : 0));
  }
  *record->mutable_certificate_expire_time() = ToTimestamp(now + kCertificateLifetime);
}

}  // namespace

Operators::Operators(kv::Store* store, const Authority* authority, const Clock* clock)
    : store_(store), authority_(authority), clock_(clock) {}

absl::Status Operators::KeepAnAdmin(const std::string& changed) const {
  MTP_ASSIGN_OR_RETURN(const auto rows, Table(store_).List());
  for (const auto& row : rows) {
    if (row.id != changed && row.value.role() == v1::ROLE_ADMIN) return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("operator ", changed, " is the last admin; make another one first"));
}

absl::StatusOr<v1::AddOperatorResponse> Operators::Add(const OperatorName& name, v1::Role role,
                                                       const std::string& csr_pem) {
  if (role != v1::ROLE_VIEWER && role != v1::ROLE_OPERATOR && role != v1::ROLE_ADMIN) {
    return absl::InvalidArgumentError("the role must be viewer, operator or admin");
  }
  const OperatorTable table = Table(store_);
  auto set = store_->Get(kSetKey);
  auto known = table.Get(name.value());
  if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
  if (!known.ok() && store_->List(table.prefix()).size() >= kMaxOperators)
    return absl::ResourceExhaustedError("there are 1000 operators; remove one first");
  state::v1::OperatorRecord record = known.ok() ? known->value : state::v1::OperatorRecord();
  if (record.role() == v1::ROLE_ADMIN && role != v1::ROLE_ADMIN)
    MTP_RETURN_IF_ERROR(KeepAnAdmin(name.value()));
  const tls::Identity identity{tls::Identity::Kind::kOperator, authority_->fleet(), name.value()};
  MTP_ASSIGN_OR_RETURN(const TrustedAuthorities authorities, authority_->Now());
  MTP_ASSIGN_OR_RETURN(const tls::IssuedCertificate issued,
                       authorities.Issue(csr_pem, identity, clock_->Now()));
  record.set_authority(authorities.issuer().fingerprint);
  record.set_name(name.value());
  record.set_role(role);
  if (!record.has_create_time()) *record.mutable_create_time() = ToTimestamp(clock_->Now());
  AddCertificate(issued.serial, "", clock_->Now(), &record);
  kv::Txn txn;
  txn.RequireRevision(table.Key(name.value()), known.ok() ? known->revision : 0);
  txn.RequireRevision(kSetKey, set.ok() ? set->mod_revision : 0);
  txn.RequireRevision(kAuthoritiesKey, authorities.revision);
  txn.Put(kSetKey, "");
  table.Put(txn, name.value(), record);
  MTP_RETURN_IF_ERROR(store_->Commit(txn).status());
  v1::AddOperatorResponse response;
  *response.mutable_operator_() = ToOperator(record);
  response.set_certificate_pem(issued.pem);
  response.set_ca_pem(authorities.Bundle());
  return response;
}

absl::StatusOr<v1::RenewCertificateResponse> Operators::Renew(const std::string& name,
                                                              const std::string& serial,
                                                              const std::string& csr_pem) {
  absl::StatusOr<v1::RenewCertificateResponse> response;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    response = TryRenew(name, serial, csr_pem);
    if (!absl::IsAborted(response.status())) break;
  }
  return response;
}

absl::StatusOr<v1::RenewCertificateResponse> Operators::TryRenew(const std::string& name,
                                                                 const std::string& serial,
                                                                 const std::string& csr_pem) {
  const OperatorTable table = Table(store_);
  auto known = table.Get(name);
  if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
  if (!known.ok() || !Has(known->value, serial)) {
    return absl::PermissionDeniedError(
        absl::StrCat("operator ", name, " is not known any more, or its certificate is not"));
  }
  const tls::Identity identity{tls::Identity::Kind::kOperator, authority_->fleet(), name};
  MTP_ASSIGN_OR_RETURN(const TrustedAuthorities authorities, authority_->Now());
  MTP_ASSIGN_OR_RETURN(const tls::IssuedCertificate issued,
                       authorities.Issue(csr_pem, identity, clock_->Now()));
  known->value.set_authority(authorities.issuer().fingerprint);
  AddCertificate(issued.serial, serial, clock_->Now(), &known->value);
  kv::Txn txn;
  txn.RequireRevision(table.Key(name), known->revision);
  txn.RequireRevision(kAuthoritiesKey, authorities.revision);
  table.Put(txn, name, known->value);
  MTP_RETURN_IF_ERROR(store_->Commit(txn).status());
  v1::RenewCertificateResponse response;
  response.set_certificate_pem(issued.pem);
  response.set_ca_pem(authorities.Bundle());
  return response;
}

absl::Status Operators::Remove(const OperatorName& name) {
  const OperatorTable table = Table(store_);
  auto set = store_->Get(kSetKey);
  auto known = table.Get(name.value());
  if (absl::IsNotFound(known.status())) {
    return absl::NotFoundError(absl::StrCat("there is no operator ", name.value()));
  }
  if (!known.ok()) return known.status();
  if (known->value.role() == v1::ROLE_ADMIN) MTP_RETURN_IF_ERROR(KeepAnAdmin(name.value()));
  kv::Txn txn;
  txn.RequireRevision(table.Key(name.value()), known->revision);
  txn.RequireRevision(kSetKey, set.ok() ? set->mod_revision : 0);
  txn.Put(kSetKey, "");
  txn.Delete(table.Key(name.value()));
  return store_->Commit(txn).status();
}

absl::StatusOr<std::vector<v1::Operator>> Operators::List() const {
  MTP_ASSIGN_OR_RETURN(const auto rows, Table(store_).List());
  std::vector<v1::Operator> operators;
  operators.reserve(rows.size());
  for (const auto& row : rows) operators.push_back(ToOperator(row.value));
  return operators;
}

}  // namespace mtp
