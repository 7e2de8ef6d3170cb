// Over real TLS: a caller whose controller has another authority gets a certificate of it.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include "common/tls/credentials.h"
#include "common/tls/keys.h"
#include "mtp/v1/fleet.grpc.pb.h"
#include "tests/unit/cli/cli_fixture.h"
#include "tests/unit/tls/fleet_keys.h"

namespace mtp::cli {
namespace {

using tls::kController;
using tls::kOperator;

class FollowAuthority : public CliTest, public v1::FleetService::Service {
 protected:
  FollowAuthority() {
    environment_.connect = [this](const Endpoint& endpoint) {
      return absl::StatusOr<std::shared_ptr<grpc::Channel>>(grpc::CreateCustomChannel(
          absl::StrCat("127.0.0.1:", port_), tls::MutualTlsClient(endpoint.identity_folder),
          tls::PeerArguments(kController)));
    };
  }
  ~FollowAuthority() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
  }

  grpc::Status GetCapacity(grpc::ServerContext*, const v1::GetCapacityRequest*,
                           v1::Capacity*) override {
    return grpc::Status::OK;
  }
  grpc::Status RenewCertificate(grpc::ServerContext*, const v1::RenewCertificateRequest* request,
                                v1::RenewCertificateResponse* response) override {
    ++renewals_;
    response->set_certificate_pem(
        next_.Sign(request->csr_pem(), kOperator, absl::Now() + absl::Hours(24 * 365)).pem);
    response->set_ca_pem(next_.pem() + old_.pem());
    return grpc::Status::OK;
  }
  // The controller's own certificate is of the old one; behind it are those that it trusts.
  void Serve(const std::string& bundle) {
    const SecretString key = tls::NewPrivateKey().value();
    const auto issued = old_.Sign(tls::NewRequest(key, "x").value(), kController);
    ASSERT_TRUE(tls::WriteIdentity(folder_ / "controller", key, issued.pem, bundle).ok());
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", tls::MutualTlsServer(folder_ / "controller"), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  // Made so long ago, and good for another year.
  void Give(absl::Duration age) { Give(age, old_.pem()); }
  void Give(absl::Duration age, const std::string& trusted) {
    const SecretString key = tls::NewPrivateKey().value();
    const auto issued = old_.SignFrom(tls::NewRequest(key, "x").value(), kOperator,
                                      absl::Now() - age, absl::Now() + absl::Hours(24 * 365));
    ASSERT_TRUE(tls::WriteIdentity(folder_ / "id", key, issued.pem, trusted).ok());
  }
  int Capacity() {
    return RunBare({"--controller", "c:1", "--identity", folder_ / "id", "capacity"});
  }

  const tls::TestAuthority old_;
  const tls::TestAuthority next_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  int renewals_ = 0;
};

TEST_F(FollowAuthority, RenewsOnceWhenAnotherAuthorityIssues) {
  Serve(next_.pem() + old_.pem());
  Give(absl::Hours(3));
  EXPECT_EQ(Capacity(), 0) << err();
  EXPECT_EQ(err(), "");
  EXPECT_EQ(renewals_, 1);
  const auto identity = tls::ReadIdentity(folder_ / "id").value();
  EXPECT_TRUE(tls::CheckIssuer(identity.chain_pem, next_.pem()).ok());
  EXPECT_EQ(Capacity(), 0) << err();
  EXPECT_EQ(renewals_, 1);
}

TEST_F(FollowAuthority, DoesNothingWhenItIsTheSame) {
  Serve(old_.pem() + next_.pem());
  Give(absl::Hours(3));
  EXPECT_EQ(Capacity(), 0) << err();
  EXPECT_EQ(renewals_, 0) << "the new one is made, and does not issue yet";
}

// The rotation has ended: a former authority must not vouch for a controller any more.
TEST_F(FollowAuthority, RenewsOnceWhenItTrustsOneThatTheControllerDoesNot) {
  Serve(old_.pem());
  Give(absl::Hours(3), old_.pem() + next_.pem());
  EXPECT_EQ(Capacity(), 0) << err();
  EXPECT_EQ(renewals_, 1);
}

TEST_F(FollowAuthority, DoesNothingForAnIdentityThatWasJustMade) {
  Serve(next_.pem() + old_.pem());
  Give(absl::Minutes(11));
  EXPECT_EQ(Capacity(), 0) << err();
  EXPECT_EQ(renewals_, 0);
}

}  // namespace
}  // namespace mtp::cli
