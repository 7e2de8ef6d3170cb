#include "tests/load/sim_host.h"

#include <absl/base/thread_annotations.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "agent/api/authorize.h"
#include "agent/api/watch_stream.h"
#include "agent/guard/lease_text.h"
#include "agent/join/join.h"
#include "agent/lease/lease.h"
#include "agent/tenants/actions.h"
#include "agent/tenants/board.h"
#include "agent/tenants/journal.h"
#include "agent/tenants/scripts.h"
#include "agent/trust/trust.h"
#include "common/base/random.h"
#include "common/base/secret_box.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/base/version.h"
#include "common/kv/sqlite_store.h"
#include "common/tls/credentials.h"
#include "common/tls/doorman.h"
#include "mtp/v1/agent.grpc.pb.h"
#include "tests/load/sim_script.h"

namespace mtp::load {
namespace {

// As often as the real observers look.
constexpr absl::Duration kLook = absl::Seconds(15);
constexpr int kPortsTried = 1000;
constexpr absl::Duration kShutdown = absl::Milliseconds(500);

// The tenants as the engine has them.
class SimTenants {
 public:
  explicit SimTenants(Board* board) : board_(board) {}

  // Whether the tenant runs then.
  bool Apply(const v1::EnsureActionRequest& request) {
    absl::MutexLock lock(&mutex_);
    const std::string& name = request.tenant();
    if (request.has_remove()) {
      tenants_.erase(name);
      board_->SetTenantGone(name);
      return false;
    }
    if (request.has_apply()) Create(request);
    const auto found = tenants_.find(name);
    if (found == tenants_.end()) return false;
    v1::TenantStatus& status = found->second;
    if (request.has_apply() || request.has_start() || request.has_restart()) Run(status);
    if (request.has_stop() || request.has_restore()) Halt(status);
    if (request.has_limit()) status.set_memory_limit_mib(request.limit().memory_limit_mib());
    Show(name, status);
    return status.state() == v1::TENANT_STATE_RUNNING;
  }
  // What is looked at again and again: it changes a little each time.
  int64_t Look() {
    absl::MutexLock lock(&mutex_);
    ++looks_;
    int64_t used_mib = 0;
    int64_t number = 0;
    for (auto& [name, status] : tenants_) {
      if (status.state() == v1::TENANT_STATE_RUNNING) {
        status.set_memory_mib(820 + (++number * 7 + looks_ * 13) % 90);
      }
      used_mib += status.memory_mib();
      Show(name, status);
    }
    return used_mib;
  }

 private:
  void Create(const v1::EnsureActionRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const v1::TenantSpec& spec = request.apply().spec();
    v1::TenantStatus& status = tenants_[request.tenant()];
    status.set_epoch(request.epoch());
    status.set_port(request.apply().port());
    status.set_container("mtp-" + request.tenant());
    status.set_memory_limit_mib(spec.memory_limit_mib());
    status.set_image(spec.image());
    status.set_image_id(ImageId(spec.image()));
  }
  static void Run(v1::TenantStatus& status) {
    status.set_state(v1::TENANT_STATE_RUNNING);
    status.set_health(v1::TENANT_HEALTH_READY);
    *status.mutable_start_time() = ToTimestamp(absl::Now());
    status.set_memory_mib(840);
  }
  static void Halt(v1::TenantStatus& status) {
    status.set_state(v1::TENANT_STATE_STOPPED);
    status.set_health(v1::TENANT_HEALTH_DOWN);
    status.clear_start_time();
    status.set_memory_mib(0);
  }
  void Show(const std::string& name, v1::TenantStatus& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    *status.mutable_observe_time() = ToTimestamp(absl::Now());
    v1::TenantObservation observation;
    observation.set_tenant(name);
    *observation.mutable_status() = status;
    board_->SetTenant(observation);
  }

