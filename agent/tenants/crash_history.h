// How often a tenant's container ended by itself, and how often the kernel killed a process in it
// for lack of memory. What the engine counts is the source: its restarts (a stop, start or restart
// by anybody, an engine that restarts and a reboot begin that count anew, so they are never taken
// for a crash) and its `oom` events; and the kernel's own counter while the container lives.
#pragma once

#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "agent/docker/engine.h"

namespace mtp {

// So many ends within so long are a crash loop.
inline constexpr int kCrashLoopEnds = 5;
inline constexpr absl::Duration kCrashLoopWindow = absl::Minutes(10);
// A tenant that was ready for so long without a break has left its crash loop.
inline constexpr absl::Duration kReadyForAWhile = absl::Minutes(2);

// A value; not thread-safe.
class CrashHistory {
 public:
  // Takes in an inspection, the kernel's counter of kills in the container's present life (0 when
  // not known), and the times of the engine's `oom` events since the last call.
  void See(const ContainerDetails& container, int64_t kills_of_this_life,
           const std::vector<absl::Time>& oom_events, absl::Time now);
  // Takes in a probe of the running container.
  void SeeReadiness(bool ready, absl::Time now);

  // Whether it ended kCrashLoopEnds times within the window, and was not well in between.
  bool IsCrashLoop(absl::Time now) const;
  // True while it has been ready for a while.
  bool IsWell(absl::Time now) const { return now - ready_since_ >= kReadyForAWhile; }
  // Processes that the kernel killed since the container was created.
  int64_t oom_kills() const { return kills_before_ + kills_; }
  // InfinitePast when there was none.
  absl::Time last_oom_kill() const { return last_kill_; }
  // Limit of the container at the last kill, bytes.
  int64_t limit_at_last_kill() const { return limit_at_last_kill_; }

  // For the journal: one line of words. What cannot be read is an empty history.
  std::string ToText() const;
  static CrashHistory FromText(absl::string_view text);

 private:
  void SeeEnds(const ContainerDetails& container, bool is_new, absl::Time now);
  void SeeKills(const ContainerDetails& container, int64_t kills_of_this_life,
                const std::vector<absl::Time>& oom_events, absl::Time now);

  std::string container_;
  int64_t restart_count_ = 0;
  // The newest kCrashLoopEnds.
  std::vector<absl::Time> ends_;
  // Start of the present life.
  absl::Time life_ = absl::InfinitePast();
  // Kills in earlier lives, in this one, and `oom` events of this one.
  int64_t kills_before_ = 0;
  int64_t kills_ = 0;
  int64_t events_ = 0;
  absl::Time last_kill_ = absl::InfinitePast();
  int64_t limit_at_last_kill_ = 0;
  // Not journaled: readiness is seen anew.
  absl::Time ready_since_ = absl::InfiniteFuture();
};

}  // namespace mtp
