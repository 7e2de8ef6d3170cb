// The sandboxes of this host's drills: a container `mtp-drill_<name>` each, and its data in
// `data/.drills/<name>`. The folder is there before the container and goes after it, so a folder
// tells of every container.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <string>

#include "agent/compose/compose.h"
#include "agent/compose/sandbox.h"
#include "agent/docker/engine.h"
#include "common/base/log.h"
#include "common/base/names.h"

namespace mtp {

// Thread-safe. Engine and Compose outlive it.
class DrillSandboxes {
 public:
  // `data_path`: `<project>/data`.
  DrillSandboxes(std::string data_path, Engine* engine, Compose* compose);

  // Sandbox::folder of the tenant's sandbox, and the same as an absolute path.
  static std::string Folder(const TenantName& name);
  std::string Path(const TenantName& name) const;

  // Moves the folder `unpacked`, which is on the same file system, to the sandbox. ALREADY_EXISTS
  // unless Remove was called before.
  absl::Status Fill(const TenantName& name, const std::string& unpacked) const;
  // Container and data, whatever state they are in; the container is not given any time. Absent is
  // OK. UNAVAILABLE without the engine: then nothing is removed. When it returns, no earlier
  // RemoveLeftovers is at work on that name.
  absl::Status Remove(const TenantName& name);
  // Removes every sandbox whose tenant is not `in_use`. Failures are logged, and left for the next
  // call.
  void RemoveLeftovers(const std::function<bool(const std::string& tenant)>& in_use,
                       const Log& log);

 private:
  absl::Status RemoveLocked(const TenantName& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string data_path_;
  Engine* const engine_;
  Compose* const compose_;
  absl::Mutex mutex_;
};

}  // namespace mtp
