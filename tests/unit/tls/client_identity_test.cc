#include "common/tls/client_identity.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>

#include "common/tls/credentials.h"
#include "mtp/v1/operation.grpc.pb.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/tls/fleet_keys.h"
#include "tests/unit/tls/raw_tls.h"

namespace mtp::tls {
namespace {

using mtp::testing::RawServer;

// Whom a caller lets serve it. The servers answer UNIMPLEMENTED to every call: proof that the
// connection was made.
class ClientIdentityTest : public ::testing::Test {
 protected:
  void SetUp() override { authority_.Equip(folder_ / "controller", kController); }
  void TearDown() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
  }

  void Serve(const std::string& folder) {
    grpc::ServerBuilder builder;
    SetServerDefaults(builder);
    builder.AddListeningPort("127.0.0.1:0", MutualTlsServer(folder), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  static grpc::StatusCode Call(int port,
                               const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                               const Identity& server) {
    grpc::ChannelArguments arguments = PeerArguments(server);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto stub = v1::OperationService::NewStub(
        grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port), credentials, arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::Operation answer;
    return stub->GetOperation(&context, v1::GetOperationRequest(), &answer).error_code();
  }
  // With the controller's identity, to whoever proves to be `server` with the certificate `serial`.
  grpc::StatusCode CallAsController(const Identity& server, const std::string& serial) {
    const ClientIdentity controller(folder_ / "controller");
    const auto accept = [serial](const std::string& shown) { return shown == serial; };
    return Call(port_, controller.CredentialsFor(server, accept), server);
  }

  TestAuthority authority_;
  mtp::testing::TempFolder folder_;
  v1::OperationService::Service service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

TEST_F(ClientIdentityTest, TalksToAHostWhoseCertificateIsInUse) {
  const std::string serial = authority_.Equip(folder_ / "h1", kAgent);
  Serve(folder_ / "h1");
  EXPECT_EQ(CallAsController(kAgent, serial), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(ClientIdentityTest, DoesNotTalkToAHostWhoseCertificateWasReplaced) {
  authority_.Equip(folder_ / "h1", kAgent);
  const std::string newer = authority_.Equip(folder_ / "new-h1", kAgent);
  Serve(folder_ / "h1");
  EXPECT_EQ(CallAsController(kAgent, newer), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ClientIdentityTest, AsksInEachHandshakeWhichCertificateWillDoNow) {
  const std::string serial = authority_.Equip(folder_ / "h1", kAgent);
  Serve(folder_ / "h1");
  const ClientIdentity controller(folder_ / "controller");
  std::atomic<bool> in_use = true;
  const auto credentials = controller.CredentialsFor(
      kAgent, [&](const std::string& shown) { return in_use && shown == serial; });
  EXPECT_EQ(Call(port_, credentials, kAgent), grpc::StatusCode::UNIMPLEMENTED);
  in_use = false;
  EXPECT_EQ(Call(port_, credentials, kAgent), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ClientIdentityTest, DoesNotTalkToAnotherHostOrToTheControllerInsteadOfAHost) {
  const Identity h2{Identity::Kind::kAgent, "fleet1", "h2"};
  const std::string serial = authority_.Equip(folder_ / "h1", kAgent);
  Serve(folder_ / "h1");
  EXPECT_EQ(CallAsController(h2, serial), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(CallAsController(kController, serial), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ClientIdentityTest, DoesNotTalkToAHostOfAnotherAuthority) {
  const TestAuthority other;
  const std::string serial = other.Equip(folder_ / "h1", kAgent);
  Serve(folder_ / "h1");
  EXPECT_EQ(CallAsController(kAgent, serial), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ClientIdentityTest, DoesNotTalkToAServerThatKnowsOnlyTls12) {
  PrepareTls();
  authority_.Equip(folder_ / "h1", kAgent);
  const auto credentials = MutualTlsClient(folder_ / "controller");
  RawServer old(TLS1_2_VERSION, folder_ / "h1");
  EXPECT_EQ(Call(old.port(), credentials, kAgent), grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(old.ShookHands());
  RawServer current(TLS1_3_VERSION, folder_ / "h1");
  Call(current.port(), credentials, kAgent);
  EXPECT_TRUE(current.ShookHands());
}

}  // namespace
}  // namespace mtp::tls
