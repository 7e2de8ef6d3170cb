// A host without Docker: an engine, Compose and OpenClaw of memory, on virtual time, around the
// agent's real journal, files and actions.
#pragma once

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/compose/compose.h"
#include "agent/docker/engine.h"
#include "agent/openclaw/openclaw.h"
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
#include "tests/unit/agent/fake_repository.h"

namespace mtp {

struct FakeContainer {
  std::string file;  // Compose file that it was made from.
  int generation = 1;
  bool running = false;
  int starts = 0;
  int restarts_by_engine = 0;
  bool paused = false;
  int pauses = 0;
  int exit_code = 0;
  bool oom_killed = false;
  int64_t cpu_ns = 0;
  std::string log;
  absl::Time started;
};

// Thread-safe.
class FakeEngine final : public Engine {
 public:
  explicit FakeEngine(const Clock* clock) : clock_(clock) {}

  absl::StatusOr<EngineInfo> Info() override { return EngineInfo{"26.1.5"}; }
  absl::Status Ping() override { return Away(); }
  absl::StatusOr<std::vector<ContainerSummary>> ListContainers(const std::string&) override {
    return std::vector<ContainerSummary>();
  }
  absl::StatusOr<ContainerDetails> InspectContainer(const std::string& name) override {
    absl::MutexLock lock(&mutex);
    if (away) return Unavailable();
    ++inspections[name];
    auto found = containers.find(name);
    if (found == containers.end()) return absl::NotFoundError("no such container");
    const FakeContainer& container = found->second;
    ContainerDetails details;
    details.id = absl::StrCat(name, "#", container.generation);
    details.name = name;
    details.image_id = "sha256:1";
    details.state = !container.running ? ContainerState::kExited
                    : container.paused ? ContainerState::kPaused
                                       : ContainerState::kRunning;
    details.pid = container.running ? 1000 : 0;
    details.exit_code = container.exit_code;
    details.oom_killed = container.oom_killed;
    details.restart_count = container.restarts_by_engine;
    details.memory_limit_bytes = int64_t{2048} << 20;
    if (container.starts > 0) details.started_at = container.started;
    return details;
  }
  absl::StatusOr<ContainerStats> Stats(const std::string& name) override {
    absl::MutexLock lock(&mutex);
    ContainerStats stats;
    stats.cpu_total_ns = containers[name].cpu_ns;
    return stats;
  }
  absl::StatusOr<ImageDetails> InspectImage(const std::string& image) override {
    absl::MutexLock lock(&mutex);
    if (away) return Unavailable();
    if (images.count(image) == 0) return absl::NotFoundError("no such image");
    ImageDetails details;
    details.id = "sha256:" + image;
    return details;
  }
  // Connected until the engine is away; gives what Emit was given.
  absl::Status Events(const std::string&, std::optional<absl::Time>, const EventSink& sink,
                      std::stop_token stop, const std::function<void()>& on_connected) override {
    std::stop_callback wake(stop, [this] { absl::MutexLock lock(&mutex); });
    {
      absl::MutexLock lock(&mutex);
      if (away) return Unavailable();
    }
    on_connected();
    while (true) {
      EngineEvent event;
      {
        absl::MutexLock lock(&mutex);
        auto ready = [&] { return away || stop.stop_requested() || !events.empty(); };
        mutex.Await(absl::Condition(&ready));
        if (stop.stop_requested()) return absl::CancelledError("stopped");
        if (away) return Unavailable();
        event = events.front();
        events.pop_front();
      }
      sink(event);
    }
  }
  void Emit(const std::string& tenant, const std::string& action) {
    EngineEvent event;
    event.type = "container";
    event.action = action;
    event.attributes = {{"name", "mtp-" + tenant}, {"mtp.tenant", tenant}};
    absl::MutexLock lock(&mutex);
    events.push_back(event);
  }
  void SetAway(bool is_away) {
    absl::MutexLock lock(&mutex);
    away = is_away;
  }
  absl::Status Logs(const std::string& name, const LogsOptions& options, const OutputSink& sink,
                    std::stop_token) override {
    std::string log;
    {
      absl::MutexLock lock(&mutex);
      if (!options.since) log = containers[name].log;
    }
    if (!log.empty()) sink(OutputStream::kStdout, log);
    return absl::OkStatus();
  }
  absl::StatusOr<int> Exec(const std::string&, const std::vector<std::string>&, absl::Duration,
                           const OutputSink&, std::stop_token) override {
    return absl::UnimplementedError("no commands");
  }
  absl::Status UpdateMemoryLimits(const std::string&, const MemoryLimits&) override {
    return absl::OkStatus();
  }
  absl::Status Start(const std::string&) override { return absl::OkStatus(); }
  absl::Status Stop(const std::string&, absl::Duration, std::stop_token) override {
    return absl::OkStatus();
  }
  absl::Status Restart(const std::string&, absl::Duration, std::stop_token) override {
    return absl::OkStatus();
  }
  absl::Status Kill(const std::string&, const std::string&) override { return absl::OkStatus(); }
  absl::Status Pause(const std::string& name) override {
    std::function<void()> then;
    {
      absl::MutexLock lock(&mutex);
      if (away) return Unavailable();
      FakeContainer& container = containers[name];
      if (!container.running) return absl::FailedPreconditionError("it does not run");
      container.paused = true;
      ++container.pauses;
      then = on_pause;
    }
    if (then) then();
    return absl::OkStatus();
  }
  absl::Status Unpause(const std::string& name) override {
    absl::MutexLock lock(&mutex);
    if (away) return Unavailable();
    if (!unpause_error.ok()) return unpause_error;
    containers[name].paused = false;
    return absl::OkStatus();
  }

