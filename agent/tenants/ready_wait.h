// Waiting until a started container is ready: as long as there is progress (CPU, or a log line that
// it has not said before), not for a fixed time. A release that migrates its database takes minutes
// and is not ill; one that sits still, tries the same in vain or ends again and again, is.
#pragma once

#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>
#include <absl/time/time.h>

#include <optional>
#include <string>

#include "agent/docker/engine.h"
#include "agent/openclaw/openclaw.h"
#include "common/base/clock.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

struct ReadyLimits {
  absl::Duration no_progress = absl::Seconds(120);
  absl::Duration total = absl::Minutes(15);
  // Restarts by the engine that are taken for a crash loop.
  int restarts = 3;
  // Nobody starts it again: one that has ended has failed.
  bool once = false;
};

// One wait, for one thread. Engine, OpenClaw and clock outlive it.
class ReadyWait {
 public:
  ReadyWait(std::string container, v1::TenantSecrets secrets, ReadyLimits limits, Engine* engine,
            OpenClaw* openclaw, const Clock* clock);

  struct Look {
    // OK and `ready`: it is. OK and not: look again after `delay`. Else it failed for good;
    // the message ends with the container's last log lines, without secrets.
    absl::Status status;
    bool ready = false;
    absl::Duration delay;
    std::string message;
  };
  // One look; blocks for a probe at most.
  Look LookOnce();

  // The container as last seen.
  const std::optional<ContainerDetails>& container() const { return details_; }

 private:
  // Failure with what the container said last.
  Look Failed(absl::StatusCode code, std::string why);
  void NoteProgress();
  bool SaysSomethingNew();
  std::optional<Look> CheckAlive();
  std::optional<Look> CheckTime();

  const std::string name_;
  const v1::TenantSecrets secrets_;
  const ReadyLimits limits_;
  Engine* const engine_;
  OpenClaw* const openclaw_;
  const Clock* const clock_;

  const absl::Duration begin_;
  absl::Duration last_progress_;
  absl::Duration last_sample_;
  std::optional<ContainerDetails> details_;
  std::optional<int> restarts_before_;
  std::optional<absl::Duration> ended_since_;
  int64_t cpu_ns_ = 0;
  absl::Time logs_seen_;
  // Of what it has said.
  absl::flat_hash_set<size_t> shapes_;
  std::string last_words_;
  int looks_ = 0;
};

}  // namespace mtp
