#include "controller/pki/join_tokens.h"

#include "common/base/timestamps.h"
#include "common/kv/table.h"
#include "mtp/state/v1/state.pb.h"
#include "tests/unit/pki/pki_fixture.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

class JoinTokensTest : public PkiTest {
 protected:
  static HostName Named(const std::string& name) { return HostName::Parse(name).value(); }
  tls::JoinToken NewToken(const std::string& host, bool rejoin = false) {
    return tokens_.Create(Named(host), absl::Hours(1), rejoin).value();
  }
  static v1::JoinRequest RequestWith(const tls::JoinToken& token, const std::string& csr) {
    v1::JoinRequest request;
    request.set_token_id(token.id);
    request.set_token_secret(std::string(token.secret.Reveal()));
    request.set_host_id(token.host);
    request.set_csr_pem(csr);
    request.set_agent_address("10.0.0.5:7443");
    return request;
  }
  void ExpectDenied(const v1::JoinRequest& request, const std::string& reason) {
    const auto answer = tokens_.Redeem(request);
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kPermissionDenied) << answer.status();
    EXPECT_THAT(std::string(answer.status().message()), HasSubstr(reason));
  }
  kv::Table<state::v1::HostRecord> Hosts() const { return {store_.get(), "/hosts/"}; }

  JoinTokens tokens_{store_.get(), &authority_, &clock_, &random_, "10.0.0.1:7444"};
};

TEST_F(JoinTokensTest, MakeAHostAMember) {
  const auto answer = tokens_.Redeem(RequestWith(NewToken("h1"), NewCsr()));
  ASSERT_TRUE(answer.ok()) << answer.status();
  const auto facts = tls::ReadCertificate(answer->certificate_pem()).value();
  EXPECT_EQ(facts.identity.ToString(), "agent/h1");
  EXPECT_EQ(answer->ca_pem(), authority_.pem());
  EXPECT_EQ(answer->fleet(), "fleet1");
  const auto host = Hosts().Get("h1");
  ASSERT_TRUE(host.ok());
  EXPECT_EQ(host->value.agent_address(), "10.0.0.5:7443");
  EXPECT_EQ(host->value.certificate_serial(), facts.serial);
}

TEST_F(JoinTokensTest, SayWhereToEnrolAndWhomToTrust) {
  const tls::JoinToken token = NewToken("h1");
  EXPECT_EQ(token.address, "10.0.0.1:7444");
  EXPECT_EQ(token.authority_fingerprint, authority_.fingerprint());
}

TEST_F(JoinTokensTest, AreKeptAsAHashOnly) {
  const tls::JoinToken token = NewToken("h1");
  for (const kv::Entry& entry : store_->List("/")) {
    EXPECT_EQ(entry.value.find(std::string(token.secret.Reveal())), std::string::npos);
  }
}

TEST_F(JoinTokensTest, WorkOnce) {
  const tls::JoinToken token = NewToken("h1");
  ASSERT_TRUE(tokens_.Redeem(RequestWith(token, NewCsr())).ok());
  ExpectDenied(RequestWith(token, NewCsr()), "used already");
}

TEST_F(JoinTokensTest, AnswerAgainWhenTheSameKeyAsksAgain) {
  const v1::JoinRequest request = RequestWith(NewToken("h1"), NewCsr());
  ASSERT_TRUE(tokens_.Redeem(request).ok());
  const auto again = tokens_.Redeem(request);
  ASSERT_TRUE(again.ok()) << again.status();
  // The certificate answered last is the one that the host may use.
  EXPECT_EQ(Hosts().Get("h1")->value.certificate_serial(),
            tls::ReadCertificate(again->certificate_pem())->serial);
}

TEST_F(JoinTokensTest, Expire) {
  const tls::JoinToken token = NewToken("h1");
  clock_.Advance(absl::Hours(1) + absl::Seconds(1));
  ExpectDenied(RequestWith(token, NewCsr()), "expired");
  EXPECT_TRUE(absl::IsNotFound(Hosts().Get("h1").status()));
}