  Board* const board_;
  absl::Mutex mutex_;
  std::map<std::string, v1::TenantStatus> tenants_ ABSL_GUARDED_BY(mutex_);
  int64_t looks_ ABSL_GUARDED_BY(mutex_) = 0;
};

// What the controller calls; what needs an engine or a repository is left out.
class SimService final : public v1::AgentService::CallbackService {
 public:
  SimService(std::string fleet, Actions* actions, Board* board, Trust* trust, Lease* lease,
             Executor* executor)
      : fleet_(std::move(fleet)),
        actions_(actions),
        board_(board),
        trust_(trust),
        lease_(lease),
        executor_(executor) {}

  grpc::ServerUnaryReactor* EnsureAction(grpc::CallbackServerContext* context,
                                         const v1::EnsureActionRequest* request,
                                         v1::Action* response) override {
    return Unary(context, response, [this, request] { return actions_->Ensure(*request); });
  }
  grpc::ServerUnaryReactor* CancelAction(grpc::CallbackServerContext* context,
                                         const v1::CancelActionRequest* request,
                                         v1::Action* response) override {
    return Unary(context, response, [this, request] { return actions_->Cancel(request->key()); });
  }
  grpc::ServerUnaryReactor* ReplaceTrust(grpc::CallbackServerContext* context,
                                         const v1::ReplaceTrustRequest* request,
                                         v1::HostTrust* response) override {
    return Unary(context, response, [this, request] { return trust_->Replace(*request); });
  }
  grpc::ServerUnaryReactor* GrantLease(grpc::CallbackServerContext* context,
                                       const v1::GrantLeaseRequest* request,
                                       v1::GrantLeaseResponse* response) override {
    return Unary(context, response, [this, request]() -> absl::StatusOr<v1::GrantLeaseResponse> {
      MTP_RETURN_IF_ERROR(lease_->Grant(*request));
      return v1::GrantLeaseResponse();
    });
  }
  grpc::ServerUnaryReactor* StoreState(grpc::CallbackServerContext* context,
                                       const v1::StoreStateRequest* request,
                                       v1::StoreStateResponse* response) override {
    return Unary(context, response, [request]() -> absl::StatusOr<v1::StoreStateResponse> {
      v1::StoreStateResponse stored;
      stored.set_snapshot(request->copy_id());
      return stored;
    });
  }
  grpc::ServerWriteReactor<v1::AgentEvent>* WatchAgent(grpc::CallbackServerContext*,
                                                       const v1::WatchAgentRequest*) override {
    // Who is not of the fleet gets no further than the handshake, and nothing here is a secret.
    return NewWatchStream(board_, executor_, [this] { return lease_->Stamp(); });
  }

 private:
  template <typename Response, typename Work>
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, Response* response,
                                  Work work) {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    if (const absl::Status allowed = AuthorizeController(*context, fleet_); !allowed.ok()) {
      reactor->Finish(ToGrpc(allowed));
      return reactor;
    }
    executor_->Post([reactor, response, work] {
      auto answer = work();
      const grpc::Status status = ToGrpc(answer.status());
      if (answer.ok()) *response = *std::move(answer);
      reactor->Finish(status);
    });
    return reactor;
  }

  const std::string fleet_;
  Actions* const actions_;
  Board* const board_;
  Trust* const trust_;
  Lease* const lease_;
  Executor* const executor_;
};

class RunningHost final : public SimHost {
 public:
  RunningHost(SimHostOptions options, Executor* executor)
      : options_(std::move(options)), executor_(executor) {}
  ~RunningHost() override { Stop(); }

