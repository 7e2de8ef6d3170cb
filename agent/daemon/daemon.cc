#include "agent/daemon/daemon.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <optional>

#include "agent/api/agent_service.h"
#include "agent/compose/compose.h"
#include "agent/compose/project_folder.h"
#include "agent/guard/lease_text.h"
#include "agent/lease/lease.h"
#include "agent/memory/cgroup.h"
#include "agent/memory/host.h"
#include "agent/tenants/actions.h"
#include "agent/tenants/admin.h"
#include "agent/tenants/board.h"
#include "agent/tenants/host_observer.h"
#include "agent/tenants/lease_watch.h"
#include "agent/tenants/observer.h"
#include "agent/tenants/reconcile.h"
#include "agent/tenants/scripts.h"
#include "common/base/atomic_file.h"
#include "common/base/failpoint.h"
#include "common/base/status.h"
#include "common/base/steady_waits.h"
#include "common/base/thread_pool.h"
#include "common/kv/sqlite_store.h"
#include "common/tls/credentials.h"
#include "common/tls/doorman.h"

namespace mtp {
namespace {

// Actions and what keeps the host right: some block for minutes (a stop that drains, a backup).
constexpr int kWorkThreads = 16;
// Each reads and writes all of a tenant's data, so that more would only be slower. One alone leaves
// disk and processors to themselves while restic waits: 0.2 s after each lock, and for a network.
constexpr int kMaxBackups = 2;
// Looks at tenants; one that hangs holds its thread for five seconds.
constexpr int kLookThreads = 4;
// Short calls, so that they never wait behind a backup.
constexpr int kCallThreads = 2;
// Log streams, commands, gateway calls.
constexpr int kBlockingThreads = 16;
// Watchers never end by themselves, so this is what each stop of the agent takes.
constexpr absl::Duration kShutdownGrace = absl::Milliseconds(500);

class DaemonImpl final : public Daemon {
 public:
  DaemonImpl(const AgentSettings& settings, const Log& log)
      : settings_(settings),
        log_(log),
        folder_(settings.project_dir),
        data_(folder_.DataPath(), kContainerUid, kContainerUid),
        restores_(folder_.DataPath(), kContainerUid, kContainerUid),
        floor_(folder_.DataPath()),
        starts_(MaxStarts()),
        backups_(kMaxBackups),
        work_(kWorkThreads),
        looks_(kLookThreads),
        calls_(kCallThreads),
        blocking_(kBlockingThreads) {}
  ~DaemonImpl() override { Stop(); }

  absl::Status Start(DaemonAccess access) {
    if (!WaitsAreSteady()) {
      log_.Warning(
          "timers of this build wait by the wall clock: restart the program when it was set back");
    }
    MTP_ASSIGN_OR_RETURN(const std::string socket, EngineSocketPath(settings_.docker_host));
    MTP_ASSIGN_OR_RETURN(const SubnetPool subnets, SubnetPool::Parse(settings_.subnet_pool));
    const ComposeOptions compose{settings_.project_dir, settings_.docker_host, "docker",
                                 FindComposePlugin()};
    MTP_RETURN_IF_ERROR(CheckDockerProgram(compose));
    MTP_RETURN_IF_ERROR(MakeFolders(settings_.data_dir, 0700));
    MTP_ASSIGN_OR_RETURN(store_, kv::OpenSqliteStore(settings_.data_dir + "/journal.sqlite"));
    MTP_ASSIGN_OR_RETURN(SecretBox box, SecretBox::Open(settings_.data_dir + "/master.key"));
    box_.emplace(std::move(box));
    journal_.emplace(store_.get(), &*box_);
    engine_ = NewEngine(socket);
    openclaw_ = NewOpenClaw();
    compose_ = NewCompose(compose);
    writer_.emplace(ProjectSettings{settings_.image, subnets, settings_.admin}, &*journal_,
                    &folder_, &random_);
    MakeLease();
    MakeTools();
    MakeActions();
    MakeObservers(socket);
    return Begin(std::move(access));
  }

  int port() const override { return door_->port(); }

  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    if (door_) door_->Stop();
    if (server_)
      server_->Shutdown(std::chrono::system_clock::now() +
                        absl::ToChronoMilliseconds(kShutdownGrace));
    if (actions_) actions_->Stop();
    if (lease_watch_) lease_watch_->Stop();
    if (reconciler_) reconciler_->Stop();
    if (admin_) admin_->Stop();
    if (observer_) observer_->Stop();
    if (host_) host_->Stop();
    blocking_.Stop();
    calls_.Stop();
    looks_.Stop();
    work_.Stop();
  }

