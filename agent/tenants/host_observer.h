// The host's own line on the board: memory, disk, engine, admin instance.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <optional>
#include <string>

#include "agent/docker/engine.h"
#include "agent/memory/host.h"
#include "agent/tenants/board.h"
#include "agent/tenants/journal.h"
#include "common/base/clock.h"
#include "common/base/executor.h"

namespace mtp {

struct HostObserverOptions {
  // Its file system's free space is what is reported, or the engine's where that has less.
  std::string data_path;
  // Memory of the machine, MiB; 0 means as the kernel says. Set where several hosts share one
  // machine.
  int64_t memory_total_mib = 0;
  // Kept from tenants, MiB; -1 means DefaultReserveMib.
  int64_t memory_reserve_mib = -1;
  bool admin_enabled = false;
  std::string admin_image;
  // Whether the guard lives; null means that there is none.
  std::function<bool()> is_guarded;
};

// What the host keeps for itself, MiB: 512 for system, engine and agent, 1024 for an admin instance
// (what an idle OpenClaw needs, rounded up), and 5 % of the total for page cache and peaks.
int64_t DefaultReserveMib(int64_t total_mib, bool admin_enabled);

// Thread-safe. All that is given outlives it, and the executor is stopped before it is destroyed.
class HostObserver {
 public:
  HostObserver(HostObserverOptions options, Engine* engine, const HostReader* reader,
               const Journal* journal, Board* board, Executor* executor, const Clock* clock);

  // Looks now, on this thread, and from then on every 15 s.
  void Start();
  void Stop();

  void SetEngineUp(bool up);
  void SetAdmin(const v1::TenantStatus& admin);

 private:
  void ScheduleLook();
  void Look();
  void ReadEngine();
  // Of the fullest file system that tenants need; none when nobody can say.
  std::optional<int64_t> DiskFreeBytes();

  const HostObserverOptions options_;
  Engine* const engine_;
  const HostReader* const reader_;
  const Journal* const journal_;
  Board* const board_;
  Executor* const executor_;
  const Clock* const clock_;

  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool engine_up_ ABSL_GUARDED_BY(mutex_) = false;
  std::string engine_version_ ABSL_GUARDED_BY(mutex_);
  std::string engine_data_root_ ABSL_GUARDED_BY(mutex_);
  std::string engine_advice_ ABSL_GUARDED_BY(mutex_);
  v1::AdminStatus admin_ ABSL_GUARDED_BY(mutex_);
  v1::HostStatus published_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp
