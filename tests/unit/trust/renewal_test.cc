// Hosts' certificates over time: the controller's keeper and the agent's files, with everything
// lost and killed in between. Real keys, virtual time.
#include <absl/strings/match.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "agent/trust/trust.h"
#include "common/base/atomic_file.h"
#include "common/base/secret_box.h"
#include "common/base/timestamps.h"
#include "common/kv/sqlite_store.h"
#include "controller/pki/host_certificate.h"
#include "controller/trust/trust_keeper.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

const tls::Identity kHost{tls::Identity::Kind::kAgent, "f", "h1"};
constexpr absl::Duration kDue = absl::Hours(24 * 280);

class RenewalTest : public ::testing::Test {
 protected:
  RenewalTest() {
    first_ = authority_.EnsureIdentity(Folder(), kHost, clock_.Now()).value();
    state::v1::HostRecord host;
    host.set_name("h1");
    host.set_certificate_serial(first_);
    host.set_ca_sha256(tls::Sha256Hex(authority_.pem()));
    host.set_authority(authority_.fingerprint());
    *host.mutable_certificate_expire_time() = ToTimestamp(clock_.Now() + kCertificateLifetime);
    Put(host);
    Connect(true);
    StartController();
    TakeUp();
  }
  void TearDown() override { keeper_->Stop(); }

  std::string Folder() const { return folder_ / "identity"; }
  state::v1::HostRecord Record() const { return tables_.hosts.Get("h1")->value; }
  void Put(const state::v1::HostRecord& host) {
    kv::Txn txn;
    tables_.hosts.Put(txn, "h1", host);
    ASSERT_TRUE(store_->Commit(txn).ok());
  }
  void Connect(bool connected) {
    observations_.Update("h1", [&](HostObservation& seen) { seen.connected = connected; });
  }
  // Of the pair that the host has: there must be one at all times.
  tls::CertificateFacts Has() const {
    const auto identity = tls::ReadIdentity(Folder());
    EXPECT_TRUE(identity.ok()) << identity.status();
    return identity.ok() ? identity->facts : tls::CertificateFacts();
  }
  // The host shows what it has now; until then it goes on with what it had.
  void TakeUp() { served_ = Has().serial; }

  void StartController() {
    if (keeper_) keeper_->Stop();
    executor_.DropAll();
    TrustKeeper::Edges edges;
    edges.replace = [this](const std::string&, const v1::ReplaceTrustRequest& request) {
      return Call(request);
    };
    edges.shows = [this](const std::string&, const std::string& serial) {
      // The session's verifier and the one of this check see the same handshake.
      EXPECT_TRUE(MayUse(Record(), served_)) << "the host would be locked out";
      return serial == served_ ? absl::OkStatus() : absl::UnavailableError("not yet");
    };
    edges.renew_own = [this] {
      ++own_looks_;
      return absl::OkStatus();
    };
    keeper_ = std::make_shared<TrustKeeper>(store_.get(), &authority_, &observations_, &clock_,
                                            &executor_, std::move(edges), NullLog());
    keeper_->Start();
  }
  absl::StatusOr<v1::HostTrust> Call(const v1::ReplaceTrustRequest& request) {
    calls_.push_back(request);
    if (lose_requests_ > 0 && --lose_requests_ == 0) return absl::UnavailableError("lost");
    auto answer = Trust(Folder(), kHost, NullLog()).Replace(request);
    if (lose_answers_ > 0 && --lose_answers_ == 0) return absl::UnavailableError("answer lost");
    return answer;
  }
  // The end of every story: within some minutes there is a new certificate, and it alone is good.
  void ExpectRenewed() {
    for (int i = 0; i < 3; ++i) {
      TakeUp();
      executor_.RunFor(absl::Minutes(2));
    }
    const auto record = Record();
    EXPECT_EQ(record.certificate_serial(), Has().serial);
    EXPECT_NE(record.certificate_serial(), first_);
    EXPECT_EQ(record.next_certificate_pem(), "");
    EXPECT_EQ(FromTimestamp(record.certificate_expire_time()), Has().not_after);
    EXPECT_GT(Has().not_after, clock_.Now() + absl::Hours(24 * 300));
    EXPECT_FALSE(MayUse(record, first_));
    EXPECT_TRUE(MayUse(record, served_));
    EXPECT_TRUE(CertificateWarning(record, clock_.Now()).empty());
  }

