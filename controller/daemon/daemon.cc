#include "controller/daemon/daemon.h"

#include <absl/functional/bind_front.h>
#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>

#include <optional>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/secret_box.h"
#include "common/base/status.h"
#include "common/base/steady_waits.h"
#include "common/base/thread_pool.h"
#include "common/base/ulid.h"
#include "common/kv/sqlite_store.h"
#include "common/kv/table.h"
#include "common/tls/client_identity.h"
#include "common/tls/credentials.h"
#include "common/tls/doorman.h"
#include "controller/api/backup_service.h"
#include "controller/api/enrollment_service.h"
#include "controller/api/fleet_service.h"
#include "controller/api/host_service.h"
#include "controller/api/operation_service.h"
#include "controller/api/rollout_service.h"
#include "controller/api/tenant_service.h"
#include "controller/backups/backups.h"
#include "controller/backups/policies.h"
#include "controller/backups/repositories.h"
#include "controller/backups/schedule.h"
#include "controller/backups/updates.h"
#include "controller/failover/evict_kind.h"
#include "controller/failover/failovers.h"
#include "controller/failover/keeper.h"
#include "controller/failover/lease_book.h"
#include "controller/hosts/agent_channels.h"
#include "controller/hosts/agent_sessions.h"
#include "controller/pki/authority.h"
#include "controller/pki/join_tokens.h"
#include "controller/pki/operators.h"
#include "controller/recovery/agent_copies.h"
#include "controller/recovery/collect.h"
#include "controller/recovery/state_copies.h"
#include "controller/rollouts/all_kinds.h"
#include "controller/rollouts/rollouts.h"
#include "controller/tenants/abandoned_action.h"
#include "controller/tenants/tenants.h"
#include "controller/trust/agent_trust.h"
#include "controller/trust/rotation.h"
#include "controller/trust/trust_keeper.h"

namespace mtp {
namespace {

// Steps and handlers wait for agents and for the disk, not for the processor.
constexpr int kStepThreads = 16;
constexpr int kApiThreads = 8;
// Calls of gateways wait for a tenant.
constexpr int kGatewayThreads = 16;
constexpr int kMaxGatewayCalls = 64;
constexpr absl::Duration kDrainTime = absl::Seconds(2);
// The largest request of an operator is a call of a gateway, with parameters of at most 1 MiB.
constexpr int kMaxRequestBytes = 2 << 20;
constexpr int kMaxJoinBytes = 64 << 10;
// Of a lease, that has to pass beside it (controller/failover/lease_book.h).
constexpr int kMarginPart = 6;

class RunningDaemon final : public Daemon {
 public:
  RunningDaemon(std::string data_dir, ControllerSettings settings, Log log)
      : log_(std::move(log)),
        data_dir_(std::move(data_dir)),
        settings_(std::move(settings)),
        step_pool_(kStepThreads),
        api_pool_(kApiThreads),
        gateway_pool_(kGatewayThreads) {}
  ~RunningDaemon() override { Stop(); }

  absl::Status Start() {
    if (!WaitsAreSteady()) {
      log_.Warning(
          "timers of this build wait by the wall clock: restart the program when it was set back");
    }
    MTP_RETURN_IF_ERROR(OpenState());
    step_pool_.Start();
    api_pool_.Start();
    gateway_pool_.Start();
    MTP_RETURN_IF_ERROR(StartWork());
    return Serve();
  }

  void Stop() override {
    if (stopped_) return;
    stopped_ = true;
    const auto deadline = absl::ToChronoTime(absl::Now() + kDrainTime);
    if (enroll_door_) enroll_door_->Stop();
    if (api_door_) api_door_->Stop();
    if (enroll_server_) enroll_server_->Shutdown(deadline);
    if (api_server_) api_server_->Shutdown(deadline);
    if (agent_copies_) agent_copies_->Stop();
    if (state_copies_) state_copies_->Stop();
    if (agent_trust_) agent_trust_->Stop();
    if (trust_keeper_) trust_keeper_->Stop();
    if (sessions_) sessions_->Stop();
    if (failover_keeper_) failover_keeper_->Stop();
    if (schedule_) schedule_->Stop();
    if (engine_) engine_->Stop();
    gateway_pool_.Stop();
    api_pool_.Stop();
    step_pool_.Stop();
  }

