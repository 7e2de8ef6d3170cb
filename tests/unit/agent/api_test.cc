#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "agent/api/agent_service.h"
#include "agent/api/authorize.h"
#include "common/base/atomic_file.h"
#include "common/base/thread_pool.h"
#include "common/tls/credentials.h"
#include "common/tls/keys.h"
#include "tests/unit/agent/fake_host.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

constexpr auto kDeadline = std::chrono::seconds(20);

// The service on a loopback port, over the fake host. Whoever calls may, unless a test says else.
class ApiTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(agent_.reconciler->Begin().ok());
    calls_.Start();
    blocking_.Start();
    Serve(grpc::InsecureServerCredentials());
  }
  void TearDown() override { StopServing(); }

  void Serve(std::shared_ptr<grpc::ServerCredentials> credentials) {
    AgentServiceDeps deps;
    deps.actions = &*agent_.actions;
    deps.board = &agent_.board;
    deps.targets = &targets_;
    deps.engine = &machine_.engine;
    deps.openclaw = &machine_.openclaw;
    deps.lease = &agent_.lease;
    deps.clock = &machine_.clock;
    deps.calls = &calls_;
    deps.blocking = &blocking_;
    deps.max_blocking = 2;
    deps.authorize = [this](const grpc::ServerContextBase& context) {
      return fleet_.empty() ? absl::OkStatus() : AuthorizeController(context, fleet_);
    };
    service_ = NewAgentService(std::move(deps));
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", std::move(credentials), &port_);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    stub_ = v1::AgentService::NewStub(
        grpc::CreateChannel(Address(), grpc::InsecureChannelCredentials()));
  }
  void StopServing() {
    if (!server_) return;
    server_->Shutdown(std::chrono::system_clock::now());
    blocking_.Stop();
    calls_.Stop();
    server_.reset();
  }
  std::string Address() const { return absl::StrCat("127.0.0.1:", port_); }
  static void Limit(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + kDeadline);
  }
  void Provision(const std::string& tenant) {
    ASSERT_EQ(agent_.Finish(ApplyRequest("setup/" + tenant, tenant, 1)).state(),
              v1::ACTION_STATE_DONE);
  }
  std::string ReadLog(const std::string& name, grpc::Status* status) {
    grpc::ClientContext context;
    Limit(&context);
    v1::StreamTenantLogsRequest request;
    request.set_name(name);
    auto stream = stub_->StreamLogs(&context, request);
    std::string log;
    for (v1::LogChunk chunk; stream->Read(&chunk);) log += chunk.data();
    *status = stream->Finish();
    return log;
  }

  FakeMachine machine_;
  FakeAgent agent_{&machine_};
  Targets targets_{"h1", &agent_.journal, &agent_.writer};
  std::string fleet_;  // Empty: everyone may call.
  ThreadPool calls_{2};
  ThreadPool blocking_{2};
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  std::unique_ptr<v1::AgentService::Stub> stub_;
};

TEST_F(ApiTest, AWatcherHearsAllThatIsKnownAndThenEachChange) {
  v1::TenantObservation acme;
  acme.set_tenant("acme");
  agent_.board.SetTenant(acme);
  grpc::ClientContext context;
  Limit(&context);
  auto stream = stub_->WatchAgent(&context, v1::WatchAgentRequest());
  std::vector<std::string> heard;
  for (v1::AgentEvent event; stream->Read(&event);) {
    if (event.has_tenant()) heard.push_back(event.tenant().tenant());
    if (!event.snapshot_complete()) continue;
    heard.push_back("complete");
    break;
  }
  v1::TenantObservation beta;
  beta.set_tenant("beta");
  agent_.board.SetTenant(beta);
  v1::AgentEvent event;
  while (stream->Read(&event) && !event.has_tenant()) {
  }
  EXPECT_EQ(event.tenant().tenant(), "beta");
  EXPECT_THAT(heard, ::testing::ElementsAre("acme", "complete"));
  context.TryCancel();
}

TEST_F(ApiTest, EachEventIsStampedAndALeaseIsGrantedForItsStamp) {
  grpc::ClientContext context;
  Limit(&context);
  auto stream = stub_->WatchAgent(&context, v1::WatchAgentRequest());
  v1::AgentEvent event;
  ASSERT_TRUE(stream->Read(&event));
  v1::GrantLeaseRequest request;
  *request.mutable_stamp() = event.lease_stamp();
  request.mutable_duration()->set_seconds(60);
  request.add_tenants()->set_tenant("acme");
  v1::GrantLeaseResponse response;
  grpc::ClientContext grant;
  Limit(&grant);
  EXPECT_TRUE(stub_->GrantLease(&grant, request, &response).ok());
  EXPECT_TRUE(agent_.lease.MayStart("acme", 0).ok());
  request.mutable_stamp()->set_agent_instance("another life");
  grpc::ClientContext late;
  Limit(&late);
  EXPECT_EQ(stub_->GrantLease(&late, request, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  context.TryCancel();
}

TEST_F(ApiTest, TwoWatchersHearTheSame) {
  grpc::ClientContext contexts[2];
  std::unique_ptr<grpc::ClientReader<v1::AgentEvent>> streams[2];
  for (int i = 0; i < 2; ++i) {
    Limit(&contexts[i]);
    streams[i] = stub_->WatchAgent(&contexts[i], v1::WatchAgentRequest());
  }
  v1::HostStatus host;
  host.set_cpus(7);
  agent_.board.SetHost(host);
  for (auto& stream : streams) {
    v1::AgentEvent event;
    while (stream->Read(&event) && !(event.has_host() && event.host().cpus() == 7)) {
    }
    EXPECT_EQ(event.host().cpus(), 7);
  }
  for (auto& context : contexts) context.TryCancel();
}

TEST_F(ApiTest, ALogIsStreamedWithoutTheTenantsSecrets) {
  Provision("acme");
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].log = "polling with 123:planted-secret\nlast line";
  }
  grpc::Status status;
  const std::string log = ReadLog("tenants/acme", &status);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(log, "polling with [redacted]\nlast line");
}