  absl::Status Begin(const tls::JoinToken& token) {
    const std::string identity = options_.folder + "/identity";
    // The address is part of the request to join, so the port has to be known before.
    MTP_ASSIGN_OR_RETURN(const int port, FreePort(options_.first_port));
    const std::string address = absl::StrCat("127.0.0.1:", port);
    MTP_ASSIGN_OR_RETURN(const agent::JoinResult joined, agent::Join(token, identity, address));
    trust_.emplace(identity, tls::Identity{tls::Identity::Kind::kAgent, joined.fleet, joined.host},
                   NullLog());
    actions_.emplace(Deps());
    MTP_RETURN_IF_ERROR(actions_->Resume());
    lease_.emplace(Lease::Options{.folder = options_.folder + "/guard",
                                  .boot_id = guard::BootId(),
                                  .guard_lives = [] { return true; }},
                   &clock_, &random_);
    MTP_RETURN_IF_ERROR(lease_->Open());
    service_.emplace(joined.fleet, &*actions_, &board_, &*trust_, &*lease_, executor_);
    ShowHost(0);
    board_.SetKeptData({});
    grpc::ServerBuilder builder;
    tls::SetServerDefaults(builder);
    MTP_ASSIGN_OR_RETURN(door_,
                         tls::Doorman::Open(builder, address, tls::MutualTlsServer(identity), {}));
    builder.RegisterService(&*service_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return absl::InternalError("the server cannot be started");
    door_->Start();
    executor_->PostAfter(kLook, [this] { Look(); });
    return absl::OkStatus();
  }
  void Stop() override {
    if (door_) door_->Stop();
    if (server_) server_->Shutdown(absl::ToChronoTime(absl::Now() + kShutdown));
    if (actions_) actions_->Stop();
  }

 private:
  // The first from there on that nobody has. Below 32768 no connection takes one by itself.
  static absl::StatusOr<int> FreePort(int from) {
    absl::Status status = absl::OkStatus();
    for (int port = from; port < from + kPortsTried; ++port) {
      grpc::ServerBuilder unused;
      const auto door = tls::Doorman::Open(unused, absl::StrCat("127.0.0.1:", port),
                                           grpc::InsecureServerCredentials(), {});
      if (door.ok()) return port;
      status = door.status();
    }
    return status;
  }
  ActionsDeps Deps() {
    ActionsDeps deps;
    deps.journal = &journal_;
    deps.executor = executor_;
    deps.clock = &clock_;
    deps.new_script = [this](const v1::EnsureActionRequest& request) {
      return NewSimScript(request, options_.work, [this](const v1::EnsureActionRequest& done) {
        return tenants_.Apply(done);
      });
    };
    deps.check_request = CheckActionRequest;
    deps.on_change = [this](const v1::Action& action) { board_.SetAction(action); };
    return deps;
  }
  void Look() {
    ShowHost(tenants_.Look());
    executor_->PostAfter(kLook, [this] { Look(); });
  }
  void ShowHost(int64_t used_mib) {
    v1::HostStatus host;
    host.set_state(v1::HOST_STATE_READY);
    host.set_memory_total_mib(options_.memory_mib);
    host.set_allocatable_mib(options_.memory_mib - 4096);
    host.set_used_mib(2048 + used_mib);
    host.set_agent_version(kVersion);
    host.set_engine_version("simulated");
    host.set_cpus(16);
    host.set_disk_free_mib(1 << 20);
    board_.SetHost(host);
  }

  const SimHostOptions options_;
  Executor* const executor_;
  const SystemClock clock_;
  const SecretBox box_ = SecretBox::ForTest();
  const std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  Journal journal_{store_.get(), &box_};
  Board board_;
  SimTenants tenants_{&board_};
  SystemRandom random_;
  std::optional<Lease> lease_;
  std::optional<Trust> trust_;
  std::optional<Actions> actions_;
  std::optional<SimService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<tls::Doorman> door_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SimHost>> SimHost::Start(const tls::JoinToken& token,
                                                        const SimHostOptions& options,
                                                        Executor* executor) {
  auto host = std::make_unique<RunningHost>(options, executor);
  MTP_RETURN_IF_ERROR(host->Begin(token));
  return host;
}

}  // namespace mtp::load
