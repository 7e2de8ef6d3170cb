#include "tests/unit/agent/fake_host.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <filesystem>
#include <fstream>

#include "agent/tenants/scripts.h"
#include "common/base/atomic_file.h"
#include "common/base/durations.h"
#include "common/base/status.h"
#include "common/kv/sqlite_store.h"

namespace mtp {

FakeMachine::FakeMachine()
    : engine(&clock), compose(&engine), executor(&clock, nullptr), disk(kv::NewMemoryStore()) {
  repositories.folder = repository_folder.path();
  compose.env_path = folder.path() + "/.env";
}

FakeMachine::~FakeMachine() = default;

absl::StatusOr<std::unique_ptr<Repository>> FakeMachine::OpenRepository(RepositoryAccess access) {
  repositories.passwords.emplace_back(access.password.Reveal());
  MTP_RETURN_IF_ERROR(repositories.open_error);
  return std::unique_ptr<Repository>(std::make_unique<FakeRepository>(&repositories, access.url));
}

absl::StatusOr<DatabaseReport> FakeMachine::CheckDatabases(const std::string& folder) {
  checked_folders.push_back(folder);
  if (on_check_databases) on_check_databases();
  return databases;
}

void FakeMachine::SetMemory(int64_t used_mib, int64_t cache_mib) {
  const std::string group = "/sys/fs/cgroup/memory/docker/1/";
  WriteHostFile("/proc/1000/cgroup", "4:memory:/docker/1\n");
  WriteHostFile(group + "memory.usage_in_bytes", absl::StrCat((used_mib + cache_mib) << 20));
  WriteHostFile(group + "memory.stat", absl::StrCat("total_inactive_file ", cache_mib << 20, "\n"));
}

void FakeMachine::WriteHostFile(const std::string& path, const std::string& text) {
  const std::filesystem::path file = host_root.path() + path;
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

FakeAgent::FakeAgent(FakeMachine* machine, int max_starts)
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
      backups(1),
      lease({.folder = machine->guard_folder.path(),
             .boot_id = machine->boot_id,
             .guard_lives = [machine] { return machine->guard_lives; }},
            &machine->clock, &machine->lease_random) {
  lease.Open().IgnoreError();
  tools.lease = &lease;
  tools.journal = &journal;
  tools.folder = &project;
  tools.data = &data;
  tools.writer = &writer;
  tools.compose = &machine->compose;
  tools.engine = &machine->engine;
  tools.openclaw = &machine->openclaw;
  tools.restores = &restores;
  tools.floor = &machine->floor;
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
  deps.failpoint = [this](const std::string& point, const std::string& key) {
    points.push_back(absl::StrCat(point, " ", key));
  };
  actions.emplace(deps);
  reconciler.emplace(&tools, &*actions, &board, &machine->executor, &machine->random);
  lease_watch.emplace(&tools, &lease, &machine->executor, [this] { reconciler->OnLeaseBack(); });
}

FakeAgent::~FakeAgent() { machine_->executor.DropAll(); }

void FakeAgent::Grant(const std::map<std::string, int64_t>& tenants, absl::Duration duration) {
  v1::GrantLeaseRequest request;
  *request.mutable_stamp() = lease.Stamp();
  *request.mutable_duration() = ToDuration(duration);
  for (const auto& [tenant, epoch] : tenants) {
    v1::LeasedTenant& leased = *request.add_tenants();
    leased.set_tenant(tenant);
    leased.set_epoch(epoch);
  }
  lease.Grant(request).IgnoreError();
}

v1::Action FakeAgent::Finish(const v1::EnsureActionRequest& request, absl::Duration limit) {
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

std::string FakeAgent::ReadProjectFile(const std::string& name) {
  auto text = ReadFile(project.path() + "/" + name, 1 << 20);
  return text.ok() ? *text : std::string(text.status().message());
}

v1::EnsureActionRequest ActionRequest(const std::string& key, const std::string& tenant,
                                      int64_t epoch) {
  v1::EnsureActionRequest request;
  request.set_key(key);
  request.set_tenant(tenant);
  request.set_epoch(epoch);
  return request;
}

v1::EnsureActionRequest ApplyRequest(const std::string& key, const std::string& tenant,
                                     int64_t epoch, int port) {
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
