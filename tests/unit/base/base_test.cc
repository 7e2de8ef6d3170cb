// The small types that all else uses.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "common/base/log.h"
#include "common/base/secret_string.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/base/ulid.h"
#include "common/base/utf8.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"

namespace mtp {
namespace {

TEST(Ulid, SortsByTimeAndIsUnique) {
  testing::SimClock clock;
  testing::SeededRandom random(1);
  std::set<std::string> seen;
  std::string last;
  for (int i = 0; i < 1000; ++i) {
    const std::string ulid = NewUlid(clock, random);
    EXPECT_TRUE(IsUlid(ulid)) << ulid;
    EXPECT_GT(ulid, last);
    EXPECT_TRUE(seen.insert(ulid).second);
    last = ulid;
    clock.Advance(absl::Milliseconds(1));
  }
}

TEST(Ulid, SpellsTheTimeAsTheSpecificationDoes) {
  testing::SimClock clock;
  testing::SeededRandom random(1);
  // The example of github.com/ulid/spec.
  clock.Advance(absl::FromUnixMillis(1469918176385) - clock.Now());
  EXPECT_EQ(NewUlid(clock, random).substr(0, 10), "01ARYZ6S41");
}

TEST(Ulid, KnowsItsOwnForm) {
  EXPECT_TRUE(IsUlid("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
  EXPECT_FALSE(IsUlid("01ARZ3NDEKTSV4RRFFQ69G5FA"));
  EXPECT_FALSE(IsUlid("01ARZ3NDEKTSV4RRFFQ69G5FAU"));
  EXPECT_FALSE(IsUlid("81ARZ3NDEKTSV4RRFFQ69G5FAV"));
  EXPECT_FALSE(IsUlid("01arz3ndektsv4rrffq69g5fav"));
  EXPECT_FALSE(IsUlid(""));
}

TEST(SecretString, MovesWithoutLeavingACopy) {
  SecretString secret("short");
  const SecretString moved = std::move(secret);
  EXPECT_EQ(moved.Reveal(), "short");
  EXPECT_TRUE(secret.empty());  // NOLINT(bugprone-use-after-move): that it is empty is the point
}

TEST(SecretString, ComparesByContent) {
  const SecretString secret("a$b#c\"d'e\\f g");
  EXPECT_TRUE(secret.Equals("a$b#c\"d'e\\f g"));
  EXPECT_FALSE(secret.Equals("a$b#c\"d'e\\f h"));
  EXPECT_FALSE(secret.Equals("a"));
  EXPECT_TRUE(secret.Clone().Equals(secret.Reveal()));
  EXPECT_TRUE(SecretString().Equals(""));
}

TEST(SecretString, WipesTheWholeMemoryOfAString) {
  std::string text = "secret-value-longer-than-the-small-buffer";
  // A number, so that nobody takes looking there for a mistake.
  const auto memory = reinterpret_cast<uintptr_t>(text.data());
  const size_t capacity = text.capacity();
  text.resize(3);
  WipeString(&text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(text.data()), memory);
  for (size_t i = 0; i < capacity; ++i) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    EXPECT_EQ(*reinterpret_cast<const char*>(memory + i), '\0');
  }
}

TEST(Status, GetsContextOnTheWayUp) {
  const absl::Status status = Annotate(absl::NotFoundError("no such image"), "compose up");
  EXPECT_EQ(status.message(), "compose up: no such image");
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_TRUE(Annotate(absl::OkStatus(), "x").ok());
}

TEST(Status, SurvivesBothWires) {
  for (int code = 0; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), code == 0 ? "" : "why");
    EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
    EXPECT_EQ(FromError(ToError(status)), status);
  }
}

TEST(Status, WhatItQuotesOfACallerFitsIntoTheEndOfACall) {
  EXPECT_EQ(ToGrpc(absl::NotFoundError(std::string(1 << 20, 'x'))).error_message(),
            std::string(4000, 'x'));
  EXPECT_EQ(ToGrpc(absl::NotFoundError("a\xff")).error_message(), "a?");
}

TEST(Status, TakesACodeOfANewerVersionAsUnknown) {
  v1::Error error;
  error.set_code(99);
  EXPECT_EQ(FromError(error).code(), absl::StatusCode::kUnknown);
}

TEST(Status, CanAlwaysBeReadBackFromItsMessage) {
  const v1::Error error = ToError(absl::InternalError("bad \xff byte"));
  v1::Error read;
  ASSERT_TRUE(read.ParseFromString(error.SerializeAsString()));
  EXPECT_EQ(read.message(), "bad ? byte");
}

TEST(Utf8, KeepsWhatIsValidAndMarksWhatIsNot) {
  EXPECT_EQ(ValidUtf8("aé€😀", 100), "aé€😀");
  EXPECT_EQ(ValidUtf8("a\xc3(\xff\xe2\x82", 100), "a?(???");
  EXPECT_EQ(ValidUtf8("\xed\xa0\x80", 100), "???");       // a surrogate
  EXPECT_EQ(ValidUtf8("\xc0\xaf", 100), "??");            // overlong
  EXPECT_EQ(ValidUtf8("\xf4\x90\x80\x80", 100), "????");  // beyond U+10FFFF
}

TEST(Utf8, CutsBetweenCharacters) {
  EXPECT_EQ(ValidUtf8("a€b", 3), "a");
  EXPECT_EQ(ValidUtf8("a€b", 4), "a€");
}

TEST(Utf8, ALineIsTextThatSteersNothing) {
  for (const char* line : {"", "a b", "aé€😀", "\xc2\xa0"}) EXPECT_TRUE(IsLine(line)) << line;
  for (const char* other : {"a\nb", "a\r", "\t", "\x1b[1m", "\x7f", "\xa0", "a\xc3"}) {
    EXPECT_FALSE(IsLine(other)) << other;
  }
}

TEST(Timestamps, SurviveTheWayThereAndBack) {
  for (const absl::Time time : {absl::UnixEpoch(), absl::FromUnixNanos(1'700'000'000'123'456'789),
                                absl::FromUnixNanos(-1'500'000'000)}) {
    EXPECT_EQ(FromTimestamp(ToTimestamp(time)), time);
  }
}

TEST(Log, KeepsAMessageOnOneLine) {
  EXPECT_EQ(OneLine("a\nb\x1b[31m\x7f", 100), "a\\x0ab\\x1b[31m\\x7f");
  EXPECT_EQ(OneLine("abcdef", 3), "abc…");
}

TEST(Log, KnowsItsLevels) {
  LogLevel level = LogLevel::kInfo;
  EXPECT_TRUE(ParseLogLevel("warning", &level).ok());
  EXPECT_EQ(level, LogLevel::kWarning);
  EXPECT_TRUE(absl::IsInvalidArgument(ParseLogLevel("loud", &level)));
}

TEST(Log, WritesLevelPartAndMessageAndLeavesOutWhatIsBelowItsLevel) {
  ::testing::internal::CaptureStderr();
  const Log log(LogLevel::kInfo, "hosts");
  log.Debug("hidden");
  log.Info("h1 is\nconnected {}");
  log.For("pki").Error("no key");
  NullLog().Error("nowhere");
  const std::string written = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(written,
              ::testing::MatchesRegex("[0-9T:.-]+Z info    hosts: h1 is\\\\x0aconnected \\{\\}\n"
                                      "[0-9T:.-]+Z error   pki: no key\n"));
}

}  // namespace
}  // namespace mtp
