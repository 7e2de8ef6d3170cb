// What restic says while it tries a read again, and when that is in vain.
#include "common/restic/vain_retries.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

namespace mtp {
namespace {

std::string Retry(const std::string& file, const std::string& reason) {
  return absl::StrCat("Load(<data/", file,
                      ">, 300050, 0) returned error, retrying after 552.330144ms: ", reason, "\n");
}

TEST(VainRetries, AFileThatIsTooShortTwiceIsEnough) {
  VainRetries retries(nullptr);
  retries.Add(Retry("aa", "ReadFull: unexpected EOF"));
  EXPECT_FALSE(retries.cancelled());
  retries.Add(Retry("bb", "ReadFull: unexpected EOF"));
  EXPECT_FALSE(retries.cancelled());
  retries.Add(Retry("aa", "ReadFull: unexpected EOF"));
  EXPECT_TRUE(retries.cancelled());
  EXPECT_EQ(retries.verdict(), "Load(<data/aa>, 300050, 0): ReadFull: unexpected EOF");
}

TEST(VainRetries, SoIsOneThatEndsBeforeWhatIsWanted) {
  VainRetries retries(nullptr);
  retries.Add(Retry("aa", "EOF") + Retry("aa", "EOF"));
  EXPECT_TRUE(retries.cancelled());
  EXPECT_EQ(retries.verdict(), "Load(<data/aa>, 300050, 0): EOF");
}

TEST(VainRetries, LinesComeInPieces) {
  const std::string twice = Retry("aa", "unexpected EOF") + Retry("aa", "unexpected EOF");
  VainRetries retries(nullptr);
  for (size_t i = 0; i + 1 < twice.size(); ++i) {
    retries.Add(twice.substr(i, 1));
    ASSERT_FALSE(retries.cancelled()) << i;
  }
  retries.Add("\n");
  EXPECT_TRUE(retries.cancelled());
}

TEST(VainRetries, WhatMayGoAwayIsLeftToRestic) {
  VainRetries retries(nullptr);
  for (int i = 0; i < 5; ++i) {
    retries.Add(Retry("aa", "read: input/output error"));
    retries.Add("unexpected EOF\n");
    retries.Add(Retry("aa", "EOF: the device is busy"));
    retries.Add("Load(<data/aa>, 1, 0) returned error, retrying after\n");
  }
  retries.Add(std::string(10'000, 'x'));
  EXPECT_FALSE(retries.cancelled());
  EXPECT_EQ(retries.verdict(), "");
}

TEST(VainRetries, WhoAskedForTheEndBeforeGetsIt) {
  CancelToken outer;
  const VainRetries retries(&outer);
  EXPECT_FALSE(retries.cancelled());
  outer.Cancel();
  EXPECT_TRUE(retries.cancelled());
  EXPECT_EQ(retries.verdict(), "");
}

}  // namespace
}  // namespace mtp
