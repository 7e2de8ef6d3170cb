#include <gmock/gmock.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "common/base/atomic_file.h"
#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class RecoveryKitTest : public CliTest {
 protected:
  RecoveryKitTest() {
    v1::RecoveryKit& kit = controller_.recovery_kit;
    kit.set_fleet("fleet");
    kit.mutable_create_time()->set_seconds(1'769'860'800);
    auto* entry = kit.add_repositories();
    entry->mutable_repository()->set_name("repositories/nas");
    entry->mutable_repository()->set_url("/mnt/backups");
    entry->mutable_secrets()->set_root_key(std::string(64, 'a'));
    entry->add_tenants("acme");
  }
};

TEST_F(RecoveryKitTest, SaysHowToRestoreAndWithWhat) {
  ASSERT_EQ(Run({"recovery-kit"}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("restic restore latest"));
  EXPECT_THAT(out(), HasSubstr("/mnt/backups"));
  EXPECT_THAT(out(), HasSubstr(std::string(64, 'a')));
  EXPECT_THAT(out(), Not(HasSubstr("s3_secret_key")));
}

TEST_F(RecoveryKitTest, IsJsonWhenAsked) {
  ASSERT_EQ(Run({"recovery-kit", "-o", "json"}), 0) << err();
  const nlohmann::json expected = {{"fleet", "fleet"},
                                   {"time", "2026-01-31T12:00:00Z"},
                                   {"repositories",
                                    {{{"name", "nas"},
                                      {"url", "/mnt/backups"},
                                      {"root_key", std::string(64, 'a')},
                                      {"tenants", {"acme"}}}}}};
  EXPECT_EQ(OutJson(), expected);
}

TEST_F(RecoveryKitTest, AFileIsItsOwnersAloneAndNothingIsShown) {
  const std::string path = folder_ / "kit";
  ASSERT_EQ(Run({"recovery-kit", "--out", path}), 0) << err();
  EXPECT_THAT(out(), Not(HasSubstr("aaaa")));
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_THAT(*ReadFile(path, 1 << 20), HasSubstr(std::string(64, 'a')));
}

}  // namespace
}  // namespace mtp::cli
