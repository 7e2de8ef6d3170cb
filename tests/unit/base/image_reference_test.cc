#include "common/base/image_reference.h"

#include <gtest/gtest.h>

namespace mtp {
namespace {

TEST(ImageReference, NamesTagsDigestsAndIdsPass) {
  for (const char* text : {"openclaw", "openclaw:1", "ghcr.io:443/openclaw/openclaw:v1@sha256:00",
                           "sha256:0123456789abcdef", "localhost:5000/a_b/c-d:1.2"}) {
    EXPECT_TRUE(CheckImageReference(text).ok()) << text;
  }
  EXPECT_TRUE(CheckImageReference(std::string(400, 'a')).ok());
}

TEST(ImageReference, FlagsPathsAndOtherTextAreRefusedWithASentence) {
  for (const char* text : {"", "-a", "--privileged", "/a", "a/", "a//b", "a/../b", "../a", "a/-b",
                           ".a", "a?b", "a b", "a%2f", "a#b", "a\nb", "a\"b", "${A}", "\xC3\xA9"}) {
    const absl::Status refused = CheckImageReference(text);
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << text;
    EXPECT_GT(refused.message().size(), 20U) << text;
  }
  EXPECT_FALSE(CheckImageReference(std::string(401, 'a')).ok());
  EXPECT_FALSE(CheckImageReference(absl::string_view("a\0b", 3)).ok());
}

}  // namespace
}  // namespace mtp