  std::string api_address() const override { return api_address_; }
  std::string enroll_address() const override { return enroll_address_; }

 private:
  absl::Status OpenState() {
    MTP_ASSIGN_OR_RETURN(SecretBox box, SecretBox::OpenExisting(data_dir_ + "/master.key"));
    box_.emplace(std::move(box));
    MTP_ASSIGN_OR_RETURN(store_, kv::OpenSqliteStore(data_dir_ + "/state.db"));
    MTP_ASSIGN_OR_RETURN(Authority authority,
                         Authority::Open(data_dir_ + "/pki", settings_.fleet, *box_));
    authority_.emplace(std::move(authority));
    authority_->Follow(store_.get(), &*box_);
    MTP_RETURN_IF_ERROR(EnsureOwnIdentity());
    identity_.emplace(IdentityFolder());
    channels_.emplace(store_.get(), &*identity_, settings_.fleet);
    return absl::OkStatus();
  }

  absl::Status StartWork() {
    operations::Engine::Options options;
    options.failpoint = FailpointFromEnvironment();
    options.on_persist_failure = [this](const std::string& id, const absl::Status& status) {
      log_.Error(absl::StrCat("operation ", id, " could not be persisted, will try again: ",
                              std::string(status.message())));
    };
    options.on_drop = [this](const std::string& id) {
      log_.Error(absl::StrCat("operation ", id,
                              " is dropped: its record is gone from the state (was a backup put "
                              "back?); look at what it was about with mtp-cli status"));
    };
    engine_ = std::make_unique<operations::Engine>(store_.get(), &clock_, &random_, &step_pool_,
                                                   std::move(options));
    AgentSessions::Callbacks callbacks;
    callbacks.connect = absl::bind_front(&AgentChannels::To, &*channels_);
    callbacks.on_action = [this](const std::string& host, const v1::Action& action) {
      const std::string operation = action.key().substr(0, action.key().find('/'));
      engine_->Wake(operation);
      CancelIfAbandoned(operation, host, action);
    };
    callbacks.on_connected = [this](const std::string& host) {
      log_.Info(absl::StrCat("host ", host, " is connected"));
      WakeHost(host);
      state_copies_->HostConnected();
    };
    callbacks.on_stamp = [this](const std::string& host, const v1::LeaseStamp& stamp) {
      failover_keeper_->OnStamp(host, stamp);
    };
    sessions_ = std::make_unique<AgentSessions>(store_.get(), &observations_, &clock_, &step_pool_,
                                                NewUlid(clock_, random_), std::move(callbacks),
                                                AgentSessions::Options());
    repositories_ = std::make_unique<Repositories>(store_.get(), &*box_, &clock_, &random_);
    updates_ = std::make_unique<Updates>(store_.get(), engine_.get(), repositories_.get(),
                                         &observations_, &clock_, &random_);
    const BackupClients clients{{store_.get(), sessions_.get(), &*box_}, &clock_, settings_.fleet};
    const RolloutClients rollout_clients{store_.get(),
                                         sessions_.get(),
                                         engine_.get(),
                                         &observations_,
                                         absl::bind_front(&Updates::Begin, updates_.get()),
                                         settings_.default_image};
    for (operations::Kind& kind : AllKinds(clients, rollout_clients)) {
      engine_->Register(std::move(kind));
    }
    MTP_ASSIGN_OR_RETURN(rollout_waker_, WakeRollouts(store_.get(), engine_.get()));
    rotation_ = {store_.get(), &*authority_, &*box_, &clock_,
                 [this] { return EnsureOwnIdentity(); }};
    engine_->Register(RotateAuthorityKind(rotation_));
    engine_->Register(failover::EvictKind(clients.tenants));
    MakeTenants();
    const absl::Status started = engine_->Start();
    if (absl::IsFailedPrecondition(started)) {
      log_.Error(started.message());
    } else if (!started.ok()) {
      return started;
    }
    MTP_RETURN_IF_ERROR(StartStateCopies());
    StartTrust();
    StartFailover();
    return sessions_->Start();
  }

