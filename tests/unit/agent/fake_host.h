// A host without Docker: the fakes of fake_engine.h around the agent's real journal, files and
// actions.
#pragma once

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/tenants/actions.h"
#include "agent/tenants/board.h"
#include "agent/tenants/reconcile.h"
#include "agent/tenants/scripts.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "common/kv/sqlite_store.h"
#include "tests/support/faulty_store.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/agent/fake_engine.h"
#include "tests/unit/agent/fake_repository.h"

namespace mtp {

// What outlives the agent: disk, engine, time.
struct FakeMachine {
  FakeMachine() : engine(&clock), compose(&engine), executor(&clock, nullptr) {
    repositories.folder = repository_folder.path();
  }

  absl::StatusOr<std::unique_ptr<Repository>> OpenRepository(RepositoryAccess access) {
    repositories.passwords.emplace_back(access.password.Reveal());
    MTP_RETURN_IF_ERROR(repositories.open_error);
    return std::unique_ptr<Repository>(std::make_unique<FakeRepository>(&repositories, access.url));
  }
  absl::StatusOr<DatabaseReport> CheckDatabases(const std::string& folder) {
    checked_folders.push_back(folder);
    return databases;
  }

  // What the kernel says of every container's process: MiB in use, and of page cache besides.
  void SetMemory(int64_t used_mib, int64_t cache_mib) {
    const std::string group = "/sys/fs/cgroup/memory/docker/1/";
    WriteHostFile("/proc/1000/cgroup", "4:memory:/docker/1\n");
    WriteHostFile(group + "memory.usage_in_bytes", absl::StrCat((used_mib + cache_mib) << 20));
    WriteHostFile(group + "memory.stat",
                  absl::StrCat("total_inactive_file ", cache_mib << 20, "\n"));
  }
  void WriteHostFile(const std::string& path, const std::string& text) {
    const std::filesystem::path file = host_root.path() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  testing::TempFolder folder;
  testing::TempFolder host_root;
  CgroupReader cgroups{host_root.path()};
  testing::TempFolder repository_folder;
  FakeRepositories repositories;
  absl::StatusOr<DatabaseReport> databases = DatabaseReport();
  std::vector<std::string> checked_folders;
  testing::SimClock clock;
  FakeEngine engine;
  FakeCompose compose;
  FakeOpenClaw openclaw;
  testing::SimExecutor executor;
  std::unique_ptr<kv::Store> disk = kv::NewMemoryStore();
  SecretBox box = SecretBox::ForTest();
  testing::SeededRandom random{7};
};

// One life of the agent.
class FakeAgent {
 public:
  explicit FakeAgent(FakeMachine* machine, int max_starts = 4)
      : machine_(machine),
        store(machine->disk.get()),
        journal(&store, &machine->box),
        project(machine->folder.path()),
        data(project.DataPath(), -1, -1),
        writer({"openclaw:1", *SubnetPool::Parse("10.214.0.0/16"), false}, &journal, &project,
               &machine->random),
        restores(project.DataPath(), -1, -1),
        drills(project.DataPath(), &machine->engine, &machine->compose),
        starts(max_starts),
        backups(1) {
    tools.journal = &journal;
    tools.folder = &project;
    tools.data = &data;
    tools.writer = &writer;
    tools.compose = &machine->compose;
    tools.engine = &machine->engine;
    tools.openclaw = &machine->openclaw;
    tools.restores = &restores;
    tools.drills = &drills;
    tools.starts = &starts;
    tools.backups = &backups;
    tools.cgroups = &machine->cgroups;
    tools.host = "h1";
    tools.open_repository = [machine](RepositoryAccess access) {
      return machine->OpenRepository(std::move(access));
    };
    tools.check_databases = [machine](const std::string& folder, const CancelToken*) {
      return machine->CheckDatabases(folder);
    };
    tools.clock = &machine->clock;
    tools.random = &machine->random;
    ActionsDeps deps;
    deps.journal = &journal;
    deps.executor = &machine->executor;
    deps.clock = &machine->clock;
    deps.new_script = [this](const v1::EnsureActionRequest& request) {
      return NewScript(&tools, request);
    };
    deps.check_request = CheckActionRequest;
    deps.on_change = [this](const v1::Action& action) {
      messages.push_back(action.message());
      if (absl::StartsWith(action.key(), kRecoveryKeyPrefix)) reconciler->OnRecovery(action);
    };
    actions.emplace(deps);
    reconciler.emplace(&tools, &*actions, &board, &machine->executor, &machine->random);
  }
  // The process is gone: nothing of it runs any more.
  ~FakeAgent() { machine_->executor.DropAll(); }

  // Lets virtual time pass until the action has ended.
  v1::Action Finish(const v1::EnsureActionRequest& request, absl::Duration limit = absl::Hours(1)) {
    auto action = actions->Ensure(request);
    const absl::Duration end = machine_->clock.Monotonic() + limit;
    while (action.ok() && action->state() == v1::ACTION_STATE_RUNNING && !store.crashed() &&
           machine_->executor.RunNext(end)) {
      action = actions->Ensure(request);
    }
    if (action.ok()) return *action;
    v1::Action failed;
    *failed.mutable_error() = ToError(action.status());
    return failed;
  }

  std::string ReadProjectFile(const std::string& name) {
    auto text = ReadFile(project.path() + "/" + name, 1 << 20);
    return text.ok() ? *text : std::string(text.status().message());
  }

  FakeMachine* const machine_;
  testing::FaultyStore store;
  Journal journal;
  ProjectFolder project;
  DataFolders data;
  ProjectWriter writer;
  RestoreFolders restores;
  DrillSandboxes drills;
  StartSlots starts;
  StartSlots backups;
  TenantTools tools;
  Board board;
  std::optional<Actions> actions;
  std::optional<Reconciler> reconciler;
  std::vector<std::string> messages;
};

inline v1::EnsureActionRequest ActionRequest(const std::string& key, const std::string& tenant,
                                             int64_t epoch) {
  v1::EnsureActionRequest request;
  request.set_key(key);
  request.set_tenant(tenant);
  request.set_epoch(epoch);
  return request;
}

inline v1::EnsureActionRequest ApplyRequest(const std::string& key, const std::string& tenant,
                                            int64_t epoch, int port = 18801) {
  v1::EnsureActionRequest request = ActionRequest(key, tenant, epoch);
  v1::ApplyTenant& apply = *request.mutable_apply();
  apply.mutable_spec()->set_image("openclaw:1");
  apply.mutable_spec()->set_memory_limit_mib(2048);
  apply.mutable_spec()->set_memory_reservation_mib(1024);
  apply.mutable_secrets()->set_gateway_token(std::string(64, 'a'));
  apply.mutable_secrets()->set_telegram_token("123:planted-secret");
  apply.set_port(port);
  return request;
}

}  // namespace mtp
