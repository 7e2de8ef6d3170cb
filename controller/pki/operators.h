// Operators: who may call the controller, and as what.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/names.h"
#include "common/kv/store.h"
#include "controller/pki/authority.h"
#include "mtp/v1/fleet.pb.h"

namespace mtp {

// Thread-safe. The arguments must outlive it.
class Operators {
 public:
  Operators(kv::Store* store, const Authority* authority, const Clock* clock);

  // Signs a certificate for the request's key and adds it to the operator's, who gets `role` (also
  // when known before). INVALID_ARGUMENT for a bad request or no role; FAILED_PRECONDITION when it
  // would leave no admin; RESOURCE_EXHAUSTED for the 1001st operator; ABORTED when another change
  // came in between.
  absl::StatusOr<v1::AddOperatorResponse> Add(const OperatorName& name, v1::Role role,
                                              const std::string& csr_pem);
  // Signs another certificate for an operator who calls with the certificate `serial`, which stays
  // good. INVALID_ARGUMENT for a bad request; PERMISSION_DENIED when the operator, or that
  // certificate, is not known any more.
  absl::StatusOr<v1::RenewCertificateResponse> Renew(const std::string& name,
                                                     const std::string& serial,
                                                     const std::string& csr_pem);
  // NOT_FOUND; FAILED_PRECONDITION for the last admin.
  absl::Status Remove(const OperatorName& name);
  absl::StatusOr<std::vector<v1::Operator>> List() const;

 private:
  absl::StatusOr<v1::RenewCertificateResponse> TryRenew(const std::string& name,
                                                        const std::string& serial,
                                                        const std::string& csr_pem);
  absl::Status KeepAnAdmin(const std::string& changed) const;

  kv::Store* const store_;
  const Authority* const authority_;
  const Clock* const clock_;
};

}  // namespace mtp