  void MakeTenants() {
    Tenants::Options options;
    options.default_image = settings_.default_image;
    options.default_reservation_mib = settings_.default_reservation_mib;
    options.min_memory_limit_mib = settings_.min_memory_limit_mib;
    options.environment_names = settings_.tenant_environment;
    options.policy =
        settings_.policy == "spread" ? scheduler::Policy::kSpread : scheduler::Policy::kBinpack;
    options.removal_repository = [this] { return repositories_->Default(); };
    tenants_ = std::make_unique<Tenants>(store_.get(), engine_.get(), &observations_, &*box_,
                                         &clock_, &random_, std::move(options));
  }

  // Before the first event of an agent, which is what a lease is granted for.
  void StartFailover() {
    failover::LeaseBook::Options options;
    options.lease = absl::Seconds(settings_.lease_s);
    options.margin = options.lease / kMarginPart;
    lease_book_.emplace(store_.get(), &clock_, options);
    failovers_.emplace(store_.get(), engine_.get(), tenants_.get(), &observations_, &*lease_book_);
    failover_keeper_ = std::make_shared<failover::Keeper>(
        store_.get(), engine_.get(), &*failovers_, &*lease_book_, &observations_, &clock_,
        &step_pool_, absl::bind_front(&AgentSessions::GrantLease, sessions_.get()),
        log_.For("failover"), failover::Keeper::Options());
    failover_keeper_->Start();
  }

  void StartTrust() {
    agent_trust_.emplace(sessions_.get(), &*channels_);
    TrustKeeper::Edges edges;
    edges.replace = absl::bind_front(&AgentTrust::Replace, &*agent_trust_);
    edges.shows = absl::bind_front(&AgentTrust::Shows, &*agent_trust_);
    edges.renew_own = rotation_.renew_own;
    trust_keeper_ =
        std::make_shared<TrustKeeper>(store_.get(), &*authority_, &observations_, &clock_,
                                      &step_pool_, std::move(edges), log_.For("trust"));
    trust_keeper_->Start();
  }

  absl::Status EnsureOwnIdentity() const {
    const tls::Identity self{tls::Identity::Kind::kController, settings_.fleet, ""};
    return authority_->EnsureIdentity(IdentityFolder(), self, clock_.Now()).status();
  }

  absl::Status StartStateCopies() {
    agent_copies_.emplace(sessions_.get());
    StateCopies::Edges edges;
    edges.pack = [this](const std::string& copy_id, size_t max_bytes) {
      return PackState({.records = store_->List(""),
                        .data_dir = data_dir_,
                        .box = &*box_,
                        .fleet = settings_.fleet,
                        .copy_id = copy_id,
                        .time = clock_.Now()},
                       max_bytes);
    };
    edges.send = [this](const std::string& host, const v1::StoreStateRequest& request) {
      return agent_copies_->Send(host, request);
    };
    state_copies_ = std::make_unique<StateCopies>(
        store_.get(), &*box_, &observations_, &clock_, &random_, &step_pool_, settings_.fleet,
        std::move(edges), log_.For("recovery"), StateCopies::Options());
    return state_copies_->Start();
  }

