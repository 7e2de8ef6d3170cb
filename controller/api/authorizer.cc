#include "controller/api/authorizer.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/base/words.h"
#include "controller/api/roles.h"

namespace mtp {

Authorizer::Authorizer(const kv::Store* store, std::string fleet)
    : operators_(store, "/operators/"), fleet_(std::move(fleet)) {}

absl::StatusOr<Caller> Authorizer::Authorize(const tls::Peer& peer,
                                             absl::string_view method) const {
  const tls::Identity& identity = peer.identity;
  if (identity.kind == tls::Identity::Kind::kAnonymous) {
    return absl::UnauthenticatedError("show a certificate of an operator of this fleet");
  }
  if (identity.fleet != fleet_) {
    return absl::UnauthenticatedError(
        absl::StrCat("the certificate is of fleet ", identity.fleet, ", this is fleet ", fleet_));
  }
  if (identity.kind != tls::Identity::Kind::kOperator) {
    return absl::PermissionDeniedError(
        absl::StrCat(identity.ToString(), " may not call this API; only operators may"));
  }
  const auto record = operators_.Get(identity.name);
  if (!record.ok()) {
    return absl::PermissionDeniedError(
        absl::StrCat("operator ", identity.name, " is not known (any more)"));
  }
  const auto& serials = record->value.certificate_serials();
  if (std::find(serials.begin(), serials.end(), peer.serial) == serials.end()) {
    return absl::PermissionDeniedError(
        absl::StrCat("this certificate of operator ", identity.name, " is not in use any more"));
  }
  const auto rule = FindRule(method);
  if (!rule) return absl::PermissionDeniedError(absl::StrCat("nobody may call ", method));
  if (record->value.role() < rule->role) {
    return absl::PermissionDeniedError(absl::StrCat("operator ", identity.name, " has the role ",
                                                    RoleName(record->value.role()), "; ", method,
                                                    " needs ", RoleName(rule->role)));
  }
  return Caller{peer, record->value.role()};
}

}  // namespace mtp
