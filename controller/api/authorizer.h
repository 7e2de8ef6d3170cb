// Decides whether a caller may make a call.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

#include "common/kv/table.h"
#include "common/tls/peer.h"
#include "mtp/state/v1/state.pb.h"
#include "mtp/v1/fleet.pb.h"

namespace mtp {

struct Caller {
  tls::Peer peer;
  v1::Role role = v1::ROLE_UNSPECIFIED;

  // `operator/alice`.
  std::string Name() const { return peer.identity.ToString(); }
};

// Thread-safe. Reads only memory; the store must outlive it.
class Authorizer {
 public:
  Authorizer(const kv::Store* store, std::string fleet);

  // UNAUTHENTICATED without an identity of this fleet; PERMISSION_DENIED for an identity that is no
  // operator, an operator or certificate that is not (or no longer) known, a role below the
  // method's, or a method without a rule.
  absl::StatusOr<Caller> Authorize(const tls::Peer& peer, absl::string_view method) const;

 private:
  kv::Table<state::v1::OperatorRecord> operators_;
  std::string fleet_;
};

}  // namespace mtp
