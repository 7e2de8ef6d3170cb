// The authority is replaced under a fleet of hosts and operators: real keys and files, the real
// operations engine, virtual time.
#include "controller/trust/rotation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/trust/trust.h"
#include "common/base/atomic_file.h"
#include "common/base/secret_box.h"
#include "common/base/timestamps.h"
#include "common/kv/sqlite_store.h"
#include "controller/pki/host_certificate.h"
#include "controller/pki/join_tokens.h"
#include "controller/pki/operators.h"
#include "controller/trust/trust_keeper.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const tls::Identity kController{tls::Identity::Kind::kController, "f", ""};

class RotationTest : public ::testing::Test {
 protected:
  RotationTest() {
    authority_.Follow(store_.get(), &box_);
    EXPECT_TRUE(RenewOwn().ok());
    for (const char* host : {"h1", "h2"}) AddHost(host);
    AddOperator("alice");
    StartController();
  }
  void TearDown() override { StopController(); }

  tls::Identity Host(const std::string& host) const {
    return {tls::Identity::Kind::kAgent, "f", host};
  }
  std::string Folder(const std::string& name) const { return folder_ / name; }
  absl::Status RenewOwn() const {
    return authority_.EnsureIdentity(Folder("controller"), kController, clock_.Now()).status();
  }
  // As joining leaves it.
  void AddHost(const std::string& host) {
    const auto authorities = authority_.Now().value();
    const SecretString key = tls::NewPrivateKey().value();
    const auto issued =
        authorities.Issue(tls::NewRequest(key, "x").value(), Host(host), clock_.Now()).value();
    ASSERT_TRUE(tls::WriteIdentity(Folder(host), key, issued.pem, authorities.Bundle()).ok());
    state::v1::HostRecord record;
    record.set_name(host);
    record.set_certificate_serial(issued.serial);
    *record.mutable_certificate_expire_time() = ToTimestamp(clock_.Now() + kCertificateLifetime);
    record.set_ca_sha256(tls::Sha256Hex(authorities.Bundle()));
    record.set_authority(authorities.issuer().fingerprint);
    ASSERT_TRUE(store_->Commit(kv::Txn().Put("/hosts/" + host, record.SerializeAsString())).ok());
    Connect(host, true);
  }
  void Connect(const std::string& host, bool connected) {
    observations_.Update(host, [&](HostObservation& seen) { seen.connected = connected; });
  }
  std::string Csr() const { return tls::NewRequest(tls::NewPrivateKey().value(), "x").value(); }
  void AddOperator(const std::string& name) {
    Operators operators(store_.get(), &authority_, &clock_);
    const auto added =
        operators.Add(OperatorName::Parse(name).value(), v1::ROLE_ADMIN, Csr()).value();
    serials_[name] = tls::ReadCertificate(added.certificate_pem())->serial;
  }
  v1::RenewCertificateResponse RenewOperator(const std::string& name) {
    Operators operators(store_.get(), &authority_, &clock_);
    auto renewed = operators.Renew(name, serials_[name], Csr()).value();
    serials_[name] = tls::ReadCertificate(renewed.certificate_pem())->serial;
    return renewed;
  }

  RotationClients Clients() {
    return {store_.get(), &authority_, &box_, &clock_, [this] { return RenewOwn(); }};
  }
  void StartController() {
    operations::Engine::Options options;
    engine_ = std::make_unique<operations::Engine>(store_.get(), &clock_, &random_, &executor_,
                                                   std::move(options));
    engine_->Register(RotateAuthorityKind(Clients()));
    ASSERT_TRUE(engine_->Start().ok());
    TrustKeeper::Edges edges;
    edges.replace = [this](const std::string& host, const v1::ReplaceTrustRequest& request) {
      ExpectHandshake(host);
      return Trust(Folder(host), Host(host), NullLog()).Replace(request);
    };
    edges.shows = [this](const std::string& host, const std::string& serial) {
      ExpectHandshake(host);
      return tls::ReadIdentity(Folder(host))->facts.serial == serial
                 ? absl::OkStatus()
                 : absl::UnavailableError("not yet");
    };
    edges.renew_own = [this] { return RenewOwn(); };
    keeper_ = std::make_shared<TrustKeeper>(store_.get(), &authority_, &observations_, &clock_,
                                            &executor_, std::move(edges), NullLog());
    keeper_->Start();
  }
  void StopController() {
    if (keeper_) keeper_->Stop();
    if (engine_) engine_->Stop();
    executor_.DropAll();
  }
  void RestartController() {
    StopController();
    StartController();
  }
  // Both ends as their files are would shake hands, and the record allows what the host shows.
  void ExpectHandshake(const std::string& host) const {
    const auto read = [](const std::string& path) { return ReadFile(path, 1 << 16).value(); };
    const auto theirs = tls::ReadIdentity(Folder(host)).value();
    const auto ours = tls::ReadIdentity(Folder("controller")).value();
    EXPECT_TRUE(tls::CheckIssuer(theirs.chain_pem, read(Folder("controller") + "/ca.pem")).ok());
    EXPECT_TRUE(tls::CheckIssuer(ours.chain_pem, read(Folder(host) + "/ca.pem")).ok()) << host;
    EXPECT_TRUE(MayUse(Record(host), theirs.facts.serial)) << host;
  }
  state::v1::HostRecord Record(const std::string& host) const {
    return Tables(store_.get()).hosts.Get(host)->value;
  }

