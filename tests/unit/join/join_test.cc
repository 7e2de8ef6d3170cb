// A host joins: the agent's side and the controller's, over real TLS on loopback.
#include "agent/join/join.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/base/atomic_file.h"
#include "common/base/thread_pool.h"
#include "common/base/timestamps.h"
#include "common/kv/sqlite_store.h"
#include "common/kv/table.h"
#include "common/tls/credentials.h"
#include "controller/api/enrollment_service.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

// Before gRPC begins, as every program of ours does it.
const bool kRestricted = [] {
  tls::PrepareTls();
  return true;
}();

// A controller's enrolment listener with an authority of its own.
class Fleet {
 public:
  Fleet() {
    const tls::Identity controller{tls::Identity::Kind::kController, "f", ""};
    EXPECT_TRUE(authority_.EnsureIdentity(folder_ / "id", controller, clock_.Now()).ok());
    pool_.Start();
    grpc::ServerBuilder builder;
    tls::SetServerDefaults(builder);
    builder.AddListeningPort("127.0.0.1:0", tls::EnrollmentServer(folder_ / "id"), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
  }
  ~Fleet() {
    server_->Shutdown(std::chrono::system_clock::now());
    pool_.Stop();
  }

  tls::JoinToken NewToken(const std::string& host = "h1", bool rejoin = false) {
    JoinTokens tokens(store_.get(), &authority_, &clock_, &random_, address());
    return tokens.Create(HostName::Parse(host).value(), absl::Hours(1), rejoin).value();
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  std::string Serial(const std::string& host) const { return Record(host).certificate_serial(); }
  const Authority& authority() const { return authority_; }
  // A host that joined `ago` and was off since: its files, and its record.
  void AddHostThatJoined(absl::Duration ago, const std::string& folder) {
    const tls::Identity host{tls::Identity::Kind::kAgent, "f", "h1"};
    const absl::Time then = clock_.Now() - ago;
    state::v1::HostRecord record;
    record.set_name("h1");
    record.set_certificate_serial(authority_.EnsureIdentity(folder, host, then).value());
    *record.mutable_certificate_expire_time() = ToTimestamp(then + kCertificateLifetime);
    record.set_cordoned(true);
    ASSERT_TRUE(store_->Commit(kv::Txn().Put("/hosts/h1", record.SerializeAsString())).ok());
  }
  state::v1::HostRecord Record(const std::string& host) const {
    return kv::Table<state::v1::HostRecord>(store_.get(), "/hosts/").Get(host)->value;
  }

 private:
  testing::TempFolder folder_;
  SystemClock clock_;
  SystemRandom random_;
  SecretBox box_ = SecretBox::ForTest();
  Authority authority_ = Authority::OpenOrCreate(folder_ / "pki", "f", box_, clock_).value();
  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  JoinTokens tokens_{store_.get(), &authority_, &clock_, &random_, ""};
  AuditLog audit_{store_.get(), &clock_, &random_};
  ThreadPool pool_{2};
  EnrollmentServiceImpl service_{&tokens_, &audit_, &clock_, &pool_};
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

class JoinTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(kRestricted); }
  absl::StatusOr<agent::JoinResult> Join(const tls::JoinToken& token) {
    return agent::Join(token, host_ / "identity", "10.0.0.5:7444");
  }
  tls::CertificateFacts Certificate() const {
    return tls::ReadCertificate(
               ReadFile(tls::IdentityFolder(host_ / "identity").certificate, 1 << 16).value())
        .value();
  }

  Fleet fleet_;
  testing::TempFolder host_;
};

TEST_F(JoinTest, AHostGetsItsIdentityAndKeepsItsKeyToItself) {
  const auto joined = Join(fleet_.NewToken());
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->host, "h1");
  EXPECT_EQ(joined->fleet, "f");
  EXPECT_EQ(Certificate().identity.Uri(), "spiffe://f/agent/h1");
  EXPECT_EQ(Certificate().serial, fleet_.Serial("h1"));
  const tls::IdentityFolder files(host_ / "identity");
  EXPECT_EQ(ReadFile(files.authority, 1 << 16).value(), fleet_.authority().pem());
  struct stat facts {};
  ASSERT_EQ(stat(files.key.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
}

TEST_F(JoinTest, TheSameHostAskingAgainEndsTheSame) {
  const tls::JoinToken token = fleet_.NewToken();
  ASSERT_TRUE(Join(token).ok());
  ASSERT_TRUE(Join(token).ok());
  EXPECT_EQ(Certificate().serial, fleet_.Serial("h1"));
}

TEST_F(JoinTest, AHostThatWasOffForLongerThanItsCertificateLivedComesBackWithAToken) {
  fleet_.AddHostThatJoined(absl::Hours(24 * 500), host_ / "identity");
  ASSERT_LT(Certificate().not_after, absl::Now());
  ASSERT_TRUE(Join(fleet_.NewToken("h1", /*rejoin=*/true)).ok());
  EXPECT_GT(Certificate().not_after, absl::Now() + absl::Hours(24 * 360));
  EXPECT_EQ(Certificate().serial, fleet_.Serial("h1"));
  EXPECT_TRUE(fleet_.Record("h1").cordoned()) << "what is known of it stays";
  EXPECT_EQ(tls::ReadIdentity(host_ / "identity")->facts.serial, fleet_.Serial("h1"));
}

TEST_F(JoinTest, AnotherMachineWithAUsedTokenIsRefusedWithOneSentence) {
  const tls::JoinToken token = fleet_.NewToken();
  ASSERT_TRUE(Join(token).ok());
  testing::TempFolder other;
  const auto joined = agent::Join(token, other / "identity", "10.0.0.6:7444");
  EXPECT_TRUE(absl::IsPermissionDenied(joined.status())) << joined.status();
  EXPECT_TRUE(absl::StrContains(joined.status().message(), "mtp-cli host token"));
  EXPECT_TRUE(absl::IsNotFound(
      ReadFile(tls::IdentityFolder(other / "identity").certificate, 1 << 16).status()));
}

TEST_F(JoinTest, AControllerOfAnotherAuthorityNeverSeesTheToken) {
  Fleet impostor;
  tls::JoinToken token = fleet_.NewToken();
  token.address = impostor.address();
  const auto joined = Join(token);
  EXPECT_TRUE(absl::IsFailedPrecondition(joined.status())) << joined.status();
  EXPECT_TRUE(absl::StrContains(joined.status().message(), "fingerprint")) << joined.status();
}

TEST_F(JoinTest, NobodyAtTheAddressIsUnavailable) {
  tls::JoinToken token = fleet_.NewToken();
  token.address = "127.0.0.1:1";
  EXPECT_TRUE(absl::IsUnavailable(Join(token).status()));
}

TEST_F(JoinTest, AWrongSecretIsRefusedAndLaterTheRightOneStillWorks) {
  tls::JoinToken token = fleet_.NewToken();
  tls::JoinToken altered = fleet_.NewToken();
  altered.id = token.id;
  EXPECT_TRUE(absl::IsPermissionDenied(Join(altered).status()));
  EXPECT_TRUE(Join(token).ok());
}

}  // namespace
}  // namespace mtp
