#include "common/base/disk_floor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMib = int64_t{1} << 20;
constexpr int64_t kGib = int64_t{1} << 30;

absl::Status Checked(DiskSpace space) {
  return DiskFloor("/", [&](const std::string&) { return space; }).Check();
}

TEST(DiskFloor, KeepsOneGibibyteOfALargeDisk) {
  EXPECT_TRUE(Checked({100 * kGib, kGib}).ok());
  const absl::Status low = Checked({100 * kGib, kGib - 1});
  EXPECT_TRUE(absl::IsResourceExhausted(low));
  EXPECT_THAT(std::string(low.message()), HasSubstr("1023 MiB free, and 1024 MiB are left"));
}

TEST(DiskFloor, KeepsATwentiethOfASmallOne) {
  EXPECT_TRUE(Checked({200 * kMib, 10 * kMib}).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Checked({200 * kMib, 10 * kMib - 1})));
  EXPECT_TRUE(Checked({20 * kGib, kGib}).ok());
  EXPECT_FALSE(Checked({20 * kGib, kGib - 1}).ok());
}

TEST(DiskFloor, LeavesWhatNobodyCanSayToTheWrite) {
  EXPECT_TRUE(DiskFloor("/no/such/folder").Check().ok());
}

TEST(DiskFloor, ReadsTheFileSystemThatThePathIsOn) {
  const mtp::testing::TempFolder folder;
  const auto space = SpaceOf(folder.path());
  ASSERT_TRUE(space.ok()) << space.status();
  EXPECT_GT(space->total_bytes, 0);
  EXPECT_LE(space->free_bytes, space->total_bytes);
  EXPECT_TRUE(absl::IsNotFound(SpaceOf("/no/such/folder").status()));
}

TEST(DiskFloor, KnowsWhatIsOnItsFileSystem) {
  const mtp::testing::TempFolder folder;
  const DiskFloor floor(folder.path());
  EXPECT_TRUE(floor.Has(folder.path()));
  EXPECT_TRUE(floor.Has(folder / "will/be/made"));
  EXPECT_FALSE(floor.Has("/proc/self"));
  EXPECT_FALSE(floor.Has("s3:https://server/bucket"));
  EXPECT_FALSE(floor.Has("sftp://server/folder"));
  EXPECT_FALSE(floor.Has(""));
  EXPECT_FALSE(DiskFloor("/no/such/folder").Has("/no/such/folder"));
}

}  // namespace
}  // namespace mtp