TEST_F(ApiTest, CallsForATenantThatIsElsewhereAreNotFound) {
  grpc::Status status;
  ReadLog("tenants/ghost", &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  ReadLog("admins/h2", &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  ReadLog("../../etc/passwd", &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ApiTest, AGatewayIsCalledOnlyWhileItsContainerRuns) {
  Provision("acme");
  v1::CallTenantGatewayRequest request;
  request.set_name("tenants/acme");
  request.set_method("health");
  v1::CallTenantGatewayResponse response;
  grpc::ClientContext running;
  Limit(&running);
  EXPECT_TRUE(stub_->CallGateway(&running, request, &response).ok());
  EXPECT_EQ(response.payload_json(), "{}");
  {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.containers["mtp-acme"].running = false;
  }
  grpc::ClientContext stopped;
  Limit(&stopped);
  EXPECT_EQ(stub_->CallGateway(&stopped, request, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(ApiTest, AnActionsRefusalReachesTheCallerWithItsSentence) {
  v1::Action action;
  grpc::ClientContext context;
  Limit(&context);
  const grpc::Status status =
      stub_->EnsureAction(&context, ApplyRequest("o/1", "admin", 1), &action);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("reserved"));
}

TEST_F(ApiTest, ACommandIsBounded) {
  Provision("acme");
  v1::ExecTenantRequest request;
  request.set_name("tenants/acme");
  for (int i = 0; i < 129; ++i) request.add_command("x");
  grpc::ClientContext context;
  Limit(&context);
  auto stream = stub_->Exec(&context, request);
  v1::ExecOutput output;
  while (stream->Read(&output)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

// Identities of a fleet, issued by its authority.
class ApiTlsTest : public ApiTest {
 protected:
  void SetUp() override {
    auto key = tls::NewPrivateKey();
    ASSERT_TRUE(key.ok());
    authority_key_ = *std::move(key);
    auto authority = tls::NewAuthority(authority_key_, "f", absl::Now() - absl::Hours(1),
                                       absl::Now() + absl::Hours(1));
    ASSERT_TRUE(authority.ok());
    authority_ = *authority;
    ASSERT_TRUE(agent_.reconciler->Begin().ok());
    calls_.Start();
    blocking_.Start();
    fleet_ = "f";
    Serve(tls::MutualTlsServer(NewIdentity({tls::Identity::Kind::kAgent, "f", "h1"})));
  }

  std::string NewIdentity(const tls::Identity& identity) {
    const std::string folder = machine_.folder / absl::StrCat("identity-", ++identities_);
    auto key = tls::NewPrivateKey();
    auto request = tls::NewRequest(*key, "x");
    auto issued =
        tls::Issue(*request, {identity, absl::Now() - absl::Hours(1), absl::Now() + absl::Hours(1)},
                   authority_, authority_key_);
    EXPECT_TRUE(issued.ok()) << issued.status();
    EXPECT_TRUE(MakeFolders(folder, 0700).ok());
    EXPECT_TRUE(tls::WriteIdentity(folder, *key, issued->pem + authority_, authority_).ok());
    return folder;
  }

  grpc::Status CallAs(const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    auto channel = grpc::CreateCustomChannel(
        Address(), credentials, tls::PeerArguments({tls::Identity::Kind::kAgent, "f", "h1"}));
    auto stub = v1::AgentService::NewStub(channel);
    v1::CancelActionRequest request;
    request.set_key("never/was");
    v1::Action action;
    grpc::ClientContext context;
    Limit(&context);
    return stub->CancelAction(&context, request, &action);
  }

  SecretString authority_key_;
  std::string authority_;
  int identities_ = 0;
};

TEST_F(ApiTlsTest, TheControllerIsServed) {
  const auto folder = NewIdentity({tls::Identity::Kind::kController, "f", ""});
  EXPECT_EQ(CallAs(tls::MutualTlsClient(folder)).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ApiTlsTest, OperatorsAndOtherAgentsAreRefused) {
  for (auto kind : {tls::Identity::Kind::kOperator, tls::Identity::Kind::kAgent}) {
    const auto folder = NewIdentity({kind, "f", "someone"});
    const grpc::Status status = CallAs(tls::MutualTlsClient(folder));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_THAT(status.error_message(), HasSubstr("someone"));
  }
}

TEST_F(ApiTlsTest, TheControllerOfAnotherFleetUnderTheSameAuthorityIsRefused) {
  const auto folder = NewIdentity({tls::Identity::Kind::kController, "g", ""});
  EXPECT_EQ(CallAs(tls::MutualTlsClient(folder)).error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(ApiTlsTest, ACallerWithoutACertificateEndsAtTheHandshake) {
  EXPECT_EQ(CallAs(tls::ServerOnlyTlsClient(authority_)).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace mtp