TEST_F(JoinTokensTest, AreNoUseToAnotherHost) {
  v1::JoinRequest request = RequestWith(NewToken("h1"), NewCsr());
  request.set_host_id("h2");
  ExpectDenied(request, "token is for host h1, not h2");
  EXPECT_TRUE(absl::IsNotFound(Hosts().Get("h2").status()));
}

TEST_F(JoinTokensTest, AreRefusedWhenUnknownMalformedOrWithAnotherSecret) {
  const v1::JoinRequest good = RequestWith(NewToken("h1"), NewCsr());
  v1::JoinRequest request = good;
  request.set_token_id("01ARZ3NDEKTSV4RRFFQ69G5FAV");
  ExpectDenied(request, "unknown token");
  request.set_token_id("../operators/alice");
  ExpectDenied(request, "malformed token id");
  request = good;
  request.set_token_secret("wrong");
  ExpectDenied(request, "wrong secret");
  EXPECT_TRUE(tokens_.Redeem(good).ok()) << "a refusal must not use the token up";
}

TEST_F(JoinTokensTest, AreNotUsedUpByABadRequest) {
  const v1::JoinRequest good = RequestWith(NewToken("h1"), NewCsr());
  v1::JoinRequest request = good;
  request.set_csr_pem("nonsense");
  EXPECT_TRUE(absl::IsInvalidArgument(tokens_.Redeem(request).status()));
  request = good;
  request.set_agent_address("");
  EXPECT_TRUE(absl::IsInvalidArgument(tokens_.Redeem(request).status()));
  request = good;
  request.set_host_id("H1");
  EXPECT_TRUE(absl::IsInvalidArgument(tokens_.Redeem(request).status()));
  EXPECT_TRUE(tokens_.Redeem(good).ok());
}

TEST_F(JoinTokensTest, AreNotMadeForAMemberUnlessItIsToRejoin) {
  ASSERT_TRUE(tokens_.Redeem(RequestWith(NewToken("h1"), NewCsr())).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(
      tokens_.Create(Named("h1"), absl::Hours(1), /*rejoin=*/false).status()));
}

TEST_F(JoinTokensTest, RejoinAHostWithANewCertificateAndKeepWhatIsKnownOfIt) {
  ASSERT_TRUE(tokens_.Redeem(RequestWith(NewToken("h1"), NewCsr())).ok());
  auto row = Hosts().Get("h1").value();
  const std::string old_serial = row.value.certificate_serial();
  row.value.set_cordoned(true);
  row.value.set_next_certificate_pem("what the machine before was to get");
  clock_.Advance(absl::Hours(24));
  kv::Txn txn;
  Hosts().Put(txn, "h1", row.value);
  ASSERT_TRUE(store_->Commit(txn).ok());
  ASSERT_TRUE(tokens_.Redeem(RequestWith(NewToken("h1", /*rejoin=*/true), NewCsr())).ok());
  const auto after = Hosts().Get("h1").value();
  EXPECT_NE(after.value.certificate_serial(), old_serial);
  EXPECT_TRUE(after.value.cordoned());
  EXPECT_EQ(after.value.next_certificate_pem(), "");
  EXPECT_EQ(FromTimestamp(after.value.certificate_expire_time()),
            clock_.Now() + kCertificateLifetime);
}

TEST_F(JoinTokensTest, LiveAtMostSevenDays) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      tokens_.Create(Named("h1"), absl::Hours(24 * 7) + absl::Seconds(1), false).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(tokens_.Create(Named("h1"), absl::ZeroDuration(), false).status()));
  EXPECT_TRUE(tokens_.Create(Named("h1"), absl::Hours(24 * 7), false).ok());
}

TEST_F(JoinTokensTest, AreDroppedADayAfterTheirEnd) {
  NewToken("h1");
  NewToken("h2");
  clock_.Advance(absl::Hours(26));
  NewToken("h3");
  EXPECT_EQ(store_->List("/join-tokens/").size(), 1U);
}

}  // namespace
}  // namespace mtp
