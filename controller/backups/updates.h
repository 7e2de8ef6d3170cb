// Updates of single tenants: decides, and creates the operation. Rollouts ask for one after
// another.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "controller/backups/repositories.h"
#include "controller/operations/engine.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"
#include "mtp/v1/rollout.pb.h"

namespace mtp {

// Whether the reference means one image for ever: `<repository>@sha256:…`, or an image id.
bool IsPinned(const std::string& image);

// Thread-safe. The arguments must outlive it.
class Updates {
 public:
  Updates(kv::Store* store, operations::Engine* engine, const Repositories* repositories,
          const Observations* observations, const Clock* clock, Random* random)
      : tables_(store),
        engine_(engine),
        repositories_(repositories),
        observations_(observations),
        clock_(clock),
        random_(random) {}

  // Begins the update of `tenant` (short name) to `pinned_image`: what PullImageAction calls
  // `pinned`, a reference that means one image for ever. Of the settings, image, soak, idle_wait,
  // no_rehearsal and repository count here; who is updated when, and who is left alone, is the
  // caller's. The same caller and request id again is the same operation.
  // NOT_FOUND without such a tenant or repository; FAILED_PRECONDITION while another operation
  // holds the tenant, when it is not meant to run or was never started, and without any repository;
  // INVALID_ARGUMENT for settings out of their bounds and an image that is not pinned;
  // ALREADY_EXISTS when the request id was used for another update.
  absl::StatusOr<v1::Operation> Begin(const std::string& caller, const std::string& request_id,
                                      const std::string& tenant,
                                      const v1::RolloutSettings& settings,
                                      const std::string& pinned_image);

 private:
  struct Decision {
    operations::NewOperation operation;
    kv::Txn txn;
  };
  absl::StatusOr<Decision> Decide(const std::string& tenant, const v1::RolloutSettings& settings,
                                  const std::string& pinned_image) const;

  const Tables tables_;
  operations::Engine* const engine_;
  const Repositories* const repositories_;
  const Observations* const observations_;
  const Clock* const clock_;
  Random* const random_;
};

}  // namespace mtp
