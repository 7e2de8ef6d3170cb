// A host's key and certificate are replaced while it runs, and whatever happens it has a pair.
#include "agent/trust/trust.h"

#include <absl/strings/match.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/base/atomic_file.h"
#include "common/base/timestamps.h"
#include "common/tls/keys.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/tls/fleet_keys.h"

namespace mtp {
namespace {

using tls::kAgent;

class TrustTest : public ::testing::Test {
 protected:
  TrustTest() { first_ = authority_.Equip(Folder(), kAgent); }

  std::string Folder() const { return folder_ / "id"; }
  // As after a restart, too.
  absl::StatusOr<v1::HostTrust> Replace(const v1::ReplaceTrustRequest& request) const {
    return Trust(Folder(), kAgent, NullLog()).Replace(request);
  }
  std::string NewRequest() const {
    v1::ReplaceTrustRequest request;
    request.set_wants_request(true);
    return Replace(request)->csr_pem();
  }
  v1::ReplaceTrustRequest With(const std::string& certificate,
                               const std::string& authorities = "") const {
    v1::ReplaceTrustRequest request;
    request.set_certificate_pem(certificate);
    request.set_ca_pem(authorities);
    return request;
  }
  // Serial of the certificate that is in use; it has its key, or this fails.
  std::string InUse() const {
    const auto identity = tls::ReadIdentity(Folder());
    EXPECT_TRUE(identity.ok()) << identity.status();
    return identity.ok() ? identity->facts.serial : "";
  }
  std::string Contents(const std::string& name) const {
    return ReadFile(Folder() + "/" + name, 1 << 16).value();
  }

  mtp::testing::TempFolder folder_;
  const tls::TestAuthority authority_;
  std::string first_;
};

TEST_F(TrustTest, SaysWhatItHas) {
  const auto has = Replace(v1::ReplaceTrustRequest());
  ASSERT_TRUE(has.ok()) << has.status();
  EXPECT_EQ(has->certificate_serial(), first_);
  EXPECT_EQ(FromTimestamp(has->certificate_expire_time()),
            tls::ReadIdentity(Folder())->facts.not_after);
  EXPECT_EQ(has->ca_sha256(), tls::Sha256Hex(authority_.pem()));
  EXPECT_EQ(has->csr_pem(), "");
  EXPECT_TRUE(absl::IsNotFound(ReadFile(Folder() + "/next-key.pem", 1).status()))
      << "a key is made only for who asks for one";
}

TEST_F(TrustTest, MakesANewKeyForTheNextCertificateAndKeepsItUntilThatIsThere) {
  const std::string key = tls::RequestKeyFingerprint(NewRequest()).value();
  EXPECT_NE(key, tls::ReadIdentity(Folder())->facts.key);
  EXPECT_EQ(tls::RequestKeyFingerprint(NewRequest()).value(), key);
  struct stat facts {};
  ASSERT_EQ(stat((Folder() + "/next-key.pem").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  EXPECT_EQ(InUse(), first_);
}

TEST_F(TrustTest, TakesTheCertificateAndTheSameAgainChangesNothing) {
  const auto issued = authority_.Sign(NewRequest(), kAgent);
  for (int i = 0; i < 2; ++i) {
    const auto has = Replace(With(issued.pem, authority_.pem()));
    ASSERT_TRUE(has.ok()) << has.status();
    EXPECT_EQ(has->certificate_serial(), issued.serial);
    EXPECT_EQ(InUse(), issued.serial);
    EXPECT_TRUE(absl::IsNotFound(ReadFile(Folder() + "/next-key.pem", 1).status()));
  }
  EXPECT_EQ(Contents("cert.pem"), issued.pem + authority_.pem());
  EXPECT_NE(tls::RequestKeyFingerprint(NewRequest()).value(),
            tls::ReadIdentity(Folder())->facts.key);
}

TEST_F(TrustTest, ALateCertificateOfAnEarlierKeyIsRefused) {
  const auto late = authority_.Sign(NewRequest(), kAgent);
  ASSERT_EQ(unlink((Folder() + "/next-key.pem").c_str()), 0);
  const auto issued = authority_.Sign(NewRequest(), kAgent);
  EXPECT_TRUE(absl::IsFailedPrecondition(Replace(With(late.pem)).status()));
  ASSERT_TRUE(Replace(With(issued.pem)).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Replace(With(late.pem)).status()));
  EXPECT_EQ(InUse(), issued.serial);
}

TEST_F(TrustTest, RefusesWhatWouldLockItOutAndChangesNothing) {
  const std::string request = NewRequest();
  const tls::TestAuthority stranger;
  const std::string key_file = Contents("key.pem");
  for (const v1::ReplaceTrustRequest& bad :
       {With("no certificate"), With(stranger.Sign(request, kAgent).pem),
        With(authority_.Sign(request, {tls::Identity::Kind::kAgent, "fleet1", "h2"}).pem),
        With(authority_.Sign(request, tls::kController).pem),
        With(authority_.Sign(request, kAgent).pem, stranger.pem()), With("", stranger.pem()),
        With("", "no authority"), With(std::string(17 << 10, 'x')),
        With("", std::string(65 << 10, 'x'))}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Replace(bad).status())) << bad.ShortDebugString();
  }
  EXPECT_EQ(Contents("key.pem"), key_file);
  EXPECT_EQ(Contents("ca.pem"), authority_.pem());
}

TEST_F(TrustTest, TrustsAnotherAuthorityBesideWithTheSameCertificate) {
  const tls::TestAuthority next;
  const std::string both = authority_.pem() + next.pem();
  const auto has = Replace(With("", both));
  ASSERT_TRUE(has.ok()) << has.status();
  EXPECT_EQ(has->ca_sha256(), tls::Sha256Hex(both));
  EXPECT_EQ(InUse(), first_);
  EXPECT_EQ(Contents("ca.pem"), both);
}

// The files as a crash leaves them: so many of ca.pem, key.pem, cert.pem and (removed) next-key.pem
// are as they will be. Then it starts again, and is sent the same once more.
TEST_F(TrustTest, WhereverItIsKilledItHasAPairAndGoesOn) {
  for (int done = 0; done <= 4; ++done) {
    SCOPED_TRACE(done);
    const std::string before = authority_.Equip(Folder(), kAgent);
    const auto issued = authority_.Sign(NewRequest(), kAgent);
    const std::string files[] = {"ca.pem", "key.pem", "cert.pem", "next-key.pem"};
    std::map<std::string, std::string> old;
    for (const std::string& file : files) old[file] = Contents(file);
    ASSERT_TRUE(Replace(With(issued.pem, authority_.pem())).ok());
    for (int i = done; i < 4; ++i) {
      ASSERT_TRUE(WriteFileAtomically(Folder() + "/" + files[i], old[files[i]], 0600).ok());
    }
    EXPECT_EQ(InUse(), done < 2 ? before : issued.serial);
    const auto has = Replace(v1::ReplaceTrustRequest());
    ASSERT_TRUE(has.ok()) << has.status();
    EXPECT_EQ(has->certificate_serial(), done < 2 ? before : issued.serial);
    ASSERT_TRUE(Replace(With(issued.pem, authority_.pem())).ok());
    EXPECT_EQ(InUse(), issued.serial);
    EXPECT_EQ(Contents("cert.pem"), issued.pem + authority_.pem());
    EXPECT_NE(tls::RequestKeyFingerprint(NewRequest()).value(),
              tls::ReadIdentity(Folder())->facts.key);
    unlink((Folder() + "/next-key.pem").c_str());
  }
}

}  // namespace
}  // namespace mtp
