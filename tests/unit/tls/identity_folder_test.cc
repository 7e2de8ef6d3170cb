#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/atomic_file.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/tls/fleet_keys.h"

namespace mtp::tls {
namespace {

int ModeOf(const std::string& path) {
  struct stat facts {};
  return stat(path.c_str(), &facts) == 0 ? static_cast<int>(facts.st_mode & 0777) : -1;
}

TEST(IdentityFolder, HoldsTheKeyForItsOwnerAlone) {
  mtp::testing::TempFolder folder;
  TestAuthority().Equip(folder / "id", kAgent);
  const IdentityFolder files(folder / "id");
  EXPECT_EQ(ModeOf(folder / "id"), 0700);
  EXPECT_EQ(ModeOf(files.key), 0600);
}

TEST(IdentityFolder, ShowsTheCertificateAndThenTheAuthoritys) {
  mtp::testing::TempFolder folder;
  const TestAuthority authority;
  const std::string serial = authority.Equip(folder / "id", kAgent);
  const std::string chain = ReadFile(IdentityFolder(folder / "id").certificate, 1 << 16).value();
  EXPECT_EQ(ReadCertificate(chain)->serial, serial);
  EXPECT_EQ(chain.substr(chain.size() - authority.pem().size()), authority.pem());
}

std::string Contents(const std::string& path) { return ReadFile(path, 1 << 16).value(); }

TEST(IdentityFolder, KeepsKeyAndCertificateInOneFileSoThatTheyAreAlwaysOfEachOther) {
  mtp::testing::TempFolder folder;
  const TestAuthority authority;
  const std::string serial = authority.Equip(folder / "id", kAgent);
  const IdentityFolder files(folder / "id");
  EXPECT_EQ(CertificateSource(files), files.key);
  EXPECT_EQ(ReadCertificate(Contents(files.key))->serial, serial);
}

TEST(IdentityFolder, IsWrittenAgainWithTheTextOfItsOwnKeyFile) {
  mtp::testing::TempFolder folder;
  const TestAuthority authority;
  authority.Equip(folder / "id", kAgent);
  const SecretString text(Contents(IdentityFolder(folder / "id").key));
  const auto renewed = authority.Sign(NewRequest(text, "h1").value(), kAgent);
  ASSERT_TRUE(WriteIdentity(folder / "id", text, renewed.pem, authority.pem()).ok());
  const auto identity = ReadIdentity(folder / "id");
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->facts.serial, renewed.serial);
  EXPECT_EQ(identity->chain_pem, renewed.pem + authority.pem());
}

// The files as a crash leaves them: the first `written` of ca.pem, key.pem, cert.pem are new.
TEST(IdentityFolder, IsWholeWhereverItsWritingIsKilled) {
  const TestAuthority authority;
  for (int written = 0; written <= 3; ++written) {
    SCOPED_TRACE(written);
    mtp::testing::TempFolder folder;
    const std::string older = authority.Equip(folder / "id", kAgent);
    const std::string newer = authority.Equip(folder / "new", kAgent);
    const IdentityFolder files(folder / "id");
    const IdentityFolder next(folder / "new");
    const std::pair<std::string, std::string> order[] = {{files.authority, next.authority},
                                                         {files.key, next.key},
                                                         {files.certificate, next.certificate}};
    for (int i = 0; i < written; ++i) {
      ASSERT_TRUE(WriteFileAtomically(order[i].first, Contents(order[i].second), 0600).ok());
    }
    const auto identity = ReadIdentity(folder / "id");
    ASSERT_TRUE(identity.ok()) << identity.status();
    EXPECT_EQ(identity->facts.serial, written < 2 ? older : newer);
    ASSERT_TRUE(SettleIdentity(folder / "id").ok());
    EXPECT_EQ(ReadCertificate(Contents(files.certificate))->serial, identity->facts.serial);
  }
}

// Makes it one of an earlier version.
void Divide(const std::string& folder) {
  const StoredIdentity identity = ReadIdentity(folder).value();
  ASSERT_TRUE(WriteFileAtomically(IdentityFolder(folder).key, identity.key.Reveal(), 0600).ok());
}

TEST(IdentityFolder, OfAnEarlierVersionIsReadAsItIsAndSettledOnce) {
  mtp::testing::TempFolder folder;
  const std::string serial = TestAuthority().Equip(folder / "id", kAgent);
  const IdentityFolder files(folder / "id");
  Divide(folder / "id");
  EXPECT_EQ(CertificateSource(files), files.certificate);
  EXPECT_EQ(ReadIdentity(folder / "id")->facts.serial, serial);
  ASSERT_TRUE(SettleIdentity(folder / "id").ok());
  EXPECT_EQ(CertificateSource(files), files.key);
  EXPECT_EQ(ReadIdentity(folder / "id")->facts.serial, serial);
  EXPECT_EQ(ModeOf(files.key), 0600);
}

TEST(IdentityFolder, IsNotReadWithoutACertificateOrWithThatOfAnotherKey) {
  mtp::testing::TempFolder folder;
  const TestAuthority authority;
  authority.Equip(folder / "id", kAgent);
  authority.Equip(folder / "other", kAgent);
  const IdentityFolder files(folder / "id");
  Divide(folder / "id");
  ASSERT_TRUE(WriteFileAtomically(files.certificate,
                                  Contents(IdentityFolder(folder / "other").certificate), 0644)
                  .ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(ReadIdentity(folder / "id").status()));
  ASSERT_EQ(unlink(files.certificate.c_str()), 0);
  EXPECT_TRUE(absl::IsNotFound(ReadIdentity(folder / "id").status()));
}

}  // namespace
}  // namespace mtp::tls