  absl::StatusOr<v1::Operation> Begin(absl::Duration drop_after = absl::Hours(24 * 30),
                                      const std::string& request_id = "") {
    v1::RotateAuthorityRequest request;
    request.mutable_drop_old_after()->set_seconds(absl::ToInt64Seconds(drop_after));
    request.set_request_id(request_id);
    auto begun = Rotations(Clients(), engine_.get()).Begin("operator/alice", request);
    if (begun.ok()) id_ = begun->name().substr(begun->name().find('/') + 1);
    return begun;
  }
  v1::Operation Operation() const { return engine_->Get(id_).value(); }
  size_t Trusted() const { return authority_.Now()->members.size(); }
  void RunMinutes(int minutes) { executor_.RunFor(absl::Minutes(minutes)); }
  void ExpectRotated() {
    EXPECT_EQ(Operation().state(), v1::OPERATION_STATE_SUCCEEDED) << Operation().DebugString();
    const auto authorities = authority_.Now().value();
    EXPECT_EQ(authorities.members.size(), 1u);
    EXPECT_NE(authorities.issuer().fingerprint, authority_.fingerprint());
    for (const char* host : {"h1", "h2"}) {
      EXPECT_TRUE(TrustsAll(Record(host), authorities));
      EXPECT_FALSE(NeedsRenewal(Record(host), authorities, clock_.Now()));
      EXPECT_EQ(ReadFile(Folder(host) + "/ca.pem", 1 << 16).value(), authorities.Bundle());
      ExpectHandshake(host);
    }
    EXPECT_THAT(*HostsToRenew(store_.get(), authorities), IsEmpty());
  }

  mtp::testing::TempFolder folder_;
  mtp::testing::SimClock clock_;
  mtp::testing::SimExecutor executor_{&clock_, nullptr};
  mtp::testing::SeededRandom random_{1};
  SecretBox box_ = SecretBox::ForTest();
  Authority authority_ = Authority::OpenOrCreate(folder_ / "pki", "f", box_, clock_).value();
  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  Observations observations_;
  std::unique_ptr<operations::Engine> engine_;
  std::shared_ptr<TrustKeeper> keeper_;
  std::map<std::string, std::string> serials_;
  std::string id_;
};

TEST_F(RotationTest, EveryoneGetsTheNewOneAndThenTheOldOneIsNotTrustedAnyMore) {
  ASSERT_TRUE(Begin().ok());
  RunMinutes(10);
  EXPECT_EQ(Trusted(), 2u) << "alice has not renewed";
  EXPECT_THAT(*OperatorsToRenew(store_.get(), *authority_.Now()), ElementsAre("alice"));
  const auto renewed = RenewOperator("alice");
  EXPECT_EQ(renewed.ca_pem(), authority_.Now()->Bundle());
  EXPECT_TRUE(tls::CheckIssuer(renewed.certificate_pem(), authority_.Now()->issuer().pem).ok());
  RunMinutes(10);
  ExpectRotated();
}

TEST_F(RotationTest, TheControllerShowsTheOldOneUntilTheOperatorsHaveTheNewOne) {
  ASSERT_TRUE(Begin().ok());
  RunMinutes(10);
  const auto own = tls::ReadIdentity(Folder("controller")).value();
  EXPECT_TRUE(tls::CheckIssuer(own.chain_pem, authority_.pem()).ok());
  RenewOperator("alice");
  RunMinutes(10);
  ExpectRotated();
  EXPECT_FALSE(
      tls::CheckIssuer(tls::ReadIdentity(Folder("controller"))->chain_pem, authority_.pem()).ok());
}

TEST_F(RotationTest, OperatorsAreNotWaitedForLongerThanWasSaid) {
  ASSERT_TRUE(Begin(absl::Hours(3)).ok());
  executor_.RunFor(absl::Hours(2));
  EXPECT_EQ(Trusted(), 2u);
  executor_.RunFor(absl::Hours(2));
  ExpectRotated();
  EXPECT_EQ(Operation().result().at("left_behind"), "alice");
}

