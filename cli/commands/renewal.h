// The caller's own identity, renewed by the way.
#pragma once

#include "cli/commands/invocation.h"

namespace mtp::cli {

// Renews the identity in the folder over the invocation's channel when two thirds of its
// certificate's life are over: a new key, made here; the files replaced so that there is a whole
// identity at each moment. Of several runs at once, one does it. Never fails: what goes wrong is a
// warning, and the present identity stays in use, as it does for this run in any case. A folder
// without a certificate is left alone.
void RenewIdentity(Invocation& invocation, const std::string& folder);

}  // namespace mtp::cli