 private:
  int MaxStarts() const {
    return settings_.max_starts > 0 ? settings_.max_starts : std::max(1, host_reader_.Cpus() / 2);
  }

  // Without the file no tenant that may fail over is started; all others go on as ever.
  void MakeLease() {
    lease_.emplace(Lease::Options{.folder = GuardFolder(settings_), .boot_id = guard::BootId()},
                   &clock_, &random_);
    const absl::Status opened = lease_->Open();
    if (!opened.ok()) log_.Error(absl::StrCat("the lease's file: ", opened.message()));
  }

  void MakeTools() {
    tools_.journal = &*journal_;
    tools_.folder = &folder_;
    tools_.data = &data_;
    tools_.writer = &*writer_;
    tools_.compose = compose_.get();
    tools_.engine = engine_.get();
    tools_.openclaw = openclaw_.get();
    tools_.restores = &restores_;
    tools_.floor = &floor_;
    drills_.emplace(folder_.DataPath(), engine_.get(), compose_.get());
    tools_.drills = &*drills_;
    tools_.starts = &starts_;
    tools_.backups = &backups_;
    tools_.cgroups = &cgroups_;
    tools_.host = settings_.host;
    tools_.ready_limits.no_progress = absl::Seconds(settings_.start_patience_s);
    tools_.open_repository = [this](RepositoryAccess access) {
      ResticOptions options;
      options.state_folder = settings_.data_dir + "/restic";
      return OpenResticRepository(std::move(access), std::move(options));
    };
    tools_.check_databases = [](const std::string& folder, const CancelToken* cancel) {
      return CheckDatabases(folder, DatabaseCheckOptions(), cancel);
    };
    tools_.lease = &*lease_;
    tools_.clock = &clock_;
    tools_.random = &random_;
    tools_.log = log_.For("tenants");
    tools_.refresh = [this](const std::string& name) { observer_->Refresh(name); };
    tools_.forget = [this](const std::string& name) { observer_->Forget(name); };
    tools_.kept_data_changed = [this] { reconciler_->PublishKeptData(); };
  }

  void MakeActions() {
    ActionsDeps deps;
    deps.journal = &*journal_;
    deps.executor = &work_;
    deps.clock = &clock_;
    deps.log = log_.For("actions");
    deps.new_script = [this](const v1::EnsureActionRequest& request) {
      return NewScript(&tools_, request);
    };
    deps.check_request = CheckActionRequest;
    deps.failpoint = FailpointFromEnvironment();
    deps.on_change = [this](const v1::Action& action) {
      // The tenant as it is now is told before the end of what made it so.
      if (action.state() != v1::ACTION_STATE_RUNNING) observer_->RefreshNow(action.tenant());
      if (absl::StartsWith(action.key(), kRecoveryKeyPrefix)) {
        reconciler_->OnRecovery(action);
      } else {
        board_.SetAction(action);
      }
    };
    actions_.emplace(std::move(deps));
    reconciler_.emplace(&tools_, &*actions_, &board_, &work_, &random_);
    lease_watch_.emplace(&tools_, &*lease_, &work_, [this] { reconciler_->OnLeaseBack(); });
  }

  void MakeObservers(const std::string& socket) {
    HostObserverOptions options;
    options.data_path = settings_.project_dir;
    options.memory_total_mib = settings_.memory_total_mib;
    options.memory_reserve_mib = settings_.memory_reserve_mib;
    options.admin_enabled = settings_.admin;
    options.admin_image = settings_.image;
    options.is_guarded = [this] { return lease_->IsGuarded(); };
    host_.emplace(options, engine_.get(), &host_reader_, &*journal_, &board_, &looks_, &clock_);
    ObserverDeps deps;
    deps.engine = engine_.get();
    deps.openclaw = openclaw_.get();
    deps.cgroups = &cgroups_;
    deps.journal = &*journal_;
    deps.board = &board_;
    deps.executor = &looks_;
    deps.clock = &clock_;
    deps.random = &random_;
    deps.log = log_.For("observer");
    deps.is_being_started = [this](const std::string& name) { return actions_->IsStarting(name); };
    deps.on_engine = [this](bool up) { OnEngine(up); };
    deps.on_crash_loop = [this](const std::string& name) { reconciler_->Park(name); };
    deps.on_admin = [this](const v1::TenantStatus& admin) { host_->SetAdmin(admin); };
    observer_.emplace(std::move(deps));
    if (settings_.admin) admin_.emplace(&tools_, &work_, socket);
  }