  // Begins the container's process; caller holds `mutex`.
  void Begin(FakeContainer& container) {
    container.running = true;
    container.started = clock_->Now() + absl::Nanoseconds(++container.starts);
    if (on_start) on_start(container);
  }

  mutable absl::Mutex mutex;
  std::map<std::string, FakeContainer> containers;
  std::map<std::string, int> inspections;
  std::deque<EngineEvent> events;
  std::set<std::string> images = {"openclaw:1"};
  bool away = false;
  // What a container does when it starts; null for running on.
  std::function<void(FakeContainer&)> on_start;
  // Called, without the mutex, once a container is paused. May be null.
  std::function<void()> on_pause;
  absl::Status unpause_error;

 private:
  static absl::Status Unavailable() {
    return absl::UnavailableError("the Docker Engine does not answer");
  }
  absl::Status Away() const {
    absl::MutexLock lock(&mutex);
    return away ? Unavailable() : absl::OkStatus();
  }
  const Clock* const clock_;
};

class FakeCompose final : public Compose {
 public:
  explicit FakeCompose(FakeEngine* engine) : engine_(engine) {}

  absl::Status UpOne(const ComposeService& service, const CancelToken*) override {
    absl::MutexLock lock(&engine_->mutex);
    ++ups;
    if (!up_error.ok()) return up_error;
    if (engine_->away) return absl::UnavailableError("the Docker Engine does not answer");
    FakeContainer& container = engine_->containers["mtp-" + service.name];
    if (!container.file.empty() && container.file != service.file) ++container.generation;
    if (container.file != service.file || !container.running) engine_->Begin(container);
    container.file = service.file;
    return absl::OkStatus();
  }
  absl::Status StopOne(const ComposeService& service, absl::Duration, const CancelToken*) override {
    absl::MutexLock lock(&engine_->mutex);
    if (stop_does_nothing) return absl::OkStatus();
    auto found = engine_->containers.find("mtp-" + service.name);
    if (found != engine_->containers.end()) found->second.running = false;
    return absl::OkStatus();
  }
  absl::Status RestartOne(const ComposeService& service, absl::Duration,
                          const CancelToken*) override {
    absl::MutexLock lock(&engine_->mutex);
    ++restarts;
    auto found = engine_->containers.find("mtp-" + service.name);
    if (found != engine_->containers.end()) engine_->Begin(found->second);
    return absl::OkStatus();
  }
  absl::Status RemoveOne(const ComposeService& service, absl::Duration,
                         const CancelToken*) override {
    absl::MutexLock lock(&engine_->mutex);
    engine_->containers.erase("mtp-" + service.name);
    return absl::OkStatus();
  }
  absl::Status PullOne(const ComposeService&, const CancelToken*) override { return pull_error; }
  absl::Status CheckProject() override { return absl::OkStatus(); }
  absl::StatusOr<SubprocessResult> RunOneOff(const OneOff& run, const CancelToken*) override {
    ++one_offs;
    checked = run;
    SubprocessResult result;
    result.exit_code = config_issues.empty() ? 0 : 1;
    result.stdout_text = config_issues;
    return result;
  }

  absl::Status up_error;
  absl::Status pull_error = absl::FailedPreconditionError("no registry");
  bool stop_does_nothing = false;
  std::string config_issues;
  int ups = 0;
  int restarts = 0;
  int one_offs = 0;
  OneOff checked;

 private:
  FakeEngine* const engine_;
};

class FakeOpenClaw final : public OpenClaw {
 public:
  absl::StatusOr<ProbeResult> Probe(const ContainerProcess&, absl::Duration) override {
    ProbeResult result;
    result.live = live;
    result.ready = ready;
    result.message = ready ? "ready" : "not ready: startup-sidecars";
    return result;
  }
  absl::StatusOr<std::string> Call(const ContainerProcess&, const SecretString&, const std::string&,
                                   const std::string&, absl::Duration, std::stop_token) override {
    return std::string("{}");
  }
  std::atomic<bool> live{true};
  std::atomic<bool> ready{true};
};

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

  testing::TempFolder folder;
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
    tools.starts = &starts;
    tools.backups = &backups;
    tools.host = "h1";
    tools.open_repository = [machine](RepositoryAccess access) {
      return machine->OpenRepository(std::move(access));
    };
    tools.check_databases = [machine](const std::string& folder, const CancelToken*) {
      return machine->CheckDatabases(folder);
    };
    tools.clock = &machine->clock;
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