  absl::Status Serve() {
    backups_ = std::make_unique<Backups>(store_.get(), engine_.get(), tenants_.get(),
                                         repositories_.get(), &observations_, &*box_, &clock_);
    policies_ = std::make_unique<Policies>(store_.get(), repositories_.get(), &clock_);
    MTP_RETURN_IF_ERROR(StartSchedule());
    tokens_ = std::make_unique<JoinTokens>(store_.get(), &*authority_, &clock_, &random_,
                                           settings_.enroll_advertise);
    operators_ = std::make_unique<Operators>(store_.get(), &*authority_, &clock_);
    rotations_.emplace(rotation_, engine_.get());
    audit_ = std::make_unique<AuditLog>(store_.get(), &clock_, &random_);
    authorizer_ = std::make_unique<Authorizer>(store_.get(), settings_.fleet);
    gate_ = std::make_unique<Gate>(authorizer_.get(), audit_.get(), &api_pool_);
    gateway_gate_ = std::make_unique<Gate>(authorizer_.get(), audit_.get(), &gateway_pool_,
                                           Gate::Limits{.max_calls = kMaxGatewayCalls});
    tenant_service_ =
        std::make_unique<TenantServiceImpl>(gate_.get(), tenants_.get(), &*failovers_, store_.get(),
                                            &observations_, sessions_.get(), gateway_gate_.get());
    host_service_ =
        std::make_unique<HostServiceImpl>(gate_.get(), store_.get(), &observations_, tokens_.get());
    backup_service_ =
        std::make_unique<BackupServiceImpl>(gate_.get(), backups_.get(), repositories_.get(),
                                            policies_.get(), sessions_.get(), settings_.fleet);
    rollouts_ = std::make_unique<Rollouts>(store_.get(), engine_.get(), repositories_.get(),
                                           &clock_, &random_);
    rollout_service_ =
        std::make_unique<RolloutServiceImpl>(gate_.get(), store_.get(), rollouts_.get());
    operation_service_ =
        std::make_unique<OperationServiceImpl>(gate_.get(), store_.get(), engine_.get());
    fleet_service_ = std::make_unique<FleetServiceImpl>(
        gate_.get(), store_.get(), &observations_, tenants_.get(), operators_.get(), &*rotations_,
        audit_.get(), &clock_, settings_.fleet);
    enrollment_service_ =
        std::make_unique<EnrollmentServiceImpl>(tokens_.get(), audit_.get(), &clock_, &api_pool_);

    grpc::ServerBuilder api;
    tls::SetServerDefaults(api);
    api.SetMaxReceiveMessageSize(kMaxRequestBytes);
    MTP_ASSIGN_OR_RETURN(
        api_door_, tls::Doorman::Open(api, settings_.listen, tls::MutualTlsServer(IdentityFolder()),
                                      DoorOptions()));
    api.RegisterService(tenant_service_.get());
    api.RegisterService(host_service_.get());
    api.RegisterService(backup_service_.get());
    api.RegisterService(operation_service_.get());
    api.RegisterService(rollout_service_.get());
    api.RegisterService(fleet_service_.get());
    MTP_ASSIGN_OR_RETURN(api_server_, Begin(api, *api_door_));
    api_address_ = AddressOf(settings_.listen, *api_door_);

    grpc::ServerBuilder enroll;
    tls::SetServerDefaults(enroll);
    enroll.SetMaxReceiveMessageSize(kMaxJoinBytes);
    MTP_ASSIGN_OR_RETURN(
        enroll_door_, tls::Doorman::Open(enroll, settings_.enroll_listen,
                                         tls::EnrollmentServer(IdentityFolder()), DoorOptions()));
    enroll.RegisterService(enrollment_service_.get());
    MTP_ASSIGN_OR_RETURN(enroll_server_, Begin(enroll, *enroll_door_));
    enroll_address_ = AddressOf(settings_.enroll_listen, *enroll_door_);
    return absl::OkStatus();
  }

  absl::Status StartSchedule() {
    Schedule::Options options;
    options.start_drill = Schedule::DrillThrough(backups_.get());
    options.on_failure = [this](const std::string& what, const absl::Status& status) {
      log_.Error(absl::StrCat("schedule: ", what,
                              " cannot be begun, will try again: ", std::string(status.message())));
    };
    schedule_ = std::make_shared<Schedule>(store_.get(), backups_.get(), &observations_, &clock_,
                                           &step_pool_, std::move(options));
    return schedule_->Start();
  }

  tls::Doorman::Options DoorOptions() const { return {.log = log_.For("door")}; }

  static absl::StatusOr<std::unique_ptr<grpc::Server>> Begin(grpc::ServerBuilder& builder,
                                                             tls::Doorman& door) {
    auto server = builder.BuildAndStart();
    if (server == nullptr) return absl::InternalError("the server of the API cannot be started");
    door.Start();
    return server;
  }

  // As asked for, with the port that it is.
  static std::string AddressOf(const std::string& asked, const tls::Doorman& door) {
    return absl::StrCat(asked.substr(0, asked.rfind(':')), ":", door.port());
  }

