// AgentService.StoreState.
#pragma once

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/restic/repository.h"
#include "mtp/v1/agent.pb.h"

namespace mtp {

// Thread-safe; one copy at a time.
class StateStore {
 public:
  using OpenRepository =
      std::function<absl::StatusOr<std::unique_ptr<Repository>>(RepositoryAccess)>;

  // `folder` is its own, made and removed with each copy. The clock must outlive it.
  StateStore(std::string host, std::string folder, OpenRepository open, const Clock* clock, Log log)
      : host_(std::move(host)),
        folder_(std::move(folder)),
        open_(std::move(open)),
        clock_(clock),
        log_(std::move(log)) {}

  // INVALID_ARGUMENT for a request that agent.proto does not allow, ABORTED while another copy is
  // stored, else as Repository. Blocks; ends CANCELLED soon after `stop`.
  absl::StatusOr<v1::StoreStateResponse> Store(const v1::StoreStateRequest& request,
                                               std::stop_token stop);

 private:
  const std::string host_;
  const std::string folder_;
  const OpenRepository open_;
  const Clock* const clock_;
  const Log log_;
  absl::Mutex storing_;
};

}  // namespace mtp
