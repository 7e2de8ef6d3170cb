#include "agent/guard/lease_text.h"

#include <gtest/gtest.h>

namespace mtp::guard {
namespace {

Lease Sample(uint64_t number) {
  Lease lease;
  lease.number = number;
  lease.boot_id = "8e6c0a4e-0000-4000-8000-000000000001";
  lease.deadline_ns = 123'456'789'012;
  lease.containers = {{std::string(64, 'a'), "acme"}, {std::string(64, 'b'), "beta"}};
  return lease;
}

TEST(LeaseText, ASlotIsReadAsItWasWritten) {
  const std::string slot = EncodeSlot(Sample(7));
  ASSERT_EQ(slot.size(), kSlotBytes);
  const auto read = DecodeSlot(slot);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->number, 7);
  EXPECT_EQ(read->boot_id, Sample(7).boot_id);
  EXPECT_EQ(read->deadline_ns, Sample(7).deadline_ns);
  EXPECT_EQ(read->containers, Sample(7).containers);
}

TEST(LeaseText, OfTwoSlotsTheNewerOneCounts) {
  EXPECT_EQ(DecodeFile(EncodeSlot(Sample(2)) + EncodeSlot(Sample(1)))->number, 2);
  EXPECT_EQ(DecodeFile(EncodeSlot(Sample(2)) + EncodeSlot(Sample(3)))->number, 3);
}

// A writer that died at any byte of the second slot leaves the first one.
TEST(LeaseText, ATornSlotIsNone) {
  const std::string before = EncodeSlot(Sample(1));
  const std::string after = EncodeSlot(Sample(3));
  size_t whole = 0;
  for (size_t i = 0; i < kSlotBytes; ++i) {
    if (before[i] != after[i]) whole = i + 1;
  }
  ASSERT_GT(whole, 0);
  for (size_t at = 0; at <= whole; ++at) {
    const std::string torn = after.substr(0, at) + before.substr(at);
    const auto read = DecodeFile(EncodeSlot(Sample(2)) + torn);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->number, at == whole ? 3u : 2u) << at;
  }
}

TEST(LeaseText, NoiseIsNothing) {
  EXPECT_FALSE(DecodeFile("").has_value());
  EXPECT_FALSE(DecodeFile(std::string(kSlots * kSlotBytes, '\0')).has_value());
  EXPECT_FALSE(DecodeFile(std::string(kSlots * kSlotBytes, '\n')).has_value());
  EXPECT_FALSE(DecodeSlot("mtp-lease 1\nnumber x\n").has_value());
}

TEST(LeaseText, WhatCannotBeCarriedIsRefused) {
  Lease lease = Sample(1);
  lease.containers["two words"] = "acme";
  EXPECT_EQ(EncodeSlot(lease), "");
  lease = Sample(1);
  lease.containers["id"] = "line\nbreak";
  EXPECT_EQ(EncodeSlot(lease), "");
  lease = Sample(1);
  for (size_t i = 0; i <= kMaxContainers; ++i) lease.containers["id-" + std::to_string(i)] = "t";
  EXPECT_EQ(EncodeSlot(lease), "");
}

TEST(LeaseText, TheMostContainersWithTheLongestNamesFit) {
  Lease lease = Sample(1);
  lease.containers.clear();
  for (size_t i = 0; i < kMaxContainers; ++i) {
    std::string id = std::to_string(i);
    id.insert(0, 64 - id.size(), 'f');
    lease.containers[id] = std::string(40, 'n');
  }
  ASSERT_EQ(EncodeSlot(lease).size(), kSlotBytes);
  EXPECT_EQ(DecodeSlot(EncodeSlot(lease))->containers.size(), kMaxContainers);
}

TEST(LeaseText, ABeatIsReadAsItWasWritten) {
  const auto beat = DecodeBeat(EncodeBeat({"boot", 42, 4711}));
  ASSERT_TRUE(beat.has_value());
  EXPECT_EQ(beat->boot_id, "boot");
  EXPECT_EQ(beat->at_ns, 42);
  EXPECT_EQ(beat->pid, 4711);
  EXPECT_FALSE(DecodeBeat(EncodeBeat({"boot", 42, 4711}).substr(0, 20)).has_value());
}

TEST(LeaseText, TheKernelSaysWhichBootItIs) {
  EXPECT_EQ(BootId().size(), 36);
  EXPECT_GT(BootTimeNs(), 0);
}

}  // namespace
}  // namespace mtp::guard
