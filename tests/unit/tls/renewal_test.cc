#include "common/tls/renewal.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <set>

namespace mtp::tls {
namespace {

const absl::Time kBegin = absl::FromUnixSeconds(1'767'225'600);
constexpr absl::Duration kLife = absl::Hours(24 * 360);

TEST(Renewal, IsDueBetweenTwoThirdsAndThreeQuartersOfTheLife) {
  std::set<absl::Time> times;
  for (int i = 0; i < 100; ++i) {
    const absl::Time due = RenewalTime(kBegin, kBegin + kLife, absl::StrCat("h", i));
    EXPECT_GE(due, kBegin + absl::Hours(24 * 240));
    EXPECT_LE(due, kBegin + absl::Hours(24 * 270));
    times.insert(due);
  }
  EXPECT_GT(times.size(), 60u) << "hosts that joined together are not renewed together";
}

TEST(Renewal, IsDueAtTheSameTimeWheneverOneAsks) {
  EXPECT_EQ(RenewalTime(kBegin, kBegin + kLife, "h1"), RenewalTime(kBegin, kBegin + kLife, "h1"));
}

TEST(Renewal, IsOverdueAfterEveryoneWasDueAndLongBeforeTheEnd) {
  EXPECT_EQ(OverdueTime(kBegin, kBegin + kLife), kBegin + absl::Hours(24 * 300));
}

}  // namespace
}  // namespace mtp::tls