  mtp::testing::TempFolder folder_;
  mtp::testing::SimClock clock_;
  mtp::testing::SimExecutor executor_{&clock_, nullptr};
  SecretBox box_ = SecretBox::ForTest();
  Authority authority_ = Authority::OpenOrCreate(folder_ / "pki", "f", box_, clock_).value();
  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  const Tables tables_{store_.get()};
  Observations observations_;
  std::shared_ptr<TrustKeeper> keeper_;
  std::string first_;
  std::string served_;
  std::vector<v1::ReplaceTrustRequest> calls_;
  int lose_requests_ = 0;  // the so-many-th is lost; 0: none
  int lose_answers_ = 0;
  int own_looks_ = 0;
};

TEST_F(RenewalTest, NothingIsDoneAboutAHostWhoseCertificateIsNotDue) {
  clock_.Advance(kCertificateLifetime * 2 / 3 - absl::Hours(24));
  executor_.RunFor(absl::Minutes(10));
  EXPECT_TRUE(calls_.empty());
  EXPECT_GE(own_looks_, 10) << "the controller's own is looked at, too";
}

TEST_F(RenewalTest, ADueCertificateIsRenewedWithAKeyMadeOnTheHost) {
  const std::string key = Has().key;
  clock_.Advance(kDue);
  executor_.RunFor(absl::Minutes(1));
  EXPECT_NE(Has().serial, first_);
  EXPECT_NE(Has().key, key);
  ExpectRenewed();
  const size_t calls = calls_.size();
  executor_.RunFor(absl::Hours(24));
  EXPECT_EQ(calls_.size(), calls) << "then there is peace";
}

TEST_F(RenewalTest, BothCertificatesAreGoodUntilTheNewOneWasSeenInAHandshake) {
  clock_.Advance(kDue);
  executor_.RunFor(absl::Minutes(30));  // the host goes on showing the old one
  EXPECT_TRUE(MayUse(Record(), first_));
  EXPECT_TRUE(MayUse(Record(), Has().serial));
  EXPECT_NE(Has().serial, first_);
  TakeUp();
  executor_.RunFor(absl::Minutes(1));
  EXPECT_FALSE(MayUse(Record(), first_));
  ExpectRenewed();
}

TEST_F(RenewalTest, AHostThatIsAwayIsRenewedOnceItIsBack) {
  Connect(false);
  clock_.Advance(kDue);
  executor_.RunFor(absl::Hours(1));
  EXPECT_TRUE(calls_.empty());
  Connect(true);
  ExpectRenewed();
}

TEST_F(RenewalTest, WhicheverMessageIsLostItEndsTheSame) {
  for (int lost = 1; lost <= 3; ++lost) {
    for (int* what : {&lose_requests_, &lose_answers_}) {
      SCOPED_TRACE(lost);
      first_ = Has().serial;
      clock_.Advance(kDue);
      *what = lost;
      executor_.RunFor(absl::Minutes(1));
      *what = 0;
      ExpectRenewed();
    }
  }
}

// A loss between any two steps leaves the controller with what it had put into its record.
TEST_F(RenewalTest, WhereverTheControllerIsKilledItGoesOnWithTheSameCertificate) {
  clock_.Advance(kDue);
  lose_requests_ = 2;  // asked, prepared, and then killed before the certificate was sent
  keeper_->Look();
  const std::string next = NextSerial(Record());
  EXPECT_NE(next, "");
  EXPECT_EQ(Has().serial, first_);
  StartController();
  keeper_->Look();
  EXPECT_EQ(Has().serial, next) << "the one that was prepared, and no other";
  StartController();  // killed again, before the handshake was seen
  ExpectRenewed();
  EXPECT_EQ(Record().certificate_serial(), next);
}