TEST_F(RotationTest, AHostThatIsAwayIsWaitedForAndNamed) {
  Connect("h2", false);
  ASSERT_TRUE(Begin().ok());
  executor_.RunFor(absl::Hours(3));
  EXPECT_EQ(authority_.Now()->issuing, 0u) << "nothing is issued that h2 would not trust";
  EXPECT_THAT(Operation().DebugString(), ::testing::HasSubstr("h2"));
  Connect("h2", true);
  RunMinutes(10);
  EXPECT_EQ(authority_.Now()->issuing, 1u);
  Connect("h2", false);
  RenewOperator("alice");
  Connect("h2", true);
  RunMinutes(10);
  ExpectRotated();
}

TEST_F(RotationTest, AHostThatJoinsMeanwhileIsOneOfThem) {
  ASSERT_TRUE(Begin().ok());
  RunMinutes(10);
  AddHost("h3");
  RenewOperator("alice");
  RunMinutes(10);
  ExpectRotated();
  ExpectHandshake("h3");
  EXPECT_TRUE(TrustsAll(Record("h3"), *authority_.Now()));
}

TEST_F(RotationTest, AJoinTokenWorksForAsLongAsItsAuthorityIsShown) {
  JoinTokens tokens(store_.get(), &authority_, &clock_, &random_, "10.0.0.1:7444");
  const auto before = tokens.Create(HostName::Parse("h7").value(), absl::Hours(24), false);
  ASSERT_TRUE(Begin().ok());
  RunMinutes(10);
  const auto meanwhile = tokens.Create(HostName::Parse("h8").value(), absl::Hours(24), false);
  EXPECT_EQ(before->authority_fingerprint, meanwhile->authority_fingerprint);
  v1::JoinRequest request;
  request.set_token_id(before->id);
  request.set_token_secret(std::string(before->secret.Reveal()));
  request.set_host_id("h7");
  request.set_csr_pem(Csr());
  request.set_agent_address("10.0.0.7:7443");
  const auto joined = tokens.Redeem(request);
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->ca_pem(), authority_.Now()->Bundle());
  EXPECT_EQ(Record("h7").authority(), authority_.Now()->issuer().fingerprint);
}

TEST_F(RotationTest, ASecondOneIsRefusedAndTheSameRequestIsTheSame) {
  const auto first = Begin(absl::Hours(1), "r1");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(Begin(absl::Hours(1), "r1")->name(), first->name());
  EXPECT_TRUE(absl::IsFailedPrecondition(Begin(absl::Hours(1), "r2").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Begin(absl::Hours(24 * 366), "r3").status()));
}

TEST_F(RotationTest, CanBeTakenBackUntilTheNewOneIssues) {
  Connect("h2", false);
  ASSERT_TRUE(Begin().ok());
  RunMinutes(10);
  EXPECT_EQ(Trusted(), 2u);
  ASSERT_TRUE(engine_->Cancel(id_).ok());
  RunMinutes(10);
  EXPECT_EQ(Operation().state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_EQ(authority_.Now()->issuer().fingerprint, authority_.fingerprint());
  EXPECT_EQ(Trusted(), 1u);
  Connect("h2", true);
  RunMinutes(10);
  for (const char* host : {"h1", "h2"}) EXPECT_TRUE(TrustsAll(Record(host), *authority_.Now()));
  // And begun again.
  ASSERT_TRUE(Begin().ok());
  RunMinutes(10);
  RenewOperator("alice");
  RunMinutes(10);
  ExpectRotated();
}

TEST_F(RotationTest, CannotBeTakenBackAfterThat) {
  ASSERT_TRUE(Begin().ok());
  RunMinutes(10);
  EXPECT_EQ(authority_.Now()->issuing, 1u);
  EXPECT_TRUE(absl::IsFailedPrecondition(engine_->Cancel(id_).status()));
  EXPECT_FALSE(Operation().cancel_requested());
  RenewOperator("alice");
  RunMinutes(10);
  EXPECT_EQ(Trusted(), 1u);
  EXPECT_NE(authority_.Now()->issuer().fingerprint, authority_.fingerprint());
}

TEST_F(RotationTest, AnotherRotationFollows) {
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Begin().ok());
    RunMinutes(10);
    RenewOperator("alice");
    RunMinutes(10);
    ExpectRotated();
  }
}

// Killed after so many tasks, until it has ended before that.
TEST_F(RotationTest, WhereverTheControllerIsKilledItGoesOn) {
  const int kMostTasks = 200;
  int tasks = 1;
  for (bool ended = false; !ended && tasks < kMostTasks; ++tasks) {
    SCOPED_TRACE(tasks);
    ASSERT_TRUE(Begin(absl::Minutes(3)).ok());
    for (int i = 0; i < tasks; ++i) executor_.RunNext();
    ended = Operation().state() == v1::OPERATION_STATE_SUCCEEDED;
    RestartController();
    RunMinutes(20);
    ExpectRotated();
    if (HasFailure()) return;
  }
  EXPECT_LT(tasks, kMostTasks) << "some run has to end without being killed";
  EXPECT_GT(tasks, 10);
}

}  // namespace
}  // namespace mtp
