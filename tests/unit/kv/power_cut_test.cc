// Power cuts that leave torn sectors and any part of what was not synced: no acknowledged
// transaction is lost, one that was under way is there as a whole or not at all, and the store
// opens by itself.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/kv/sqlite_store.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/kv/torn_disk.h"

namespace mtp::kv {
namespace {

using mtp::testing::SeededRandom;
using mtp::testing::TempFolder;
using ::testing::IsEmpty;

using Content = std::map<std::string, std::string>;

Content ContentOf(const Store& store) {
  Content content;
  for (Entry& entry : store.List("")) content[entry.key] = std::move(entry.value);
  return content;
}

struct Seen {
  int cuts = 0;
  int in_log = 0;          // Something of the log was not synced,
  int in_main_file = 0;    // of the main file,
  int under_way_kept = 0;  // and of transactions under way these many were there afterwards,
  int under_way_lost = 0;  // or not.
  std::vector<std::string> broken;
};

// One seed's store with its history. What it was told is the ledger: `sure` was acknowledged, the
// transaction that leads to `next` is under way.
class Life {
 public:
  Life(uint64_t seed, bool lies, Seen* seen)
      : seed_(seed), random_(seed), lies_(lies), large_(seed % 8 == 0), seen_(*seen) {}

  void Run() {
    std::filesystem::create_directory(live_);
    TornDisk disk(live_);
    disk.lies = lies_;
    disk.on_event = [&] {
      if (random_.Chance(large_ ? 4 : 40)) Cut(disk);
    };
    for (int opening = 0; opening < 3 && seen_.broken.empty(); ++opening) {
      auto store = OpenSqliteStore(live_ + "/state.db");
      ASSERT_TRUE(store.ok()) << store.status();
      for (int i = 0; i < (large_ ? 60 : 15) && seen_.broken.empty(); ++i) Change(**store);
    }
  }

 private:
  void Change(Store& store) {
    Txn txn;
    next_ = sure_;
    const uint64_t changes = 1 + random_.Below(4);
    for (uint64_t i = 0; i < changes; ++i) {
      // A key a change, so that none is named twice.
      const std::string key = absl::StrCat("/", i, "/", random_.Below(4));
      if (random_.Chance(200)) {
        txn.Delete(key);
        next_.erase(key);
      } else {
        txn.Put(key, next_[key] = random_.Bytes(random_.Below(large_ ? 60'000 : 5'000)));
      }
    }
    if (random_.Chance(100)) txn.LeaveNoTrace();
    const auto revision = store.Commit(txn);
    ASSERT_TRUE(revision.ok()) << revision.status();
    sure_ = next_;
    revision_ = *revision;
  }

  void Cut(const TornDisk& disk) {
    ++seen_.cuts;
    seen_.in_log += disk.IsUnsynced("state.db-wal") ? 1 : 0;
    seen_.in_main_file += disk.IsUnsynced("state.db") ? 1 : 0;
    const std::string after = absl::StrCat(folder_ / "after-", seen_.cuts);
    std::filesystem::create_directory(after);
    disk.Cut(random_, after);
    if (const std::string what = WhatBroke(after + "/state.db"); !what.empty()) {
      seen_.broken.push_back(absl::StrCat("seed ", seed_, ", cut ", seen_.cuts, ", after revision ",
                                          revision_, ": ", what));
    }
    std::filesystem::remove_all(after);
  }

  std::string WhatBroke(const std::string& path) {
    auto store = OpenSqliteStore(path);
    if (!store.ok()) return std::string(store.status().message());
    const int64_t revision = (*store)->Revision();
    if (revision < revision_) return absl::StrCat("went back to revision ", revision);
    if (revision > revision_ + 1) return absl::StrCat("came to revision ", revision);
    const bool is_next = revision > revision_;
    if (ContentOf(**store) != (is_next ? next_ : sure_)) return "another content";
    if (sure_ != next_) ++(is_next ? seen_.under_way_kept : seen_.under_way_lost);
    const auto goes_on = (*store)->Commit(Txn().Put("/on", "and on"));
    return goes_on.ok() ? "" : std::string(goes_on.status().message());
  }

  const uint64_t seed_;
  SeededRandom random_;
  const bool lies_;
  const bool large_;  // So much that the log is written back on the way.
  Seen& seen_;
  const TempFolder folder_;
  const std::string live_ = folder_ / "live";
  Content sure_;
  Content next_;
  int64_t revision_ = 0;
};

TEST(PowerCut, LosesNothingAcknowledgedAndLeavesNoHalfTransaction) {
  Seen seen;
  for (uint64_t seed = 0; seed < 32; ++seed) Life(seed, /*lies=*/false, &seen).Run();
  EXPECT_THAT(seen.broken, IsEmpty());
  EXPECT_GT(seen.cuts, 1000);
  EXPECT_GT(seen.in_log, 500);
  EXPECT_GT(seen.in_main_file, 50);
  EXPECT_GT(seen.under_way_kept, 10);
  EXPECT_GT(seen.under_way_lost, 100);
  std::printf("%d cuts: in the log %d, in the main file %d; under way and kept %d, lost %d\n",
              seen.cuts, seen.in_log, seen.in_main_file, seen.under_way_kept, seen.under_way_lost);
}

// The check itself: a disk that says it has synced and has not is found out.
TEST(PowerCut, OfADiskThatLiesIsNoticed) {
  int noticed = 0;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    Seen seen;
    Life(seed, /*lies=*/true, &seen).Run();
    noticed += seen.broken.empty() ? 0 : 1;
  }
  EXPECT_EQ(noticed, 8);
}

}  // namespace
}  // namespace mtp::kv
