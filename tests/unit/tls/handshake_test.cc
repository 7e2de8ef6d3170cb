// Real servers on loopback ports: who gets in and who does not.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>

#include "common/base/atomic_file.h"
#include "common/tls/credentials.h"
#include "common/tls/peer.h"
#include "mtp/v1/operation.grpc.pb.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/tls/fleet_keys.h"

namespace mtp::tls {
namespace {

// Before gRPC begins, as every program of ours does it.
const bool kRestricted = [] {
  PrepareTls();
  return true;
}();

constexpr auto kDeadline = std::chrono::seconds(20);

// Answers with the caller's identity as the operation's name, its serial as the operation's kind.
class WhoAmI final : public v1::OperationService::Service {
 public:
  grpc::Status GetOperation(grpc::ServerContext* context, const v1::GetOperationRequest*,
                            v1::Operation* operation) override {
    const Peer peer = ReadPeer(*context->auth_context());
    operation->set_name(peer.identity.ToString());
    operation->set_kind(peer.serial);
    return grpc::Status::OK;
  }
};

class HandshakeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(kRestricted);
    authority_.Equip(folder_ / "server", kController);
  }
  void TearDown() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
  }

  void Serve(std::shared_ptr<grpc::ServerCredentials> credentials) {
    grpc::ServerBuilder builder;
    SetServerDefaults(builder);
    builder.AddListeningPort("127.0.0.1:0", std::move(credentials), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  void ServeMutualTls() { Serve(MutualTlsServer(folder_ / "server")); }

  // One call over a connection of its own.
  grpc::Status Call(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                    v1::Operation* answer, const Identity& server = kController) {
    grpc::ChannelArguments arguments = PeerArguments(server);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto stub = v1::OperationService::NewStub(
        grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port_), credentials, arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    return stub->GetOperation(&context, v1::GetOperationRequest(), answer);
  }
  void ExpectRefused(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                     const Identity& server = kController) {
    v1::Operation answer;
    EXPECT_EQ(Call(credentials, &answer, server).error_code(), grpc::StatusCode::UNAVAILABLE);
  }

  // A TLS client without gRPC that offers at most `version`; true when it was let in.
  bool Connects(int version) {
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(
        SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    const IdentityFolder files(folder_ / "client");
    SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str());
    SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_set_max_proto_version(context.get(), version);
    const unsigned char alpn[] = {2, 'h', '2'};
    SSL_CTX_set_alpn_protos(context.get(), alpn, sizeof(alpn));
    BIO* bio = BIO_new_ssl_connect(context.get());
    BIO_set_conn_hostname(bio, absl::StrCat("127.0.0.1:", port_).c_str());
    const bool connected = BIO_do_connect(bio) == 1;
    // gRPC speaks first, with its settings: a byte proves that the server accepted us too.
    char byte = 0;
    const bool answered = connected && BIO_read(bio, &byte, 1) == 1;
    BIO_free_all(bio);
    return answered;
  }

  TestAuthority authority_;
  mtp::testing::TempFolder folder_;
  WhoAmI service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

TEST(PrepareTls, TakesAwayWhatWouldLogDecryptedBytes) {
  setenv("GRPC_TRACE", "all", /*overwrite=*/1);
  PrepareTls();
  EXPECT_EQ(getenv("GRPC_TRACE"), nullptr);
}

TEST_F(HandshakeTest, TellsWhoCalled) {
  ServeMutualTls();
  const std::string serial = authority_.Equip(folder_ / "client", kOperator);
  v1::Operation answer;
  const grpc::Status status = Call(MutualTlsClient(folder_ / "client"), &answer);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answer.name(), "operator/alice");
  EXPECT_EQ(answer.kind(), serial);
}

TEST_F(HandshakeTest, RefusesACallerWithoutACertificate) {
  ServeMutualTls();
  ExpectRefused(ServerOnlyTlsClient(authority_.pem()));
}

TEST_F(HandshakeTest, RefusesACallerOfAnotherAuthority) {
  ServeMutualTls();
  TestAuthority other;
  other.Equip(folder_ / "client", kOperator);
  // It trusts our server, so that only the server can be the one who refuses.
  ASSERT_TRUE(
      WriteFileAtomically(IdentityFolder(folder_ / "client").authority, authority_.pem(), 0644)
          .ok());
  ExpectRefused(MutualTlsClient(folder_ / "client"));
}

TEST_F(HandshakeTest, RefusesACallerWhoseCertificateHasExpired) {
  ServeMutualTls();
  authority_.Equip(folder_ / "client", kOperator, absl::Now() - absl::Minutes(1));
  ExpectRefused(MutualTlsClient(folder_ / "client"));
}

TEST_F(HandshakeTest, RefusesPlaintext) {
  ServeMutualTls();
  ExpectRefused(grpc::InsecureChannelCredentials());
}

TEST_F(HandshakeTest, DoesNotTalkToAServerOfAnotherAuthority) {
  TestAuthority other;
  other.Equip(folder_ / "server", kController);
  ServeMutualTls();
  authority_.Equip(folder_ / "client", kOperator);
  ExpectRefused(MutualTlsClient(folder_ / "client"));
}

TEST_F(HandshakeTest, DoesNotTalkToAServerThatIsSomeoneElse) {
  authority_.Equip(folder_ / "server", kAgent);
  ServeMutualTls();
  authority_.Equip(folder_ / "client", kController);
  v1::Operation answer;
  EXPECT_TRUE(Call(MutualTlsClient(folder_ / "client"), &answer, kAgent).ok());
  ExpectRefused(MutualTlsClient(folder_ / "client"), kController);
  ExpectRefused(MutualTlsClient(folder_ / "client"), {Identity::Kind::kAgent, "fleet1", "h2"});
}

TEST_F(HandshakeTest, DoesNotTalkToAnOperatorThatServes) {
  authority_.Equip(folder_ / "server", kOperator);
  ServeMutualTls();
  authority_.Equip(folder_ / "client", kAgent);
  ExpectRefused(MutualTlsClient(folder_ / "client"));
}

TEST_F(HandshakeTest, LetsWhoeverEnrolsInWithoutACertificateAsAnonymous) {
  Serve(EnrollmentServer(folder_ / "server"));
  v1::Operation answer;
  const grpc::Status status = Call(ServerOnlyTlsClient(authority_.pem()), &answer);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(answer.name(), "anonymous");
  ExpectRefused(ServerOnlyTlsClient(TestAuthority().pem()));
}

TEST_F(HandshakeTest, SpeaksTls13AndNothingOlder) {
  ServeMutualTls();
  authority_.Equip(folder_ / "client", kOperator);
  EXPECT_TRUE(Connects(TLS1_3_VERSION));
  EXPECT_FALSE(Connects(TLS1_2_VERSION));
}

TEST_F(HandshakeTest, TakesUpACertificateThatIsReplacedOnDisk) {
  authority_.Equip(folder_ / "client", kOperator);
  authority_.Equip(folder_ / "server", kAgent);
  ServeMutualTls();
  v1::Operation answer;
  ASSERT_TRUE(Call(MutualTlsClient(folder_ / "client"), &answer, kAgent).ok());
  authority_.Equip(folder_ / "server", kController);
  // Files are looked at every 10 s.
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  grpc::Status status;
  do {
    status = Call(MutualTlsClient(folder_ / "client"), &answer, kController);
    if (!status.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  } while (!status.ok() && std::chrono::steady_clock::now() < give_up);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

}  // namespace
}  // namespace mtp::tls