  // Where the cancellation does not arrive, the host tells of the action again when it is back.
  void CancelIfAbandoned(const std::string& operation, const std::string& host,
                         const v1::Action& action) {
    if (action.state() != v1::ACTION_STATE_RUNNING) return;
    const auto known = engine_->Get(operation);
    if (!known.ok() || !IsAbandoned(*known, action.key())) return;
    step_pool_.Post(
        [this, host, key = action.key()] { (void)sessions_->CancelAction(host, key).status(); });
  }

  // Operations of that host may wait for something that happened while nobody listened. One without
  // a host of its own (the check of a repository, a rollout) may wait for any.
  void WakeHost(const std::string& host) {
    for (const auto& lock : store_->List("/locks/")) {
      state::v1::LockRecord record;
      if (!record.ParseFromString(lock.value)) continue;
      auto operation = engine_->Get(record.operation());
      if (!operation.ok()) continue;
      if (operation->host().empty() || operation->host() == host) engine_->Wake(record.operation());
    }
  }

  std::string IdentityFolder() const { return data_dir_ + "/identity"; }

  const Log log_;
  const std::string data_dir_;
  const ControllerSettings settings_;
  SystemClock clock_;
  SystemRandom random_;
  ThreadPool step_pool_;
  ThreadPool api_pool_;
  ThreadPool gateway_pool_;
  Observations observations_;
  std::optional<SecretBox> box_;
  std::optional<Authority> authority_;
  std::optional<tls::ClientIdentity> identity_;
  std::unique_ptr<kv::Store> store_;
  std::optional<AgentChannels> channels_;
  std::unique_ptr<operations::Engine> engine_;
  std::unique_ptr<AgentSessions> sessions_;
  std::optional<AgentCopies> agent_copies_;
  std::unique_ptr<StateCopies> state_copies_;
  std::optional<AgentTrust> agent_trust_;
  std::shared_ptr<TrustKeeper> trust_keeper_;
  RotationClients rotation_;
  std::optional<Rotations> rotations_;
  std::unique_ptr<Tenants> tenants_;
  std::optional<failover::LeaseBook> lease_book_;
  std::optional<failover::Failovers> failovers_;
  std::shared_ptr<failover::Keeper> failover_keeper_;
  std::unique_ptr<Repositories> repositories_;
  std::unique_ptr<Updates> updates_;
  std::unique_ptr<kv::Watch> rollout_waker_;
  std::unique_ptr<Rollouts> rollouts_;
  std::unique_ptr<Backups> backups_;
  std::unique_ptr<Policies> policies_;
  std::shared_ptr<Schedule> schedule_;
  std::unique_ptr<JoinTokens> tokens_;
  std::unique_ptr<Operators> operators_;
  std::unique_ptr<AuditLog> audit_;
  std::unique_ptr<Authorizer> authorizer_;
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<Gate> gateway_gate_;
  std::unique_ptr<TenantServiceImpl> tenant_service_;
  std::unique_ptr<HostServiceImpl> host_service_;
  std::unique_ptr<BackupServiceImpl> backup_service_;
  std::unique_ptr<OperationServiceImpl> operation_service_;
  std::unique_ptr<RolloutServiceImpl> rollout_service_;
  std::unique_ptr<FleetServiceImpl> fleet_service_;
  std::unique_ptr<EnrollmentServiceImpl> enrollment_service_;
  std::unique_ptr<grpc::Server> api_server_;
  std::unique_ptr<grpc::Server> enroll_server_;
  std::unique_ptr<tls::Doorman> api_door_;
  std::unique_ptr<tls::Doorman> enroll_door_;
  std::string api_address_;
  std::string enroll_address_;
  bool stopped_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> StartDaemon(const std::string& data_dir,
                                                    const ControllerSettings& settings, Log log) {
  auto daemon = std::make_unique<RunningDaemon>(data_dir, settings, std::move(log));
  if (absl::Status status = daemon->Start(); !status.ok()) return status;
  return absl::StatusOr<std::unique_ptr<Daemon>>(std::move(daemon));
}

}  // namespace mtp
