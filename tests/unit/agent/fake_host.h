// A host without Docker: the fakes of fake_engine.h around the agent's real journal, files and
// actions.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/lease/lease.h"
#include "agent/tenants/actions.h"
#include "agent/tenants/board.h"
#include "agent/tenants/lease_watch.h"
#include "agent/tenants/reconcile.h"
#include "tests/support/faulty_store.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/agent/fake_engine.h"
#include "tests/unit/agent/fake_repository.h"

namespace mtp {

// What outlives the agent: disk, engine, time.
struct FakeMachine {
  FakeMachine();
  ~FakeMachine();

  absl::StatusOr<std::unique_ptr<Repository>> OpenRepository(RepositoryAccess access);
  absl::StatusOr<DatabaseReport> CheckDatabases(const std::string& folder);

  // What the kernel says of every container's process: MiB in use, and of page cache besides.
  void SetMemory(int64_t used_mib, int64_t cache_mib);
  void WriteHostFile(const std::string& path, const std::string& text);

  testing::TempFolder folder;
  testing::TempFolder host_root;
  testing::TempFolder guard_folder;
  CgroupReader cgroups{host_root.path()};
  testing::TempFolder repository_folder;
  FakeRepositories repositories;
  absl::StatusOr<DatabaseReport> databases = DatabaseReport();
  std::vector<std::string> checked_folders;
  // Called by each check. Null for nothing.
  std::function<void()> on_check_databases;
  testing::SimClock clock;
  FakeEngine engine;
  FakeCompose compose;
  FakeOpenClaw openclaw;
  testing::SimExecutor executor;
  std::unique_ptr<kv::Store> disk;
  SecretBox box = SecretBox::ForTest();
  testing::SeededRandom random{7};
  // Of the leases, so that they do not change what else is drawn.
  testing::SeededRandom lease_random{11};
  // Of the disk that has the tenants' data.
  DiskSpace space{int64_t{100} << 30, int64_t{50} << 30};
  const DiskFloor floor{folder.path(), [this](const std::string&) { return space; }};
  bool guard_lives = true;
  std::string boot_id = "boot";
};

// One life of the agent.
class FakeAgent {
 public:
  explicit FakeAgent(FakeMachine* machine, int max_starts = 4);
  // The process is gone: nothing of it runs any more.
  ~FakeAgent();

  // The controller is heard, and says that these tenants are placed here.
  void Grant(const std::map<std::string, int64_t>& tenants,
             absl::Duration duration = absl::Seconds(60));

  // Lets virtual time pass until the action has ended.
  v1::Action Finish(const v1::EnsureActionRequest& request, absl::Duration limit = absl::Hours(1));

  std::string ReadProjectFile(const std::string& name);

  FakeMachine* const machine_;
  testing::FaultyStore store;
  Journal journal;
  ProjectFolder project;
  DataFolders data;
  ProjectWriter writer;
  RestoreFolders restores;
  DrillSandboxes drills;
  Slots starts;
  Slots backups;
  Lease lease;
  TenantTools tools;
  Board board;
  std::optional<Actions> actions;
  std::optional<Reconciler> reconciler;
  std::optional<LeaseWatch> lease_watch;
  std::vector<std::string> messages;
  // Failure points that were passed, `<point> <key>`.
  std::vector<std::string> points;
};

v1::EnsureActionRequest ActionRequest(const std::string& key, const std::string& tenant,
                                      int64_t epoch);

v1::EnsureActionRequest ApplyRequest(const std::string& key, const std::string& tenant,
                                     int64_t epoch, int port = 18801);

}  // namespace mtp
