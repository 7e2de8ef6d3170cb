#include "controller/pki/host_certificate.h"

#include "common/base/timestamps.h"
#include "tests/unit/pki/pki_fixture.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

class HostCertificateTest : public PkiTest {
 protected:
  HostCertificateTest() {
    host_.set_name("h1");
    host_.set_certificate_serial("0a");
    host_.set_ca_sha256(tls::Sha256Hex(authority_.pem()));
    host_.set_authority(authority_.fingerprint());
    *host_.mutable_certificate_expire_time() = ToTimestamp(clock_.Now() + kCertificateLifetime);
  }
  // As so many days after it was made.
  bool IsDue(int days) {
    return NeedsRenewal(host_, authority_.Now().value(), clock_.Now() + absl::Hours(24 * days));
  }
  std::string Warning(int days) {
    return CertificateWarning(host_, clock_.Now() + absl::Hours(24 * days));
  }

  state::v1::HostRecord host_;
};

TEST_F(HostCertificateTest, IsRenewedInTheLastThirdOfItsYear) {
  EXPECT_FALSE(IsDue(0));
  EXPECT_FALSE(IsDue(243));
  EXPECT_TRUE(IsDue(274));
  EXPECT_TRUE(IsDue(400));
}

TEST_F(HostCertificateTest, IsLookedAtWhenItsEndIsNotKnownOrARenewalWasBegun) {
  host_.set_next_certificate_pem("begun");
  EXPECT_TRUE(IsDue(0));
  host_.clear_next_certificate_pem();
  host_.clear_certificate_expire_time();
  EXPECT_TRUE(IsDue(0));
  EXPECT_EQ(Warning(1000), "");
}

TEST_F(HostCertificateTest, IsReplacedWhenItIsNotOfTheAuthorityThatIssuesOrOthersAreToBeTrusted) {
  host_.set_authority("another");
  EXPECT_TRUE(IsDue(0));
  EXPECT_TRUE(NeedsCertificate(host_, authority_.Now().value(), clock_.Now()));
  host_.set_authority(authority_.fingerprint());
  host_.set_ca_sha256("another");
  EXPECT_TRUE(IsDue(0));
  EXPECT_FALSE(NeedsCertificate(host_, authority_.Now().value(), clock_.Now()));
}

TEST_F(HostCertificateTest, MayBeTheOneInUseAndTheNextAndNoOther) {
  const auto next =
      authority_.Issue(NewCsr(), {tls::Identity::Kind::kAgent, "fleet1", "h1"}, clock_.Now());
  EXPECT_TRUE(MayUse(host_, "0a"));
  EXPECT_FALSE(MayUse(host_, next->serial));
  host_.set_next_certificate_pem(next->pem);
  EXPECT_TRUE(MayUse(host_, "0a"));
  EXPECT_TRUE(MayUse(host_, next->serial));
  EXPECT_FALSE(MayUse(host_, "0b"));
  EXPECT_FALSE(MayUse(host_, ""));
  EXPECT_FALSE(MayUse(state::v1::HostRecord(), ""));
}

TEST_F(HostCertificateTest, IsWarnedOfWhenItWasNotRenewedAndOtherwiseWhenItHasEnded) {
  EXPECT_EQ(Warning(0), "");
  EXPECT_EQ(Warning(300), "") << "it may just be due";
  EXPECT_THAT(Warning(310), HasSubstr("ends on 2027-01-01 and could not be renewed"));
  EXPECT_THAT(Warning(366), HasSubstr("ended on 2027-01-01"));
  EXPECT_THAT(Warning(366), HasSubstr("mtp-cli host token h1 --rejoin"));
}

}  // namespace
}  // namespace mtp
