// Who gets a connection, with real gRPC servers on loopback.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <memory>

#include "common/tls/client_identity.h"
#include "common/tls/credentials.h"
#include "common/tls/peer.h"
#include "mtp/v1/enrollment.grpc.pb.h"
#include "tests/support/test_fleet.h"
#include "tests/support/tls_restricted.h"
#include "tests/unit/tls/raw_tls.h"

namespace mtp::tls {
namespace {

using mtp::testing::RawServer;
using mtp::testing::ServerTakes;
using mtp::testing::TestFleet;

// Answers with who called: `<uri> <serial>`.
class Mirror final : public v1::EnrollmentService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* context, const v1::JoinRequest*,
                                 v1::JoinResponse* response) override {
    const Peer peer = ReadPeer(*context->auth_context());
    response->set_fleet(peer.identity.Uri() + " " + peer.serial);
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

class TestServer {
 public:
  explicit TestServer(const std::shared_ptr<grpc::ServerCredentials>& credentials) {
    grpc::ServerBuilder builder;
    SetServerDefaults(builder);
    builder.AddListeningPort("127.0.0.1:0", credentials, &port_);
    builder.RegisterService(&mirror_);
    server_ = builder.BuildAndStart();
  }
  ~TestServer() { server_->Shutdown(std::chrono::system_clock::now()); }
  int port() const { return port_; }

 private:
  Mirror mirror_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

struct Answer {
  grpc::Status status;
  std::string caller;
};

Answer Call(int port, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
            const Identity& expected) {
  grpc::ChannelArguments arguments = PeerArguments(expected);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto channel =
      grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port), credentials, arguments);
  const auto stub = v1::EnrollmentService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  v1::JoinResponse response;
  Answer answer;
  answer.status = stub->Join(&context, v1::JoinRequest(), &response);
  answer.caller = response.fleet();
  return answer;
}

bool IsRefused(const Answer& answer) {
  return answer.status.error_code() == grpc::StatusCode::UNAVAILABLE && answer.caller.empty();
}

class Handshake : public ::testing::Test {
 protected:
  TestFleet fleet_;
  TestServer server_{MutualTlsServer(fleet_.Folder(fleet_.Controller()))};

  Answer CallController(const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    return Call(server_.port(), credentials, fleet_.Controller());
  }
};

TEST_F(Handshake, ACallerOfTheFleetIsLetInAndKnownByUriAndSerial) {
  std::string serial;
  const std::string folder =
      fleet_.Folder(fleet_.Operator("alice"), absl::Minutes(10), absl::Hours(1), "", &serial);
  const Answer answer = CallController(MutualTlsClient(folder));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.caller, "spiffe://acme-fleet/operator/alice " + serial);
}

TEST_F(Handshake, ACallerWithoutACertificateIsRefused) {
  EXPECT_TRUE(IsRefused(CallController(ServerOnlyTlsClient(fleet_.ca()))));
}

TEST_F(Handshake, ACallerInPlaintextIsRefused) {
  EXPECT_TRUE(IsRefused(CallController(grpc::InsecureChannelCredentials())));
}

TEST_F(Handshake, ACertificateOfAnotherAuthorityIsRefusedEvenWithTheSameNames) {
  TestFleet impostor(fleet_.name());
  const std::string folder =
      impostor.Folder(impostor.Operator("alice"), absl::Minutes(10), absl::Hours(1), fleet_.ca());
  EXPECT_TRUE(IsRefused(CallController(MutualTlsClient(folder))));
}

TEST_F(Handshake, AnExpiredCertificateIsRefused) {
  const std::string folder =
      fleet_.Folder(fleet_.Operator("alice"), absl::Hours(2), -absl::Hours(1));
  EXPECT_TRUE(IsRefused(CallController(MutualTlsClient(folder))));
}

TEST_F(Handshake, ACertificateOfTheFutureIsRefused) {
  const std::string folder =
      fleet_.Folder(fleet_.Operator("alice"), -absl::Hours(1), absl::Hours(2));
  EXPECT_TRUE(IsRefused(CallController(MutualTlsClient(folder))));
}

TEST_F(Handshake, Tls12IsRefusedByServersAndTls13IsNot) {
  const std::string folder = fleet_.Folder(fleet_.Operator("alice"));
  EXPECT_FALSE(ServerTakes(server_.port(), TLS1_VERSION, folder));
  EXPECT_FALSE(ServerTakes(server_.port(), TLS1_1_VERSION, folder));
  EXPECT_FALSE(ServerTakes(server_.port(), TLS1_2_VERSION, folder));
  EXPECT_TRUE(ServerTakes(server_.port(), TLS1_3_VERSION, folder));
}

TEST_F(Handshake, Tls12IsRefusedByTheEnrolmentListenerToo) {
  TestServer enrolment(EnrollmentServer(fleet_.Folder(fleet_.Controller())));
  const std::string folder = fleet_.Folder(fleet_.Operator("alice"));
  EXPECT_FALSE(ServerTakes(enrolment.port(), TLS1_2_VERSION, folder));
  EXPECT_TRUE(ServerTakes(enrolment.port(), TLS1_3_VERSION, folder));
}

TEST_F(Handshake, Tls12IsRefusedByClientsAndTls13IsNot) {
  const auto credentials = MutualTlsClient(fleet_.Folder(fleet_.Operator("alice")));
  const std::string folder = fleet_.Folder(fleet_.Controller());
  RawServer old(TLS1_2_VERSION, folder);
  EXPECT_TRUE(IsRefused(Call(old.port(), credentials, fleet_.Controller())));
  EXPECT_FALSE(old.ShookHands());
  RawServer current(TLS1_3_VERSION, folder);
  Call(current.port(), credentials, fleet_.Controller());
  EXPECT_TRUE(current.ShookHands());
}

