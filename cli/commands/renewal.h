// The caller's own identity, renewed by the way.
#pragma once

#include <grpcpp/security/auth_context.h>

#include <string>

#include "cli/commands/invocation.h"

namespace mtp::cli {

// Renews the identity in the folder over the invocation's channel when two thirds of its
// certificate's life are over: a new key, made here; the files replaced so that there is a whole
// identity at each moment. Of several runs at once, one does it. Never fails: what goes wrong is a
// warning, and the present identity stays in use, as it does for this run in any case. A folder
// without a certificate is left alone.
void RenewIdentity(Invocation& invocation, const std::string& folder);

// The same when the controller, as the connection of a call shows it, has another authority that
// issues: one that this identity does not trust yet, or is not of. Not within an hour of the last
// renewal, since the controller itself changes a little later than what it issues.
void FollowAuthority(Invocation& invocation, const grpc::AuthContext& connection);

}  // namespace mtp::cli
