// What the actions on tenants work with. Everything outlives every action.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/backup/databases.h"
#include "agent/compose/compose.h"
#include "agent/compose/project_folder.h"
#include "agent/docker/engine.h"
#include "agent/memory/cgroup.h"
#include "agent/openclaw/openclaw.h"
#include "agent/tenants/data_folders.h"
#include "agent/tenants/drill_sandboxes.h"
#include "agent/tenants/journal.h"
#include "agent/tenants/project_writer.h"
#include "agent/tenants/ready_wait.h"
#include "agent/tenants/restore_folders.h"
#include "agent/tenants/slots.h"
#include "common/base/clock.h"
#include "common/base/disk_floor.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/restic/repository.h"

namespace mtp {

class Lease;

struct TenantTools {
  Journal* journal = nullptr;
  const ProjectFolder* folder = nullptr;
  const DataFolders* data = nullptr;
  ProjectWriter* writer = nullptr;
  Compose* compose = nullptr;
  Engine* engine = nullptr;
  OpenClaw* openclaw = nullptr;
  const RestoreFolders* restores = nullptr;
  // Of the file system that has the tenants' data: copies end before it is used up.
  const DiskFloor* floor = nullptr;
  DrillSandboxes* drills = nullptr;
  Slots* starts = nullptr;
  // Snapshots, verifications and restores at the same time; each reads and writes all of a tenant.
  Slots* backups = nullptr;
  // This host's lease; null where there is none, and then no tenant that may fail over is started.
  Lease* lease = nullptr;
  const Clock* clock = nullptr;
  Random* random = nullptr;
  ReadyLimits ready_limits;
  const CgroupReader* cgroups = nullptr;
  // This host's short name.
  std::string host;
  std::function<absl::StatusOr<std::unique_ptr<Repository>>(RepositoryAccess access)>
      open_repository;
  std::function<absl::StatusOr<DatabaseReport>(const std::string& folder,
                                               const CancelToken* cancel)>
      check_databases;
  Log log = NullLog();
  // Look at the tenant again soon; it is no longer on this host; kept data changed. May be null.
  std::function<void(const std::string& tenant)> refresh;
  std::function<void(const std::string& tenant)> forget;
  std::function<void()> kept_data_changed;
};

}  // namespace mtp
