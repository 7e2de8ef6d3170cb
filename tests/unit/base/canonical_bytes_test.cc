#include "common/base/canonical_bytes.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "mtp/state/v1/state.pb.h"

namespace mtp {
namespace {

state::v1::OperationRecord WithFacts(int from, int to, int by) {
  state::v1::OperationRecord record;
  record.set_step(3);
  for (int i = from; i != to; i += by) {
    (*record.mutable_facts())[absl::StrCat("fact", i)] = absl::StrCat(i);
  }
  return record;
}

TEST(CanonicalBytes, AreTheSameInWhateverOrderAMapWasFilled) {
  EXPECT_EQ(CanonicalBytes(WithFacts(0, 100, 1)), CanonicalBytes(WithFacts(99, -1, -1)));
}

TEST(CanonicalBytes, DifferWithTheContent) {
  const state::v1::OperationRecord record = WithFacts(0, 100, 1);
  state::v1::OperationRecord other = record;
  other.mutable_facts()->at("fact7") = "8";
  EXPECT_NE(CanonicalBytes(record), CanonicalBytes(other));
  other = record;
  other.set_step(4);
  EXPECT_NE(CanonicalBytes(record), CanonicalBytes(other));
}

TEST(CanonicalBytes, AreTheMessage) {
  const state::v1::OperationRecord record = WithFacts(0, 100, 1);
  state::v1::OperationRecord read;
  ASSERT_TRUE(read.ParseFromString(CanonicalBytes(record)));
  EXPECT_EQ(read.facts_size(), 100);
  EXPECT_EQ(read.facts().at("fact7"), "7");
  EXPECT_EQ(read.step(), 3);
}

}  // namespace
}  // namespace mtp