  void OnEngine(bool up) {
    host_->SetEngineUp(up);
    if (!up) return;
    log_.Info("the engine answers");
    reconciler_->OnEngineUp();
    if (admin_) {
      admin_->Ensure();
    } else {
      work_.Post([this] {
        absl::Status down = TakeAdminDown(tools_);
        if (!down.ok()) log_.Warning(std::string(down.message()));
      });
    }
  }

  absl::Status Begin(DaemonAccess access) {
    work_.Start();
    looks_.Start();
    calls_.Start();
    blocking_.Start();
    lease_watch_->Start();
    MTP_RETURN_IF_ERROR(reconciler_->Begin());
    host_->Start();
    if (admin_) {
      absl::Status served = admin_->StartSocket();
      if (!served.ok())
        log_.Warning(absl::StrCat("the admin instance's Docker socket: ", served.message()));
      observer_->Refresh(kAdminService);
    }
    observer_->Start();
    return Listen(std::move(access));
  }

  absl::Status Listen(DaemonAccess access) {
    targets_.emplace(settings_.host, &*journal_, &*writer_);
    AgentServiceDeps deps;
    deps.actions = &*actions_;
    deps.board = &board_;
    deps.targets = &*targets_;
    deps.engine = engine_.get();
    deps.openclaw = openclaw_.get();
    exporter_.emplace(&tools_);
    state_store_.emplace(settings_.host, settings_.data_dir + "/state-copy", tools_.open_repository,
                         &clock_, log_.For("state"));
    deps.state_store = &*state_store_;
    deps.exporter = &*exporter_;
    trust_.emplace(IdentityPath(settings_),
                   tls::Identity{tls::Identity::Kind::kAgent, settings_.fleet, settings_.host},
                   log_.For("trust"));
    deps.trust = &*trust_;
    deps.lease = &*lease_;
    deps.clock = &clock_;
    deps.calls = &calls_;
    deps.blocking = &blocking_;
    deps.max_blocking = kBlockingThreads;
    deps.log = log_.For("api");
    deps.authorize = std::move(access.authorize);
    service_ = NewAgentService(std::move(deps));
    grpc::ServerBuilder builder;
    tls::SetServerDefaults(builder);
    MTP_ASSIGN_OR_RETURN(door_, tls::Doorman::Open(builder, settings_.listen, access.credentials,
                                                   tls::Doorman::Options{.log = log_.For("door")}));
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    if (!server_) return absl::InternalError("the agent's server cannot be started");
    door_->Start();
    log_.Info(absl::StrCat("host ", settings_.host, " listens on ", settings_.listen, ", project ",
                           settings_.project_dir));
    return absl::OkStatus();
  }

  const AgentSettings settings_;
  const Log log_;
  SystemClock clock_;
  SystemRandom random_;
  HostReader host_reader_;
  CgroupReader cgroups_;
  ProjectFolder folder_;
  DataFolders data_;
  RestoreFolders restores_;
  const DiskFloor floor_;
  std::optional<DrillSandboxes> drills_;
  Slots starts_;
  Slots backups_;
  std::unique_ptr<kv::Store> store_;
  std::optional<SecretBox> box_;
  std::optional<Journal> journal_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<OpenClaw> openclaw_;
  std::unique_ptr<Compose> compose_;
  std::optional<ProjectWriter> writer_;
  std::optional<Lease> lease_;
  Board board_;
  TenantTools tools_;
  std::optional<Actions> actions_;
  std::optional<Reconciler> reconciler_;
  std::optional<LeaseWatch> lease_watch_;
  std::optional<HostObserver> host_;
  std::optional<Observer> observer_;
  std::optional<AdminKeeper> admin_;
  std::optional<Targets> targets_;
  std::optional<StateStore> state_store_;
  std::optional<Exporter> exporter_;
  std::optional<Trust> trust_;
  std::unique_ptr<grpc::Service> service_;
  ThreadPool work_;
  ThreadPool looks_;
  ThreadPool calls_;
  ThreadPool blocking_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<tls::Doorman> door_;
  bool stopped_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> StartDaemon(const AgentSettings& settings,
                                                    DaemonAccess access, const Log& log) {
  MTP_RETURN_IF_ERROR(CheckSettings(settings));
  auto daemon = std::make_unique<DaemonImpl>(settings, log);
  absl::Status started = daemon->Start(std::move(access));
  if (!started.ok()) return started;
  return std::unique_ptr<Daemon>(std::move(daemon));
}

}  // namespace mtp
