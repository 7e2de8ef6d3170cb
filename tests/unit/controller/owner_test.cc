// Only the owner of a data folder works in it.
#include "controller/daemon/owner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

TEST(Owner, OwnFoldersAndAbsentOnesAreRight) {
  const testing::TempFolder folder;
  EXPECT_TRUE(CheckOwner(folder.path()).ok());
  EXPECT_TRUE(CheckOwner(folder / "absent").ok());
}

TEST(Owner, SomebodyElsesFolderIsRefusedByTheNameOfItsUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root gives a folder away";
  const testing::TempFolder folder;
  ASSERT_EQ(chown(folder.path().c_str(), 65534, 65534), 0);
  const absl::Status status = CheckOwner(folder.path());
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("sudo -u nobody mtp-controller"));
  ASSERT_EQ(chown(folder.path().c_str(), 4242, 4242), 0);
  EXPECT_THAT(std::string(CheckOwner(folder.path()).message()), ::testing::HasSubstr("#4242"));
}

TEST(Owner, WhatCannotBeLookedAtIsAnError) {
  const testing::TempFolder folder;
  EXPECT_FALSE(CheckOwner(folder / std::string(5000, 'x')).ok());
}

}  // namespace
}  // namespace mtp
