// Every call of the API by every kind of caller. What is allowed is written down here by hand; a
// call that is not in the list fails the test.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <string>
#include <vector>

#include "agent/api/agent_service.h"
#include "agent/api/authorize.h"
#include "common/base/thread_pool.h"
#include "common/kv/sqlite_store.h"
#include "controller/api/backup_service.h"
#include "controller/api/fleet_service.h"
#include "controller/api/gate.h"
#include "controller/api/host_service.h"
#include "controller/api/operation_service.h"
#include "controller/api/roles.h"
#include "controller/api/rollout_service.h"
#include "controller/api/tenant_service.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/proto/descriptors.h"
#include "tests/unit/tls/fleet_keys.h"

namespace mtp {
namespace {

using Kind = tls::Identity::Kind;
using google::protobuf::MethodDescriptor;

// Whom a call is for.
enum class For { kViewers, kOperators, kAdmins, kTheController, kHostsWithAToken };

const std::map<std::string, For>& Expected() {
  static const auto* const expected = new std::map<std::string, For>{
      {"mtp.v1.TenantService/GetTenant", For::kViewers},
      {"mtp.v1.TenantService/ListTenants", For::kViewers},
      {"mtp.v1.TenantService/ProvisionTenant", For::kOperators},
      {"mtp.v1.TenantService/RemoveTenant", For::kOperators},
      {"mtp.v1.TenantService/UpdateTenant", For::kOperators},
      {"mtp.v1.TenantService/StartTenant", For::kOperators},
      {"mtp.v1.TenantService/StopTenant", For::kOperators},
      {"mtp.v1.TenantService/RestartTenant", For::kOperators},
      {"mtp.v1.TenantService/FailOverTenant", For::kOperators},
      {"mtp.v1.TenantService/StreamTenantLogs", For::kOperators},
      {"mtp.v1.TenantService/ExecTenant", For::kOperators},
      {"mtp.v1.TenantService/CallTenantGateway", For::kOperators},
      {"mtp.v1.HostService/GetHost", For::kViewers},
      {"mtp.v1.HostService/ListHosts", For::kViewers},
      {"mtp.v1.HostService/CordonHost", For::kOperators},
      {"mtp.v1.HostService/UncordonHost", For::kOperators},
      {"mtp.v1.HostService/SetHostLabels", For::kOperators},
      {"mtp.v1.HostService/RemoveHost", For::kAdmins},
      {"mtp.v1.HostService/CreateJoinToken", For::kAdmins},
      {"mtp.v1.BackupService/GetBackup", For::kViewers},
      {"mtp.v1.BackupService/ListBackups", For::kViewers},
      {"mtp.v1.BackupService/CreateBackup", For::kOperators},
      {"mtp.v1.BackupService/VerifyBackup", For::kOperators},
      {"mtp.v1.BackupService/RestoreBackup", For::kOperators},
      {"mtp.v1.BackupService/PruneBackups", For::kOperators},
      {"mtp.v1.BackupService/DrillBackup", For::kOperators},
      {"mtp.v1.BackupService/GetBackupPolicy", For::kViewers},
      {"mtp.v1.BackupService/SetBackupPolicy", For::kOperators},
      {"mtp.v1.BackupService/ExportBackup", For::kOperators},
      {"mtp.v1.BackupService/CheckRepository", For::kOperators},
      {"mtp.v1.BackupService/ListRepositories", For::kViewers},
      {"mtp.v1.BackupService/AddRepository", For::kAdmins},
      {"mtp.v1.BackupService/GetRecoveryKit", For::kAdmins},
      {"mtp.v1.RolloutService/GetRollout", For::kViewers},
      {"mtp.v1.RolloutService/ListRollouts", For::kViewers},
      {"mtp.v1.RolloutService/WatchRollout", For::kViewers},
      {"mtp.v1.RolloutService/CreateRollout", For::kOperators},
      {"mtp.v1.RolloutService/PauseRollout", For::kOperators},
      {"mtp.v1.RolloutService/ResumeRollout", For::kOperators},
      {"mtp.v1.RolloutService/AbortRollout", For::kOperators},
      {"mtp.v1.OperationService/GetOperation", For::kViewers},
      {"mtp.v1.OperationService/ListOperations", For::kViewers},
      {"mtp.v1.OperationService/CancelOperation", For::kOperators},
      {"mtp.v1.OperationService/WatchOperation", For::kViewers},
      {"mtp.v1.FleetService/GetFleetStatus", For::kViewers},
      {"mtp.v1.FleetService/WatchFleetStatus", For::kViewers},
      {"mtp.v1.FleetService/GetCapacity", For::kViewers},
      {"mtp.v1.FleetService/ListAuditEntries", For::kAdmins},
      {"mtp.v1.FleetService/ListOperators", For::kAdmins},
      {"mtp.v1.FleetService/AddOperator", For::kAdmins},
      {"mtp.v1.FleetService/RemoveOperator", For::kAdmins},
      {"mtp.v1.FleetService/RenewCertificate", For::kViewers},
      {"mtp.v1.FleetService/GetAuthority", For::kAdmins},
      {"mtp.v1.FleetService/RotateAuthority", For::kAdmins},
      {"mtp.v1.EnrollmentService/Join", For::kHostsWithAToken},
      {"mtp.v1.AgentService/EnsureAction", For::kTheController},
      {"mtp.v1.AgentService/CancelAction", For::kTheController},
      {"mtp.v1.AgentService/WatchAgent", For::kTheController},
      {"mtp.v1.AgentService/StreamLogs", For::kTheController},
      {"mtp.v1.AgentService/Exec", For::kTheController},
      {"mtp.v1.AgentService/CallGateway", For::kTheController},
      {"mtp.v1.AgentService/ExportBackup", For::kTheController},
      {"mtp.v1.AgentService/StoreState", For::kTheController},
      {"mtp.v1.AgentService/ReplaceTrust", For::kTheController},
      {"mtp.v1.AgentService/GrantLease", For::kTheController},
  };
  return *expected;
}

// A caller as the handshake proves it. Operators' names are those of their roles.
struct Who {
  tls::Identity identity;
  v1::Role role = v1::ROLE_UNSPECIFIED;
};

std::vector<Who> EveryCaller() {
  return {{{Kind::kAnonymous, "", ""}},
          {{Kind::kAgent, "f", "h1"}},
          // Names that operators have, too.
          {{Kind::kAgent, "f", "admin-role"}},
          {{Kind::kController, "f", ""}},
          {{Kind::kController, "other-fleet", ""}},
          {{Kind::kOperator, "other-fleet", "admin-role"}},
          {{Kind::kOperator, "f", "stranger"}},
          {{Kind::kOperator, "f", "viewer-role"}, v1::ROLE_VIEWER},
          {{Kind::kOperator, "f", "operator-role"}, v1::ROLE_OPERATOR},
          {{Kind::kOperator, "f", "admin-role"}, v1::ROLE_ADMIN}};
}

bool May(const Who& who, For whom) {
  switch (whom) {
    case For::kViewers:
      return who.role >= v1::ROLE_VIEWER;
    case For::kOperators:
      return who.role >= v1::ROLE_OPERATOR;
    case For::kAdmins:
      return who.role >= v1::ROLE_ADMIN;
    case For::kTheController:
      return who.identity.kind == Kind::kController && who.identity.fleet == "f";
    case For::kHostsWithAToken:  // has a listener of its own, where identities count for nothing
      return false;
  }
  return false;
}

class AccessTest : public Descriptors {
 protected:
  void SetUp() override {
    Descriptors::SetUp();
    for (const Who& who : EveryCaller()) {
      if (who.role == v1::ROLE_UNSPECIFIED) continue;
      state::v1::OperatorRecord record;
      record.set_name(who.identity.name);
      record.set_role(who.role);
      record.add_certificate_serials("0a");
      ASSERT_TRUE(
          store_
              ->Commit(kv::Txn().Put("/operators/" + who.identity.name, record.SerializeAsString()))
              .ok());
    }
    pool_.Start();
  }
  void TearDown() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    pool_.Stop();
  }

