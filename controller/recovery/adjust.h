// What is changed of a copied state before a controller goes on from it: the world has gone on
// since the copy was made.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <vector>

#include "common/base/secret_box.h"
#include "mtp/state/v1/state_copy.pb.h"

namespace mtp {

// What was under way when the copy was made, and what it was about.
struct Interrupted {
  std::string id;      // of the operation
  std::string kind;    // `provision`
  std::string target;  // `tenants/acme`
};

// * Operations that had not ended are ended as failed. They may have ended since, and others after
//   them: neither going on nor undoing them is safe, and nobody is there to ask. Rollouts likewise.
// * What is reserved on hosts for no tenant is released: it was an operation's.
// * Epochs, of tenants and of all names, are raised to the seconds of `now`, which is above all
// that
//   was given since, also by controllers that were recovered earlier: agents take the new
//   controller's commands, and no more those of the old one once the new one has acted.
// * Backups' secrets are sealed under `box` again.
// A record that cannot be read stays as it is. Returns what was interrupted.
std::vector<Interrupted> AdjustState(state::v1::StateCopy* copy, const SecretBox& box,
                                     absl::Time now);

}  // namespace mtp
