// The host's admin instance: kept running beside the tenants, with its own data, credentials and a
// Docker socket that only reads. It is no tenant: no action, no backup, no epoch.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <memory>

#include "agent/docker/filtered_socket.h"
#include "agent/tenants/action_script.h"
#include "agent/tenants/tenant_tools.h"
#include "common/base/executor.h"

namespace mtp {

// Thread-safe. Tools and executor outlive it, and the executor is stopped before it is destroyed.
class AdminKeeper {
 public:
  // `engine_socket`: path of the engine's own socket.
  AdminKeeper(TenantTools* tools, Executor* executor, std::string engine_socket);
  ~AdminKeeper();

  // Serves the filtered socket. The instance can run without: its error is for the log.
  absl::Status StartSocket();
  // Makes folder, configuration and container as they should be, as soon as the image is on the
  // host, and again whenever it does not run; looks every minute. Returns at once; while it goes
  // on, more calls change nothing.
  void Ensure();
  void Stop();

 private:
  void Advance();
  // In a minute: brings it up when it does not run then.
  void LookAgain();

  TenantTools* const tools_;
  Executor* const executor_;
  FilteredSocket socket_;
  CancelToken cancel_;
  absl::Mutex stepping_;
  absl::Mutex mutex_ ABSL_ACQUIRED_AFTER(stepping_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  // Only the newest timer counts.
  uint64_t timer_ ABSL_GUARDED_BY(mutex_) = 0;
  // The current attempt; null when there is none.
  std::shared_ptr<ActionScript> script_ ABSL_GUARDED_BY(mutex_);
};

// Removes the container of an admin instance that this host is no longer meant to have; its data
// stays. Absent is OK.
absl::Status TakeAdminDown(TenantTools& tools);

}  // namespace mtp