  static std::string Name(const MethodDescriptor& method) {
    return absl::StrCat(method.service()->full_name(), "/", method.name());
  }
  // Those of services that fulfil `choose` of the service's name.
  std::vector<std::string> Calls(const std::function<bool(const std::string&)>& choose) const {
    std::vector<std::string> calls;
    for (const MethodDescriptor* method : Methods()) {
      if (choose(method->service()->name())) calls.push_back(Name(*method));
    }
    EXPECT_FALSE(calls.empty());
    return calls;
  }
  std::vector<std::string> OperatorsCalls() const {
    return Calls([](const std::string& service) {
      return service != "AgentService" && service != "EnrollmentService";
    });
  }

  void Serve(grpc::ServerBuilder& builder, std::shared_ptr<grpc::ServerCredentials> credentials) {
    builder.AddListeningPort("127.0.0.1:0", std::move(credentials), &port_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  std::string Address() const { return absl::StrCat("127.0.0.1:", port_); }

  // Calls by name with an empty request; how it ended.
  static grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& name) {
    grpc::GenericStub stub(channel);
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    const auto next = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    auto call = stub.PrepareCall(&context, "/" + name, &queue);
    call->StartCall(nullptr);
    if (next()) {
      const grpc::Slice nothing;
      call->WriteLast(grpc::ByteBuffer(&nothing, 1), grpc::WriteOptions(), nullptr);
      next();
    }
    grpc::Status status;
    call->Finish(&status, nullptr);
    next();
    return status;
  }

  mtp::testing::SimClock clock_;
  mtp::testing::SeededRandom random_{1};
  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  Authorizer authorizer_{store_.get(), "f"};
  AuditLog audit_{store_.get(), &clock_, &random_};
  ThreadPool pool_{2};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(AccessTest, EveryCallHasAnExpectation) {
  std::vector<std::string> expected;
  for (const auto& [call, whom] : Expected()) expected.push_back(call);
  EXPECT_THAT(Calls([](const std::string&) { return true; }),
              ::testing::UnorderedElementsAreArray(expected))
      << "write down whom a new call is for";
}

TEST_F(AccessTest, TheControllerLetsInWhomACallIsForAndNobodyElse) {
  for (const std::string& call : OperatorsCalls()) {
    for (const Who& who : EveryCaller()) {
      SCOPED_TRACE(absl::StrCat(call, " by ", who.identity.ToString(), " of ", who.identity.fleet));
      const auto caller = authorizer_.Authorize({who.identity, "0a"}, call);
      EXPECT_EQ(caller.ok(), May(who, Expected().at(call))) << caller.status();
      if (caller.ok()) {
        EXPECT_EQ(caller->role, who.role);
      }
    }
  }
}

TEST_F(AccessTest, NoOperatorMayMakeCallsThatAreForPrograms) {
  for (const std::string& call : Calls([](const std::string& service) {
         return service == "AgentService" || service == "EnrollmentService";
       })) {
    for (const Who& who : EveryCaller()) {
      EXPECT_FALSE(authorizer_.Authorize({who.identity, "0a"}, call).ok()) << call;
    }
  }
}

// Without an identity nobody gets further than the gate, so the services need nothing behind it;
// the audit log shows by which name each handler asked.
TEST_F(AccessTest, EveryHandlerOfTheControllerAsksTheGateByItsOwnName) {
  const Gate gate(&authorizer_, &audit_, &pool_);
  TenantServiceImpl tenants(&gate, nullptr, nullptr, store_.get(), nullptr, nullptr);
  HostServiceImpl hosts(&gate, store_.get(), nullptr, nullptr, nullptr);
  BackupServiceImpl backups(&gate, nullptr, nullptr, nullptr, nullptr, "f");
  RolloutServiceImpl rollouts(&gate, store_.get(), nullptr);
  OperationServiceImpl operations(&gate, store_.get(), nullptr);
  FleetServiceImpl fleet(&gate, store_.get(), nullptr, nullptr, nullptr, nullptr, &audit_, &clock_,
                         "f");
  grpc::ServerBuilder builder;
  builder.RegisterService(&tenants);
  builder.RegisterService(&hosts);
  builder.RegisterService(&backups);
  builder.RegisterService(&rollouts);
  builder.RegisterService(&operations);
  builder.RegisterService(&fleet);
  Serve(builder, grpc::InsecureServerCredentials());
  const auto channel = grpc::CreateChannel(Address(), grpc::InsecureChannelCredentials());
  for (const std::string& call : OperatorsCalls()) {
    clock_.Advance(absl::Minutes(2));  // beyond the limit on refusals that are written down
    const grpc::Status status = Call(channel, call);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << call;
    const auto page = audit_.List(v1::ListAuditEntriesRequest());
    ASSERT_TRUE(page.ok() && page->entries_size() > 0) << call;
    EXPECT_EQ(page->entries(0).method(), call);
  }
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

TEST_F(AccessTest, TheAgentLetsInItsFleetsControllerAndNobodyElse) {
  mtp::testing::TempFolder folder;
  const tls::TestAuthority authority;
  const tls::Identity agent{Kind::kAgent, "f", "h1"};
  AgentServiceDeps deps;
  deps.calls = &pool_;
  deps.blocking = &pool_;
  // Whoever is let in goes no further: there is nothing behind it.
  deps.authorize = [](const grpc::ServerContextBase& context) {
    const absl::Status status = AuthorizeController(context, "f");
    return status.ok() ? absl::AlreadyExistsError("let in") : status;
  };
  const auto service = NewAgentService(std::move(deps));
  authority.Equip(folder / "agent", agent);
  grpc::ServerBuilder builder;
  builder.RegisterService(service.get());
  Serve(builder, tls::MutualTlsServer(folder / "agent"));
  int number = 0;
  for (const Who& who : EveryCaller()) {
    auto credentials = tls::ServerOnlyTlsClient(authority.pem());
    if (who.identity.kind != Kind::kAnonymous) {
      const std::string identity = folder / absl::StrCat("caller-", ++number);
      authority.Equip(identity, who.identity);
      credentials = tls::MutualTlsClient(identity);
    }
    const auto channel =
        grpc::CreateCustomChannel(Address(), credentials, tls::PeerArguments(agent));
    for (const std::string& call :
         Calls([](const std::string& service) { return service == "AgentService"; })) {
      SCOPED_TRACE(absl::StrCat(call, " by ", who.identity.ToString(), " of ", who.identity.fleet));
      const grpc::Status status = Call(channel, call);
      const auto refused = who.identity.kind == Kind::kAnonymous
                               ? grpc::StatusCode::UNAVAILABLE  // at the handshake
                               : grpc::StatusCode::PERMISSION_DENIED;
      EXPECT_EQ(status.error_code(),
                May(who, Expected().at(call)) ? grpc::StatusCode::ALREADY_EXISTS : refused)
          << status.error_message();
    }
  }
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

}  // namespace
}  // namespace mtp