TEST_F(RenewalTest, ACertificateThatArrivesLateLocksNobodyOut) {
  clock_.Advance(kDue);
  lose_requests_ = 2;
  keeper_->Look();
  const v1::ReplaceTrustRequest late = calls_.back();
  ASSERT_FALSE(late.certificate_pem().empty());
  ExpectRenewed();
  ASSERT_TRUE(Trust(Folder(), kHost, NullLog()).Replace(late).ok());
  TakeUp();
  EXPECT_TRUE(MayUse(Record(), served_));
  // That of a key which the host has lost since is refused by the host.
  clock_.Advance(kDue);
  first_ = Has().serial;
  lose_requests_ = 2;
  keeper_->Look();
  const v1::ReplaceTrustRequest stale = calls_.back();
  unlink((Folder() + "/next-key.pem").c_str());
  keeper_->Look();
  EXPECT_FALSE(Trust(Folder(), kHost, NullLog()).Replace(stale).ok());
  ExpectRenewed();
}

TEST_F(RenewalTest, AHostThatJoinedAnewMeanwhileKeepsThatCertificate) {
  clock_.Advance(kDue);
  keeper_->Look();  // the old machine has its new one, not seen yet
  TakeUp();
  auto record = Record();
  record.set_certificate_serial("0b");
  record.clear_next_certificate_pem();
  *record.mutable_certificate_expire_time() = ToTimestamp(clock_.Now() + kCertificateLifetime);
  Put(record);
  executor_.RunFor(absl::Minutes(5));
  EXPECT_EQ(Record().certificate_serial(), "0b");
  EXPECT_FALSE(MayUse(Record(), served_));
}

TEST_F(RenewalTest, AHostWhoseEndIsNotKnownIsAskedOnce) {
  auto record = Record();
  record.clear_certificate_expire_time();
  record.clear_ca_sha256();
  record.clear_authority();
  Put(record);
  executor_.RunFor(absl::Minutes(5));
  EXPECT_EQ(calls_.size(), 1u);
  EXPECT_EQ(FromTimestamp(Record().certificate_expire_time()), Has().not_after);
  EXPECT_EQ(Record().certificate_serial(), first_);
  EXPECT_EQ(Record().authority(), authority_.fingerprint());
}

TEST_F(RenewalTest, ACertificateThatNobodyGaveIsNotTaken) {
  clock_.Advance(kDue);
  authority_.EnsureIdentity(Folder(), kHost, clock_.Now() + kCertificateLifetime).value();
  EXPECT_TRUE(absl::IsFailedPrecondition(keeper_->Renew("h1")));
  EXPECT_EQ(Record().certificate_serial(), first_);
}

TEST_F(RenewalTest, TwiceAtOnceOneOfThemWins) {
  clock_.Advance(kDue);
  // The second begins and ends while the first waits for the host's answer.
  TrustKeeper::Edges edges;
  bool inside = false;
  edges.replace = [&](const std::string&, const v1::ReplaceTrustRequest& request) {
    auto answer = Call(request);
    if (!std::exchange(inside, true)) keeper_->Renew("h1").IgnoreError();
    return answer;
  };
  edges.shows = [this](const std::string&, const std::string& serial) {
    TakeUp();
    return serial == served_ ? absl::OkStatus() : absl::UnavailableError("not yet");
  };
  edges.renew_own = [] { return absl::OkStatus(); };
  const auto other = std::make_shared<TrustKeeper>(store_.get(), &authority_, &observations_,
                                                   &clock_, &executor_, edges, NullLog());
  EXPECT_TRUE(absl::IsAborted(other->Renew("h1")));
  other->Stop();
  ExpectRenewed();
}

}  // namespace
}  // namespace mtp
