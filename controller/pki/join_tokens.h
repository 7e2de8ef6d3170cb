// Join tokens: single-use, short-lived, bound to one host. Only a hash of the secret is kept.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "common/base/clock.h"
#include "common/base/names.h"
#include "common/base/random.h"
#include "common/kv/store.h"
#include "common/kv/table.h"
#include "common/tls/join_token.h"
#include "controller/pki/authority.h"
#include "mtp/state/v1/state.pb.h"
#include "mtp/v1/enrollment.pb.h"

namespace mtp {

// Thread-safe. The arguments must outlive it.
class JoinTokens {
 public:
  JoinTokens(kv::Store* store, const Authority* authority, const Clock* clock, Random* random,
             std::string enrollment_address);

  // ALREADY_EXISTS when the host has joined and `rejoin` is false. At most 1000 tokens are open at
  // a time.
  absl::StatusOr<tls::JoinToken> Create(const HostName& host, absl::Duration lifetime, bool rejoin);

  // Turns a token into a certificate and the host's record, in one transaction that also drops the
  // host's other tokens. A request repeated with the same key (its answer was lost) is answered
  // again, until a day after the token's end, unless the host was removed or joined anew since: a
  // machine that was replaced cannot come back. PERMISSION_DENIED with the true reason (for the
  // audit log only) for a token that is unknown, used, expired or another host's; INVALID_ARGUMENT
  // for a bad request.
  absl::StatusOr<v1::JoinResponse> Redeem(const v1::JoinRequest& request);

 private:
  absl::StatusOr<v1::JoinResponse> TryRedeem(const v1::JoinRequest& request, const HostName& host,
                                             const std::string& key_fingerprint);
  absl::Status DropExpired();
  absl::Status DropOthers(const kv::Row<state::v1::JoinTokenRecord>& token, const HostName& host,
                          kv::Txn& txn) const;

  kv::Store* const store_;
  const Authority* const authority_;
  const Clock* const clock_;
  Random* const random_;
  const std::string enrollment_address_;
};

}  // namespace mtp
