#include <absl/strings/match.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <set>

#include "common/base/thread_pool.h"
#include "common/kv/sqlite_store.h"
#include "controller/api/enrollment_service.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using testing::SeededRandom;
using testing::SimClock;
using testing::TempFolder;

class EnrollmentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    pool_.Start();
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    stub_ = v1::EnrollmentService::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                                               grpc::InsecureChannelCredentials()));
  }
  void TearDown() override {
    server_->Shutdown(std::chrono::system_clock::now());
    pool_.Stop();
  }

  v1::JoinRequest NewRequest() {
    const auto token =
        tokens_.Create(HostName::Parse("h1").value(), absl::Hours(1), /*rejoin=*/true).value();
    v1::JoinRequest request;
    request.set_token_id(token.id);
    request.set_token_secret(std::string(token.secret.Reveal()));
    request.set_host_id("h1");
    request.set_csr_pem(tls::NewRequest(tls::NewPrivateKey().value(), "x").value());
    request.set_agent_address("127.0.0.1:7444");
    return request;
  }
  grpc::Status Join(const v1::JoinRequest& request) {
    clock_.Advance(absl::Milliseconds(1));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::JoinResponse response;
    return stub_->Join(&context, request, &response);
  }
  std::vector<v1::AuditEntry> Audit() const {
    const auto page = audit_.List(v1::ListAuditEntriesRequest());
    return {page->entries().begin(), page->entries().end()};
  }

  TempFolder folder_;
  SimClock clock_;
  SeededRandom random_{1};
  SecretBox box_ = SecretBox::ForTest();
  Authority authority_ = Authority::OpenOrCreate(folder_ / "pki", "f", box_, clock_).value();
  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  JoinTokens tokens_{store_.get(), &authority_, &clock_, &random_, "127.0.0.1:7443"};
  AuditLog audit_{store_.get(), &clock_, &random_};
  ThreadPool pool_{2};
  EnrollmentServiceImpl service_{&tokens_, &audit_, &clock_, &pool_};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::EnrollmentService::Stub> stub_;
};

TEST_F(EnrollmentTest, AJoinIsAuditedAsTheHosts) {
  const v1::JoinRequest request = NewRequest();
  const grpc::Status status = Join(request);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(Audit().size(), 1u);
  EXPECT_EQ(Audit()[0].actor(), "agent/h1");
  EXPECT_EQ(Audit()[0].target(), "hosts/h1");
  EXPECT_EQ(Audit()[0].code(), 0);
  EXPECT_EQ(Audit()[0].peer(), "127.0.0.1");
}

TEST_F(EnrollmentTest, EveryRefusalSoundsTheSameAndTheAuditLogKnowsWhy) {
  const v1::JoinRequest good = NewRequest();
  v1::JoinRequest unknown = good;
  unknown.set_token_id("01HZZZZZZZZZZZZZZZZZZZZZZZ");
  v1::JoinRequest wrong_secret = good;
  wrong_secret.set_token_secret("x");
  v1::JoinRequest other_host = good;
  other_host.set_host_id("h2");
  ASSERT_TRUE(Join(good).ok());
  v1::JoinRequest used = good;
  used.set_csr_pem(tls::NewRequest(tls::NewPrivateKey().value(), "x").value());
  const v1::JoinRequest expired = NewRequest();
  clock_.Advance(absl::Hours(2));

  std::set<std::string> heard;
  std::set<std::string> written;
  for (const auto& request : {unknown, wrong_secret, other_host, used, expired}) {
    const grpc::Status status = Join(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
    heard.insert(status.error_message());
    written.insert(Audit()[0].message());
    EXPECT_EQ(Audit()[0].actor(), "anonymous");
  }
  EXPECT_EQ(heard.size(), 1u);
  EXPECT_EQ(written.size(), 5u);
}

TEST_F(EnrollmentTest, NoSecretReachesTheStoreOrTheCaller) {
  v1::JoinRequest request = NewRequest();
  request.set_token_secret("super-secret-value");
  const grpc::Status status = Join(request);
  EXPECT_FALSE(absl::StrContains(status.error_message(), "super-secret-value"));
  for (const kv::Entry& entry : store_->List("/")) {
    EXPECT_FALSE(absl::StrContains(entry.value, "super-secret-value")) << entry.key;
  }
}

TEST_F(EnrollmentTest, TenRefusalsAMinuteAreEnoughEvenForAGoodTokenAndThenItIsAllowedAgain) {
  const v1::JoinRequest good = NewRequest();
  v1::JoinRequest bad = good;
  bad.set_token_secret("x");
  for (int i = 0; i < 10; ++i)
    ASSERT_EQ(Join(bad).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Join(good).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Audit().size(), 10u);
  clock_.Advance(absl::Seconds(61));
  EXPECT_TRUE(Join(good).ok());
}

TEST_F(EnrollmentTest, AMalformedRequestIsInvalidAndCounts) {
  v1::JoinRequest request = NewRequest();
  request.set_csr_pem("not a request");
  for (int i = 0; i < 10; ++i)
    ASSERT_EQ(Join(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Join(request).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace mtp
