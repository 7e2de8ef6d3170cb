#include <gtest/gtest.h>
#include <sys/stat.h>

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

TEST(IdentityFolder, KeepsItsKeyWhenOnlyTheCertificateIsNew) {
  mtp::testing::TempFolder folder;
  const TestAuthority authority;
  authority.Equip(folder / "id", kAgent);
  const IdentityFolder files(folder / "id");
  const std::string key = ReadFile(files.key, 1 << 16).value();
  const auto renewed = authority.Sign(NewRequest(SecretString(key), "h1").value(), kAgent);
  ASSERT_TRUE(WriteIdentity(folder / "id", SecretString(), renewed.pem, authority.pem()).ok());
  EXPECT_EQ(ReadFile(files.key, 1 << 16).value(), key);
  EXPECT_EQ(ReadCertificate(ReadFile(files.certificate, 1 << 16).value())->serial, renewed.serial);
}

}  // namespace
}  // namespace mtp::tls
