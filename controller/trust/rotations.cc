#include <absl/strings/str_cat.h>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/kv/table.h"
#include "controller/tenants/request_hash.h"
#include "controller/tenants/validation.h"
#include "controller/trust/rotation.h"

namespace mtp {
namespace {

constexpr absl::Duration kMostPatience = absl::Hours(24 * 365);

}  // namespace

absl::StatusOr<v1::Authority> Rotations::Get() const {
  MTP_ASSIGN_OR_RETURN(const TrustedAuthorities authorities, clients_.authority->Now());
  v1::Authority shown;
  for (size_t i = 0; i < authorities.members.size(); ++i) {
    const auto& member = authorities.members[i];
    MTP_ASSIGN_OR_RETURN(const tls::CertificateFacts facts, tls::ReadCertificate(member.pem));
    v1::AuthorityCertificate& one = *shown.add_certificates();
    one.set_fingerprint(member.fingerprint);
    *one.mutable_begin_time() = ToTimestamp(facts.not_before);
    *one.mutable_expire_time() = ToTimestamp(facts.not_after);
    one.set_issuing(i == authorities.issuing);
    one.set_serving(i == authorities.serving);
    one.set_certificate_pem(member.pem);
  }
  state::v1::LockRecord lock;
  const auto entry = clients_.store->Get(kAuthorityLock);
  if (entry.ok() && lock.ParseFromString(entry->value)) {
    shown.set_operation("operations/" + lock.operation());
  }
  MTP_ASSIGN_OR_RETURN(const auto hosts, HostsToRenew(clients_.store, authorities));
  MTP_ASSIGN_OR_RETURN(const auto operators, OperatorsToRenew(clients_.store, authorities));
  shown.mutable_hosts_to_renew()->Assign(hosts.begin(), hosts.end());
  shown.mutable_operators_to_renew()->Assign(operators.begin(), operators.end());
  return shown;
}

absl::StatusOr<v1::Operation> Rotations::Begin(const std::string& caller,
                                               const v1::RotateAuthorityRequest& request) {
  MTP_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  operations::NewOperation operation;
  operation.request_hash = RequestHash(request);
  auto earlier = engine_->FindRequest(caller, request.request_id(), operation.request_hash);
  if (earlier.ok() || !absl::IsNotFound(earlier.status())) return earlier;
  const absl::Duration patience = absl::Seconds(request.drop_old_after().seconds());
  if (patience < absl::ZeroDuration() || patience > kMostPatience) {
    return absl::InvalidArgumentError("operators are waited for at most 365 days");
  }
  operation.kind = "rotate-authority";
  operation.target = "authority";
  operation.input = request.SerializeAsString();
  operation.created_by = caller;
  operation.request_id = request.request_id();
  operation.locks.push_back(kAuthorityLock);
  return engine_->Create(operation, kv::Txn());
}

absl::StatusOr<std::vector<std::string>> HostsToRenew(const kv::Store* store,
                                                      const TrustedAuthorities& authorities) {
  MTP_ASSIGN_OR_RETURN(const auto rows, Tables(store).hosts.List());
  std::vector<std::string> names;
  for (const auto& row : rows) {
    if (row.value.authority() != authorities.issuer().fingerprint ||
        !row.value.next_certificate_pem().empty()) {
      names.push_back(row.id);
    }
  }
  return names;
}

absl::StatusOr<std::vector<std::string>> OperatorsToRenew(const kv::Store* store,
                                                          const TrustedAuthorities& authorities) {
  const kv::Table<state::v1::OperatorRecord> operators(store, "/operators/");
  MTP_ASSIGN_OR_RETURN(const auto rows, operators.List());
  std::vector<std::string> names;
  for (const auto& row : rows) {
    const bool before_kept = row.value.authority().empty() && authorities.revision == 0;
    if (!before_kept && row.value.authority() != authorities.issuer().fingerprint) {
      names.push_back(row.id);
    }
  }
  return names;
}

}  // namespace mtp
