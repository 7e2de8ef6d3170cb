#include "controller/pki/authority.h"

#include "common/base/atomic_file.h"
#include "common/tls/credentials.h"
#include "tests/unit/pki/pki_fixture.h"

namespace mtp {
namespace {

using AuthorityTest = PkiTest;
using ::testing::HasSubstr;

const tls::Identity kAgent{tls::Identity::Kind::kAgent, "fleet1", "h1"};

std::string Contents(const std::string& path) { return ReadFile(path, 64 << 10).value(); }

TEST_F(AuthorityTest, IsTheSameWhenOpenedAgain) {
  const auto again = Authority::OpenOrCreate(folder_ / "pki", "fleet1", box_, clock_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->pem(), authority_.pem());
  EXPECT_EQ(again->fingerprint(), authority_.fingerprint());
  EXPECT_TRUE(again->Issue(NewCsr(), kAgent, clock_.Now()).ok());
}

TEST_F(AuthorityTest, IsNotFoundInAnEmptyFolder) {
  EXPECT_TRUE(absl::IsNotFound(Authority::Open(folder_ / "none", "fleet1", box_).status()));
}

TEST_F(AuthorityTest, IsNeitherOpenedNorReplacedUnderAnotherMasterKey) {
  const SecretBox other = SecretBox::ForTest();
  const auto opened = Authority::OpenOrCreate(folder_ / "pki", "fleet1", other, clock_);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(opened.status().message()), HasSubstr("the authority's key"));
  EXPECT_EQ(Contents(folder_ / "pki/ca.pem"), authority_.pem());
}

TEST_F(AuthorityTest, NeverWritesItsKeyInTheClear) {
  EXPECT_EQ(Contents(folder_ / "pki/ca-key.sealed").find("PRIVATE KEY"), std::string::npos);
}

TEST_F(AuthorityTest, SignsForAYearBeginningALittleInThePast) {
  const auto issued = authority_.Issue(NewCsr(), kAgent, clock_.Now());
  ASSERT_TRUE(issued.ok());
  const auto facts = tls::ReadCertificate(issued->pem).value();
  EXPECT_EQ(facts.identity, kAgent);
  EXPECT_EQ(facts.not_before, clock_.Now() - kBackdate);
  EXPECT_EQ(facts.not_after, clock_.Now() + kCertificateLifetime);
}

TEST_F(AuthorityTest, KeepsAnIdentityForTwoThirdsOfItsLife) {
  const auto first = authority_.EnsureIdentity(folder_ / "id", kAgent, clock_.Now());
  ASSERT_TRUE(first.ok());
  const std::string key = Contents(folder_ / "id/key.pem");
  clock_.Advance(kCertificateLifetime * 2 / 3 - absl::Hours(1));
  const auto second = authority_.EnsureIdentity(folder_ / "id", kAgent, clock_.Now());
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(Contents(folder_ / "id/key.pem"), key);
}

TEST_F(AuthorityTest, RenewsAnIdentityInTheLastQuarterOfItsLife) {
  const auto first = authority_.EnsureIdentity(folder_ / "id", kAgent, clock_.Now());
  clock_.Advance(kCertificateLifetime * 3 / 4 + absl::Hours(1));
  const auto second = authority_.EnsureIdentity(folder_ / "id", kAgent, clock_.Now());
  ASSERT_TRUE(second.ok());
  EXPECT_NE(*first, *second);
  const auto facts = tls::ReadCertificate(Contents(folder_ / "id/cert.pem")).value();
  EXPECT_EQ(facts.serial, *second);
}

TEST_F(AuthorityTest, ReplacesAnIdentityOfSomeoneElseAndADamagedOne) {
  const auto agent = authority_.EnsureIdentity(folder_ / "id", kAgent, clock_.Now());
  const tls::Identity controller{tls::Identity::Kind::kController, "fleet1", ""};
  const auto replaced = authority_.EnsureIdentity(folder_ / "id", controller, clock_.Now());
  ASSERT_TRUE(replaced.ok());
  EXPECT_NE(*agent, *replaced);
  ASSERT_TRUE(WriteFileAtomically(folder_ / "id/cert.pem", "damaged", 0644).ok());
  ASSERT_TRUE(WriteFileAtomically(folder_ / "id/key.pem", "damaged", 0600).ok());
  EXPECT_TRUE(authority_.EnsureIdentity(folder_ / "id", controller, clock_.Now()).ok());
  const auto facts = tls::ReadCertificate(Contents(folder_ / "id/cert.pem"));
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->identity, controller);
}

}  // namespace
}  // namespace mtp