TEST_F(Handshake, TheEnrolmentListenerTakesStrangersAsAnonymous) {
  TestServer enrolment(EnrollmentServer(fleet_.Folder(fleet_.Controller())));
  const Answer answer =
      Call(enrolment.port(), ServerOnlyTlsClient(fleet_.ca()), fleet_.Controller());
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.caller, " ");
}

TEST_F(Handshake, AServerOfAnotherNameIsRefusedByTheCaller) {
  TestServer agent(MutualTlsServer(fleet_.Folder(fleet_.Agent("h1"))));
  const auto credentials = MutualTlsClient(fleet_.Folder(fleet_.Controller()));
  EXPECT_TRUE(Call(agent.port(), credentials, fleet_.Agent("h1")).status.ok());
  EXPECT_TRUE(IsRefused(Call(agent.port(), credentials, fleet_.Agent("h2"))));
  EXPECT_TRUE(IsRefused(Call(agent.port(), credentials, fleet_.Controller())));
}

TEST_F(Handshake, AServerOfAnotherAuthorityIsRefusedByTheCaller) {
  TestFleet impostor(fleet_.name());
  TestServer agent(MutualTlsServer(
      impostor.Folder(impostor.Agent("h1"), absl::Minutes(10), absl::Hours(1), fleet_.ca())));
  const auto credentials = MutualTlsClient(fleet_.Folder(fleet_.Controller()));
  EXPECT_TRUE(IsRefused(Call(agent.port(), credentials, fleet_.Agent("h1"))));
}

TEST_F(Handshake, AnOperatorsCertificateCannotServe) {
  TestServer pretender(MutualTlsServer(fleet_.Folder(fleet_.Operator("alice"))));
  const auto credentials = MutualTlsClient(fleet_.Folder(fleet_.Controller()));
  EXPECT_TRUE(IsRefused(Call(pretender.port(), credentials, fleet_.Controller())));
}

TEST_F(Handshake, AHostIsRefusedByTheControllerOnceItsCertificateIsNotInUse) {
  std::string serial;
  TestServer agent(MutualTlsServer(
      fleet_.Folder(fleet_.Agent("h1"), absl::Minutes(10), absl::Hours(1), "", &serial)));
  const ClientIdentity controller(fleet_.Folder(fleet_.Controller()));
  auto only = [](std::string wanted) {
    return [wanted = std::move(wanted)](const std::string& shown) { return shown == wanted; };
  };
  const Answer answer =
      Call(agent.port(), controller.CredentialsFor(fleet_.Agent("h1"), only(serial)),
           fleet_.Agent("h1"));
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_TRUE(
      IsRefused(Call(agent.port(), controller.CredentialsFor(fleet_.Agent("h1"), only("another")),
                     fleet_.Agent("h1"))));
}

TEST_F(Handshake, AHostIsRefusedByTheControllerWhenItIsAnotherHostOrStranger) {
  TestServer agent(MutualTlsServer(fleet_.Folder(fleet_.Agent("h1"))));
  const ClientIdentity controller(fleet_.Folder(fleet_.Controller()));
  auto any = [](const std::string&) { return true; };
  EXPECT_TRUE(IsRefused(
      Call(agent.port(), controller.CredentialsFor(fleet_.Agent("h2"), any), fleet_.Agent("h2"))));
  TestFleet impostor(fleet_.name());
  TestServer stranger(MutualTlsServer(
      impostor.Folder(impostor.Agent("h1"), absl::Minutes(10), absl::Hours(1), fleet_.ca())));
  EXPECT_TRUE(IsRefused(Call(stranger.port(), controller.CredentialsFor(fleet_.Agent("h1"), any),
                             fleet_.Agent("h1"))));
}

TEST_F(Handshake, ACertificateReplacedOnDiskIsTakenUpWithoutARestart) {
  const std::string folder = fleet_.Folder(fleet_.Agent("h1"));
  TestServer agent(MutualTlsServer(folder, /*refresh_s=*/1));
  const auto credentials = MutualTlsClient(fleet_.Folder(fleet_.Controller()));
  ASSERT_TRUE(IsRefused(Call(agent.port(), credentials, fleet_.Agent("h2"))));
  fleet_.WriteTo(folder, fleet_.Agent("h2"));
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  Answer answer;
  do {
    answer = Call(agent.port(), credentials, fleet_.Agent("h2"));
  } while (!answer.status.ok() && absl::Now() < deadline);
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
}

TEST(PeerAddress, LosesItsPort) {
  EXPECT_EQ(PeerAddress("ipv4:10.0.0.1:4711"), "10.0.0.1");
  EXPECT_EQ(PeerAddress("ipv6:%5B::1%5D:4711"), "%5B::1%5D");
  EXPECT_EQ(PeerAddress("unix:"), "unix:");
}

TEST(WriteIdentity, KeepsTheKeyFromOthers) {
  TestFleet fleet;
  const std::string folder = fleet.Folder(fleet.Agent("h1"));
  struct stat facts {};
  ASSERT_EQ(stat(IdentityFolder(folder).key.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  ASSERT_EQ(stat(folder.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700u);
}

}  // namespace
}  // namespace mtp::tls
