// Keeps the board true: engine events say which container changed, and only that one is inspected;
// each running instance is probed and its memory read every 15 s (every 2 s while it starts).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "agent/docker/engine.h"
#include "agent/memory/cgroup.h"
#include "agent/openclaw/openclaw.h"
#include "agent/tenants/board.h"
#include "agent/tenants/crash_history.h"
#include "agent/tenants/health.h"
#include "agent/tenants/journal.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/log.h"
#include "common/base/random.h"

namespace mtp {

struct ObserverDeps {
  Engine* engine = nullptr;
  OpenClaw* openclaw = nullptr;
  const CgroupReader* cgroups = nullptr;
  Journal* journal = nullptr;
  Board* board = nullptr;
  Executor* executor = nullptr;
  const Clock* clock = nullptr;
  Random* random = nullptr;
  Log log = NullLog();
  // How often the engine is asked whether it still answers; it is down when it twice did not.
  absl::Duration ping_interval = absl::Seconds(15);
  // Whether an action is starting the tenant right now. Thread-safe.
  std::function<bool(const std::string& tenant)> is_being_started;
  // Called when the engine answers (again) and when it no longer does. Short.
  std::function<void(bool up)> on_engine;
  // Called with a tenant whose container keeps ending (CrashHistory), again at each look while it
  // does. Short. May be null.
  std::function<void(const std::string& tenant)> on_crash_loop;
  // Called with the admin instance as observed. Short.
  std::function<void(const v1::TenantStatus& admin)> on_admin;
};

// Thread-safe. All deps outlive it, and the executor is stopped before it is destroyed.
class Observer {
 public:
  explicit Observer(ObserverDeps deps);
  // Stops.
  ~Observer();

  // Begins to follow the engine's events on a thread of its own.
  void Start();
  void Stop();

  // Begins to watch a tenant, or `admin`, or looks at it again soon.
  void Refresh(const std::string& name);
  // The same at once, on this thread, so that the board is true when it returns (at the latest
  // after a probe's five seconds, and the same for each call about held back channels); when a look
  // is going on already, as Refresh.
  void RefreshNow(const std::string& name);
  // Looks at everything that the journal has, and at `admin` when it is watched.
  void RefreshAll();
  // The tenant is no longer on this host.
  void Forget(const std::string& name);

 private:
  struct Entry {
    // What is known since the last inspection; `facts.record` is read anew each time.
    TenantFacts facts;
    // The container changed, or may have: inspect before the next judgement.
    bool touched = true;
    bool looking = false;
    bool look_again = false;
    // How its container ended; unset until read from the journal. `oom` events since the last look.
    std::optional<CrashHistory> crashes;
    std::vector<absl::Time> oom_events;
    // Only the newest timer counts.
    uint64_t timer = 0;
    v1::TenantStatus published;
  };

  void FollowEvents(std::stop_token stop);
  // An engine that stands still keeps the stream of its events open.
  void PingLater(int unanswered);
  void OnEvent(const EngineEvent& event);
  void SetEngineUp(bool up);
  // Marks the instance as being looked at; false when it is already, or there is nothing to do.
  bool BeginLook(const std::string& name) ABSL_LOCKS_EXCLUDED(mutex_);
  // One look at one instance; runs on the executor.
  void Look(const std::string& name);
  TenantFacts Gather(const std::string& name, TenantFacts facts, bool touched);
  // Has a tenant that has become ready start what it has held back.
  void SeeChannels(const TenantName& name, TenantFacts& facts);
  // What the facts say of the container's ends goes into `crashes`, the journal and the facts.
  void SeeCrashes(const TenantName& name, const std::vector<absl::Time>& oom_events,
                  std::optional<CrashHistory>& crashes, TenantFacts& facts);
  void Publish(const std::string& name, Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ScheduleNext(const std::string& name, Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ObserverDeps deps_;
  absl::Mutex mutex_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  bool engine_up_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t timers_ ABSL_GUARDED_BY(mutex_) = 0;
  // Ends the present stream of events.
  std::stop_source stream_ ABSL_GUARDED_BY(mutex_);
  std::jthread events_;
};

}  // namespace mtp
