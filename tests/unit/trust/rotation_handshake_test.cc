// Real TLS while the authority is replaced: an operator calls the controller and the controller
// calls a host all the while, each time by a new connection.
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "agent/trust/trust.h"
#include "common/base/secret_box.h"
#include "common/kv/sqlite_store.h"
#include "common/tls/client_identity.h"
#include "common/tls/credentials.h"
#include "controller/pki/authority.h"
#include "mtp/v1/agent.grpc.pb.h"
#include "mtp/v1/fleet.grpc.pb.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

const tls::Identity kHost{tls::Identity::Kind::kAgent, "f", "h1"};
const tls::Identity kController{tls::Identity::Kind::kController, "f", ""};
const tls::Identity kOperator{tls::Identity::Kind::kOperator, "f", "alice"};
// Files are read again each second here.
constexpr absl::Duration kTakeUp = absl::Seconds(3);

class Agent final : public v1::AgentService::Service {
  grpc::Status ReplaceTrust(grpc::ServerContext*, const v1::ReplaceTrustRequest*,
                            v1::HostTrust*) override {
    return grpc::Status::OK;
  }
};
class Controller final : public v1::FleetService::Service {
  grpc::Status GetCapacity(grpc::ServerContext*, const v1::GetCapacityRequest*,
                           v1::Capacity*) override {
    return grpc::Status::OK;
  }
};

class RotationHandshakeTest : public ::testing::Test {
 protected:
  RotationHandshakeTest() {
    tls::PrepareTls();
    authority_.Follow(store_.get(), &box_);
    EnsureOwn();
    EXPECT_TRUE(authority_.EnsureIdentity(Folder("h1"), kHost, absl::Now()).ok());
    EXPECT_TRUE(authority_.EnsureIdentity(Folder("alice"), kOperator, absl::Now()).ok());
    api_ = Serve(&controller_, "controller", &api_port_);
    host_ = Serve(&agent_, "h1", &host_port_);
    identity_.emplace(Folder("controller"), 1);
  }
  ~RotationHandshakeTest() override {
    api_->Shutdown(std::chrono::system_clock::now());
    host_->Shutdown(std::chrono::system_clock::now());
  }

  std::string Folder(const std::string& name) const { return folder_ / name; }
  void EnsureOwn() {
    EXPECT_TRUE(authority_.EnsureIdentity(Folder("controller"), kController, absl::Now()).ok());
  }
  std::unique_ptr<grpc::Server> Serve(grpc::Service* service, const std::string& name, int* port) {
    grpc::ServerBuilder builder;
    tls::SetServerDefaults(builder);
    builder.AddListeningPort("127.0.0.1:0", tls::MutualTlsServer(Folder(name), 1), port);
    builder.RegisterService(service);
    return builder.BuildAndStart();
  }
  static std::shared_ptr<grpc::Channel> Channel(
      int port, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
      const tls::Identity& server) {
    grpc::ChannelArguments arguments = tls::PeerArguments(server);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port), credentials, arguments);
  }
  static void Limit(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
  grpc::Status CallController() const {
    const auto stub = v1::FleetService::NewStub(
        Channel(api_port_, tls::MutualTlsClient(Folder("alice")), kController));
    grpc::ClientContext context;
    Limit(context);
    v1::Capacity capacity;
    return stub->GetCapacity(&context, v1::GetCapacityRequest(), &capacity);
  }
  grpc::Status CallHost() const {
    const auto any = [](const std::string&) { return true; };
    const auto stub = v1::AgentService::NewStub(
        Channel(host_port_, identity_->CredentialsFor(kHost, any), kHost));
    grpc::ClientContext context;
    Limit(context);
    v1::HostTrust trust;
    return stub->ReplaceTrust(&context, v1::ReplaceTrustRequest(), &trust);
  }

  // As the rotation's steps and the keeper do it, one after another.
  void Put(const TrustedAuthorities& authorities) {
    EXPECT_TRUE(store_
                    ->Commit(kv::Txn().Put(kAuthoritiesKey,
                                           ToRecord(authorities, box_).SerializeAsString()))
                    .ok());
    EnsureOwn();
  }
  void TellHost(bool renew) {
    Trust trust(Folder("h1"), kHost, NullLog());
    v1::ReplaceTrustRequest request;
    request.set_wants_request(true);
    const std::string csr = trust.Replace(request)->csr_pem();
    request.Clear();
    const auto authorities = authority_.Now().value();
    request.set_ca_pem(authorities.Bundle());
    if (renew) request.set_certificate_pem(authorities.Issue(csr, kHost, absl::Now())->pem);
    EXPECT_TRUE(trust.Replace(request).ok());
  }
  void RenewOperator() {
    const SecretString key = tls::NewPrivateKey().value();
    const auto authorities = authority_.Now().value();
    const auto issued =
        authorities.Issue(tls::NewRequest(key, "x").value(), kOperator, absl::Now()).value();
    EXPECT_TRUE(tls::WriteIdentity(Folder("alice"), key, issued.pem, authorities.Bundle()).ok());
  }

  mtp::testing::TempFolder folder_;
  SystemClock clock_;
  SecretBox box_ = SecretBox::ForTest();
  Authority authority_ = Authority::OpenOrCreate(folder_ / "pki", "f", box_, clock_).value();
  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  Agent agent_;
  Controller controller_;
  int api_port_ = 0;
  int host_port_ = 0;
  std::unique_ptr<grpc::Server> api_;
  std::unique_ptr<grpc::Server> host_;
  std::optional<tls::ClientIdentity> identity_;
};

TEST_F(RotationHandshakeTest, NoCallFailsFromTheFirstStepToTheLast) {
  std::atomic<bool> done = false;
  std::atomic<int> succeeded = 0;
  std::atomic<int> failed = 0;
  const auto keep_calling = [&](const std::function<grpc::Status()>& call) {
    while (!done) {
      const grpc::Status status = call();
      ++(status.ok() ? succeeded : failed);
      if (!status.ok()) ADD_FAILURE() << status.error_message();
    }
  };
  std::thread as_operator(keep_calling, [&] { return CallController(); });
  std::thread as_controller(keep_calling, [&] { return CallHost(); });

  auto authorities = authority_.Now().value();
  const std::string old = authorities.issuer().pem;
  authorities.members.push_back(NewMember("f", absl::Now()).value());
  Put(authorities);
  TellHost(/*renew=*/false);
  absl::SleepFor(kTakeUp);
  authorities.issuing = 1;
  Put(authorities);
  TellHost(/*renew=*/true);
  RenewOperator();
  absl::SleepFor(kTakeUp);
  authorities.serving = 1;
  Put(authorities);
  absl::SleepFor(kTakeUp);
  authorities.members.erase(authorities.members.begin());
  authorities.issuing = authorities.serving = 0;
  Put(authorities);
  TellHost(/*renew=*/false);
  absl::SleepFor(kTakeUp);

  done = true;
  as_operator.join();
  as_controller.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(succeeded, 20);
  for (const char* name : {"controller", "h1"}) {
    const auto identity = tls::ReadIdentity(Folder(name)).value();
    EXPECT_FALSE(tls::CheckIssuer(identity.chain_pem, old).ok()) << name;
  }
}

}  // namespace
}  // namespace mtp
