#include "common/base/secret_box.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/base/atomic_file.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using testing::TempFolder;

TEST(SecretBox, OpensWhatItSealedAlsoAfterARestart) {
  TempFolder folder;
  const std::string sealed =
      SecretBox::Open(folder / "key")->Seal("a$b#c\"d'e\\f g", "/secrets/acme");
  const auto opened = SecretBox::Open(folder / "key")->Open(sealed, "/secrets/acme");
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(opened->Equals("a$b#c\"d'e\\f g"));
}

TEST(SecretBox, SealsNothingTwiceAlikeAndShowsNothing) {
  const SecretBox box = SecretBox::ForTest();
  const std::string once = box.Seal("hush hush hush", "x");
  EXPECT_NE(once, box.Seal("hush hush hush", "x"));
  EXPECT_EQ(once.find("hush"), std::string::npos);
}

TEST(SecretBox, RefusesWhatIsUnderAnotherNameOrKey) {
  const SecretBox box = SecretBox::ForTest();
  const std::string sealed = box.Seal("hush", "/secrets/acme");
  EXPECT_TRUE(absl::IsDataLoss(box.Open(sealed, "/secrets/beta").status()));
  EXPECT_TRUE(absl::IsDataLoss(SecretBox::ForTest().Open(sealed, "/secrets/acme").status()));
}

TEST(SecretBox, NoticesEveryAlteredOrMissingByte) {
  const SecretBox box = SecretBox::ForTest();
  const std::string sealed = box.Seal("hush", "x");
  for (size_t at = 0; at < sealed.size(); ++at) {
    std::string altered = sealed;
    altered[at] = static_cast<char>(altered[at] ^ 1);
    ASSERT_TRUE(absl::IsDataLoss(box.Open(altered, "x").status())) << at;
    ASSERT_TRUE(absl::IsDataLoss(box.Open(sealed.substr(0, at), "x").status())) << at;
  }
}

TEST(SecretBox, KeepsItsKeyFromOthersAndRefusesOneThatIsNot) {
  TempFolder folder;
  ASSERT_TRUE(SecretBox::Open(folder / "key").ok());
  struct stat facts {};
  ASSERT_EQ(stat((folder / "key").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  ASSERT_EQ(chmod((folder / "key").c_str(), 0640), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(SecretBox::Open(folder / "key").status()));
}

TEST(SecretBox, AMissingKeyIsNotReplacedWhereOneMustExist) {
  TempFolder folder;
  EXPECT_TRUE(absl::IsNotFound(SecretBox::OpenExisting(folder / "key").status()));
  EXPECT_TRUE(absl::IsNotFound(ReadFile(folder / "key", 100).status()));
}

TEST(SecretBox, AFileThatIsNoKeyIsRefusedAndKept) {
  TempFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder / "key", "short", 0600).ok());
  EXPECT_TRUE(absl::IsDataLoss(SecretBox::Open(folder / "key").status()));
  EXPECT_EQ(ReadFile(folder / "key", 100).value(), "short");
}

}  // namespace
}  // namespace mtp
