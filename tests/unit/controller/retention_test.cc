// Which backups may go: whatever the catalogue, never the last good one.
#include "controller/backups/retention.h"

#include <absl/strings/str_format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>

#include "common/base/timestamps.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

v1::Backup Make(int number, int days_ago, bool verified = false,
                const std::string& repository = "main") {
  v1::Backup backup;
  backup.set_name(absl::StrFormat("backups/%04d", number));
  backup.set_repository(repository);
  *backup.mutable_start_time() = ToTimestamp(kNow - absl::Hours(24) * days_ago);
  if (verified) *backup.mutable_verify_time() = ToTimestamp(kNow);
  return backup;
}

std::vector<std::string> Names(const std::vector<v1::Backup>& backups) {
  std::vector<std::string> names;
  for (const v1::Backup& backup : backups) names.push_back(backup.name().substr(8));
  return names;
}

TEST(PrunePlan, KeepsTheNewestOnesAndTheYoungOnes) {
  const std::vector<v1::Backup> all = {Make(1, 50), Make(2, 40), Make(3, 31), Make(4, 30),
                                       Make(5, 2),  Make(6, 1),  Make(7, 0)};
  EXPECT_THAT(Names(PrunePlan(all, kNow, 1, 30)), ElementsAre("0003", "0002", "0001"));
  EXPECT_THAT(Names(PrunePlan(all, kNow, 5, 30)), ElementsAre("0002", "0001"));
  EXPECT_THAT(Names(PrunePlan(all, kNow, 7, 1)), IsEmpty());
  EXPECT_THAT(Names(PrunePlan(all, kNow, 1, 50)), IsEmpty());
}

TEST(PrunePlan, KeepsTheNewestVerifiedOneHoweverOld) {
  const std::vector<v1::Backup> all = {Make(1, 90, true), Make(2, 80, true), Make(3, 70),
                                       Make(4, 60)};
  EXPECT_THAT(Names(PrunePlan(all, kNow, 1, 1)), ElementsAre("0003", "0001"));
}

TEST(PrunePlan, CountsEachRepositoryByItself) {
  const std::vector<v1::Backup> all = {Make(1, 90, false, "a"), Make(2, 80, false, "b"),
                                       Make(3, 70, false, "a"), Make(4, 60, false, "b")};
  EXPECT_THAT(Names(PrunePlan(all, kNow, 1, 1)), ElementsAre("0002", "0001"));
  EXPECT_THAT(Names(PrunePlan(all, kNow, 2, 1)), IsEmpty());
}

TEST(PrunePlan, HasNothingToRemoveFromNothing) {
  EXPECT_THAT(PrunePlan({}, kNow, 1, 1), IsEmpty());
}

class RandomCatalogues : public ::testing::TestWithParam<int> {
 protected:
  std::vector<v1::Backup> Catalogue() {
    std::vector<v1::Backup> all;
    for (int i = Below(40); i > 0; --i) {
      all.push_back(Make(i, Below(60) - 2, Below(4) == 0, std::string(1, 'a' + Below(3))));
    }
    std::shuffle(all.begin(), all.end(), random_);
    return all;
  }
  int Below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }

  static std::set<std::string> Set(const std::vector<v1::Backup>& backups) {
    const std::vector<std::string> names = Names(backups);
    return {names.begin(), names.end()};
  }
  static std::vector<v1::Backup> Without(const std::vector<v1::Backup>& all,
                                         const std::vector<v1::Backup>& plan) {
    const std::set<std::string> gone = Set(plan);
    std::vector<v1::Backup> left;
    for (const v1::Backup& backup : all) {
      if (gone.count(backup.name().substr(8)) == 0) left.push_back(backup);
    }
    return left;
  }
  // Of each repository the greatest name, of all and of the verified ones.
  static std::map<std::string, std::string> LastGood(const std::vector<v1::Backup>& backups) {
    std::map<std::string, std::string> last;
    for (const v1::Backup& backup : backups) {
      std::string& newest = last[backup.repository()];
      newest = std::max(newest, backup.name());
      if (!backup.has_verify_time()) continue;
      std::string& verified = last[backup.repository() + " verified"];
      verified = std::max(verified, backup.name());
    }
    return last;
  }

  std::mt19937 random_{static_cast<unsigned>(GetParam())};
};

TEST_P(RandomCatalogues, KeepWhatAPersonCountsOn) {
  for (int i = 0; i < 200; ++i) {
    const std::vector<v1::Backup> all = Catalogue();
    const int last = 1 + Below(10);
    const int days = 1 + Below(40);
    const std::vector<v1::Backup> plan = PrunePlan(all, kNow, last, days);
    const std::vector<v1::Backup> left = Without(all, plan);
    ASSERT_EQ(left.size() + plan.size(), all.size());
    ASSERT_EQ(LastGood(left), LastGood(all));
    std::map<std::string, int> before, after;
    for (const v1::Backup& backup : all) ++before[backup.repository()];
    for (const v1::Backup& backup : left) ++after[backup.repository()];
    for (const auto& [repository, count] : before) {
      ASSERT_GE(after[repository], std::min(count, last));
    }
    for (const v1::Backup& backup : plan) {
      ASSERT_LT(FromTimestamp(backup.start_time()), kNow - absl::Hours(24) * days);
    }
    // Once more removes nothing, and to keep more removes no other.
    ASSERT_THAT(PrunePlan(left, kNow, last, days), IsEmpty());
    for (const auto& [more_last, more_days] :
         {std::pair(last + 1, days), std::pair(last, days + 1)}) {
      for (const std::string& name : Set(PrunePlan(all, kNow, more_last, more_days))) {
        ASSERT_EQ(Set(plan).count(name), 1u);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomCatalogues, ::testing::Range(0, 5));

}  // namespace
}  // namespace mtp
