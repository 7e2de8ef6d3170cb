// Ends a stop that has nothing left to wait for. OpenClaw drains running turns for up to 315 s
// after SIGTERM, and that time is granted. But when a channel's API cannot be reached, it sits out
// its whole shutdown budget (325 s) although its log says that no work is left: measured with
// 2026.9.6. Its databases are in WAL mode and bear SIGKILL.
#pragma once

#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <string>
#include <thread>

#include "agent/docker/engine.h"
#include "common/base/clock.h"

namespace mtp {

// Watches one container for as long as it lives, on a thread of its own between Start and the
// destructor. Engine and clock outlive it.
class DrainWatch {
 public:
  // Kills the container when its log has said, since Start, that the drain is settled, and it still
  // runs `patience` later.
  DrainWatch(std::string container, absl::Duration patience, Engine* engine, const Clock* clock);
  // Ends the watch.
  ~DrainWatch() = default;

  void Start();

 private:
  void Run(std::stop_token stop);

  const std::string container_;
  const absl::Duration patience_;
  Engine* const engine_;
  const Clock* const clock_;
  std::jthread thread_;
};

// Whether a piece of OpenClaw's log says that no work is left to wait for. Pure.
bool SaysDrainIsSettled(absl::string_view log);

}  // namespace mtp
