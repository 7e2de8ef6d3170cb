// Replaces the fleet's authority by a new one while everything goes on: the operation kind
// `rotate-authority` (docs/decisions/0014-renewal.md).
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/secret_box.h"
#include "common/kv/store.h"
#include "controller/operations/engine.h"
#include "controller/pki/authority.h"
#include "controller/state/tables.h"
#include "mtp/v1/fleet.pb.h"

namespace mtp {

inline constexpr char kAuthorityLock[] = "/locks/authority";

// Thread-safe; what it points to must outlive it and the engine.
struct RotationClients {
  kv::Store* store = nullptr;
  const Authority* authority = nullptr;
  const SecretBox* box = nullptr;
  const Clock* clock = nullptr;
  // As TrustKeeper::Edges::renew_own.
  std::function<absl::Status()> renew_own;
};

// make-authority → trust-both → issue-from-new → renew-hosts → renew-operators → serve-from-new →
// stop-trusting-old → tell-hosts. What hosts are to have is only decided here; TrustKeeper brings
// it to them. Until issue-from-new it can be cancelled.
operations::Kind RotateAuthorityKind(const RotationClients& clients);

// What can be asked of the authority. Thread-safe; the arguments must outlive it.
class Rotations {
 public:
  Rotations(const RotationClients& clients, operations::Engine* engine)
      : clients_(clients), tables_(clients.store), engine_(engine) {}

  absl::StatusOr<v1::Authority> Get() const;
  // INVALID_ARGUMENT for a bad request id or duration; FAILED_PRECONDITION while another one goes
  // on.
  absl::StatusOr<v1::Operation> Begin(const std::string& caller,
                                      const v1::RotateAuthorityRequest& request);

 private:
  const RotationClients clients_;
  const Tables tables_;
  operations::Engine* const engine_;
};

// Those that do not have a certificate of the issuing authority, or have one under way, by name.
absl::StatusOr<std::vector<std::string>> HostsToRenew(const kv::Store* store,
                                                      const TrustedAuthorities& authorities);
absl::StatusOr<std::vector<std::string>> OperatorsToRenew(const kv::Store* store,
                                                          const TrustedAuthorities& authorities);

}  // namespace mtp
