// A host's certificate is replaced under its running server while the controller keeps connecting.
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "agent/trust/trust.h"
#include "common/base/secret_box.h"
#include "common/kv/sqlite_store.h"
#include "common/tls/credentials.h"
#include "controller/hosts/agent_channels.h"
#include "controller/pki/authority.h"
#include "controller/pki/host_certificate.h"
#include "controller/trust/agent_trust.h"
#include "mtp/v1/agent.grpc.pb.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

const tls::Identity kHost{tls::Identity::Kind::kAgent, "f", "h1"};
const tls::Identity kController{tls::Identity::Kind::kController, "f", ""};
constexpr int kRenewals = 4;

class Service final : public v1::AgentService::Service {
 public:
  explicit Service(Trust* trust) : trust_(trust) {}
  grpc::Status ReplaceTrust(grpc::ServerContext*, const v1::ReplaceTrustRequest* request,
                            v1::HostTrust* response) override {
    auto answer = trust_->Replace(*request);
    if (!answer.ok()) return grpc::Status(grpc::StatusCode::INTERNAL, "refused");
    *response = *answer;
    return grpc::Status::OK;
  }

 private:
  Trust* const trust_;
};

class RenewalHandshakeTest : public ::testing::Test {
 protected:
  RenewalHandshakeTest() {
    tls::PrepareTls();
    EXPECT_TRUE(authority_.EnsureIdentity(folder_ / "controller", kController, clock_.Now()).ok());
    const auto serial = authority_.EnsureIdentity(folder_ / "host", kHost, clock_.Now());
    grpc::ServerBuilder builder;
    tls::SetServerDefaults(builder);
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", tls::MutualTlsServer(folder_ / "host", 1), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    record_.set_name("h1");
    record_.set_agent_address(absl::StrCat("127.0.0.1:", port));
    record_.set_certificate_serial(*serial);
    Put();
    identity_.emplace(folder_ / "controller");
    channels_.emplace(store_.get(), &*identity_, "f");
  }
  ~RenewalHandshakeTest() override { server_->Shutdown(std::chrono::system_clock::now()); }

  void Put() {
    EXPECT_TRUE(store_->Commit(kv::Txn().Put("/hosts/h1", record_.SerializeAsString())).ok());
  }
  // By a connection of its own: credentials differ by their verifier, and none is shared.
  grpc::Status Call(const v1::ReplaceTrustRequest& request, v1::HostTrust* trust) const {
    const auto stub = v1::AgentService::NewStub(channels_->To("h1", record_.agent_address()));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return stub->ReplaceTrust(&context, request, trust);
  }
  // As TrustKeeper does it.
  void Renew() {
    v1::ReplaceTrustRequest request;
    request.set_wants_request(true);
    v1::HostTrust trust;
    ASSERT_TRUE(Call(request, &trust).ok());
    const auto issued = authority_.Issue(trust.csr_pem(), kHost, clock_.Now()).value();
    record_.set_next_certificate_pem(issued.pem);
    Put();
    request.Clear();
    request.set_certificate_pem(issued.pem);
    ASSERT_TRUE(Call(request, &trust).ok());
    AgentTrust agents(nullptr, &*channels_);
    const absl::Time give_up = absl::Now() + absl::Seconds(60);
    while (!agents.Shows("h1", issued.serial).ok() && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(50));
    }
    ASSERT_TRUE(agents.Shows("h1", issued.serial).ok());
    const std::string before = record_.certificate_serial();
    record_.set_certificate_serial(issued.serial);
    record_.clear_next_certificate_pem();
    Put();
    EXPECT_EQ(agents.Shows("h1", before).code(), absl::StatusCode::kUnavailable);
  }

  mtp::testing::TempFolder folder_;
  SystemClock clock_;
  SecretBox box_ = SecretBox::ForTest();
  Authority authority_ = Authority::OpenOrCreate(folder_ / "pki", "f", box_, clock_).value();
  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  Trust trust_{folder_ / "host", kHost, NullLog()};
  Service service_{&trust_};
  std::unique_ptr<grpc::Server> server_;
  state::v1::HostRecord record_;
  std::optional<tls::ClientIdentity> identity_;
  std::optional<AgentChannels> channels_;
};

TEST_F(RenewalHandshakeTest, NoConnectionFailsWhileCertificatesAreReplaced) {
  const std::string address = record_.agent_address();
  std::atomic<bool> done = false;
  std::atomic<int> failed = 0;
  std::atomic<int> succeeded = 0;
  std::thread caller([&] {
    while (!done) {
      const auto stub = v1::AgentService::NewStub(channels_->To("h1", address));
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
      v1::HostTrust trust;
      const grpc::Status status = stub->ReplaceTrust(&context, v1::ReplaceTrustRequest(), &trust);
      ++(status.ok() ? succeeded : failed);
      if (!status.ok()) ADD_FAILURE() << status.error_message();
    }
  });
  for (int i = 0; i < kRenewals && !HasFatalFailure(); ++i) Renew();
  done = true;
  caller.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(succeeded, kRenewals);
}

}  // namespace
}  // namespace mtp
