// What can be asked of rollouts: checks, decides, and creates the operation. Handlers call nothing
// else.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "controller/backups/repositories.h"
#include "controller/operations/engine.h"
#include "controller/state/tables.h"
#include "mtp/v1/rollout.pb.h"

namespace mtp {

// Thread-safe. Errors are those that rollout.proto names. The arguments must outlive it.
class Rollouts {
 public:
  Rollouts(kv::Store* store, operations::Engine* engine, const Repositories* repositories,
           const Clock* clock, Random* random)
      : store_(store),
        tables_(store),
        engine_(engine),
        repositories_(repositories),
        clock_(clock),
        random_(random) {}

  // `caller` is the identity's name, `operator/alice`; request ids are the caller's own.
  absl::StatusOr<v1::Rollout> Create(const std::string& caller,
                                     const v1::CreateRolloutRequest& request);
  absl::StatusOr<v1::Rollout> Get(const std::string& name) const;
  // Newest first.
  absl::StatusOr<std::vector<v1::Rollout>> List() const;
  absl::StatusOr<v1::Rollout> Pause(const std::string& name);
  absl::StatusOr<v1::Rollout> Resume(const std::string& name);
  absl::StatusOr<v1::Rollout> Abort(const std::string& name);

  // Calls `show` with each later state of the rollout, on a thread of the store; it must be short
  // and must not change anything. INVALID_ARGUMENT for a bad name; OUT_OF_RANGE as
  // kv::Store::WatchPrefix.
  absl::StatusOr<std::unique_ptr<kv::Watch>> Watch(const std::string& name, int64_t after_revision,
                                                   std::function<void(v1::Rollout)> show) const;

 private:
  using Row = kv::Row<state::v1::RolloutRecord>;

  absl::StatusOr<v1::Rollout> TryCreate(const std::string& caller,
                                        const v1::CreateRolloutRequest& request,
                                        const std::string& request_hash);
  // The rollout that goes on, if one does.
  absl::StatusOr<std::optional<Row>> Running() const;
  // The same rollout, which goes on already, as the answer to another caller's request too.
  absl::StatusOr<v1::Rollout> Join(const std::string& caller, const std::string& request_id,
                                   const std::string& request_hash, const Row& running);
  absl::Status ForgetOldJoins();
  absl::StatusOr<v1::Rollout> Plan(const std::vector<std::string>& tenants,
                                   const v1::RolloutSettings& settings) const;
  absl::Status DropOldest(kv::Txn& txn) const;
  absl::StatusOr<Row> Find(const std::string& name) const;
  // Sets the state that `next` answers for the present one, as long as that is another one.
  absl::StatusOr<v1::Rollout> SetState(
      const std::string& name,
      const std::function<absl::StatusOr<v1::RolloutState>(const v1::Rollout&)>& next);

  kv::Store* const store_;
  const Tables tables_;
  operations::Engine* const engine_;
  const Repositories* const repositories_;
  const Clock* const clock_;
  Random* const random_;
};

}  // namespace mtp
