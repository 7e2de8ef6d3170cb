// When programs that write to a disk are ended.
#include "agent/tenants/room_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mtp {
namespace {

struct Disk {
  int64_t free_bytes = DiskFloor::kMostBytes;
  DiskFloor floor{"/", [this](const std::string&) -> absl::StatusOr<DiskSpace> {
                    return DiskSpace{100 * DiskFloor::kMostBytes, free_bytes};
                  }};
};

TEST(RoomToken, GoesOnWhileThereIsRoom) {
  Disk disk;
  const RoomToken token(nullptr, {&disk.floor});
  EXPECT_FALSE(token.cancelled());
  EXPECT_TRUE(token.Ended().ok());
}

TEST(RoomToken, EndsAtTheFloorOfAnyDiskAndStaysEnded) {
  for (const bool first : {true, false}) {
    Disk tenants, images;
    const RoomToken token(nullptr, {&tenants.floor, &images.floor});
    ASSERT_FALSE(token.cancelled());
    Disk& full = first ? tenants : images;
    --full.free_bytes;
    EXPECT_TRUE(token.cancelled());
    ++full.free_bytes;
    EXPECT_TRUE(token.cancelled());
    EXPECT_TRUE(absl::IsResourceExhausted(token.Ended())) << token.Ended();
  }
}

TEST(RoomToken, SomebodyElsesEndSaysNothingOfTheDisk) {
  class Ended final : public CancelToken {
   public:
    bool cancelled() const override { return true; }
  };
  const Ended outer;
  Disk disk;
  const RoomToken token(&outer, {&disk.floor});
  EXPECT_TRUE(token.cancelled());
  EXPECT_TRUE(token.Ended().ok());
}

TEST(RoomToken, WithoutAFloorThereIsAlwaysRoom) {
  const RoomToken token(nullptr, {});
  EXPECT_FALSE(token.cancelled());
}

}  // namespace
}  // namespace mtp
