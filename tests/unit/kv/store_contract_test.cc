// What every Store promises, held against each of them.
#include <absl/strings/str_cat.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/kv/sqlite_store.h"
#include "tests/support/temp_folder.h"

namespace mtp::kv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class StoreContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "memory") {
      store_ = NewMemoryStore();
      return;
    }
    auto opened = OpenSqliteStore(folder_ / "state.db");
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }

  int64_t Put(const std::string& key, const std::string& value) {
    const auto revision = store_->Commit(Txn().Put(key, value));
    EXPECT_TRUE(revision.ok()) << revision.status();
    return revision.value_or(0);
  }
  std::vector<std::string> Keys(const std::string& prefix) {
    std::vector<std::string> keys;
    for (const Entry& entry : store_->List(prefix)) keys.push_back(entry.key);
    return keys;
  }

  mtp::testing::TempFolder folder_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, ::testing::Values("memory", "sqlite"),
                         [](const auto& info) { return info.param; });

TEST_P(StoreContract, GivesBackWhatWasPutWithItsRevision) {
  const std::string bytes("a\0b\xff", 4);
  const int64_t revision = Put("/a", bytes);
  const auto entry = store_->Get("/a");
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->value, bytes);
  EXPECT_EQ(entry->mod_revision, revision);
  EXPECT_EQ(store_->Revision(), revision);
}

TEST_P(StoreContract, KeepsAnEmptyValue) {
  Put("/a", "");
  ASSERT_TRUE(store_->Get("/a").ok());
  EXPECT_EQ(store_->Get("/a")->value, "");
}

TEST_P(StoreContract, SaysNotFoundForAnAbsentKey) {
  EXPECT_TRUE(absl::IsNotFound(store_->Get("/a").status()));
}

TEST_P(StoreContract, ListsAPrefixSortedAndNothingElse) {
  Put("/b/2", "");
  Put("/b/1", "");
  Put("/c", "");
  Put("/b", "");
  Put("/b/\xff", "");
  int64_t revision = 0;
  store_->List("/b/", &revision);
  EXPECT_THAT(Keys("/b/"), ElementsAre("/b/1", "/b/2", "/b/\xff"));
  EXPECT_THAT(Keys("/x"), IsEmpty());
  EXPECT_EQ(revision, store_->Revision());
}

TEST_P(StoreContract, CarriesOutATransactionAsAWhole) {
  Put("/old", "1");
  const auto revision = store_->Commit(Txn().Put("/a", "1").Put("/b", "2").Delete("/old"));
  ASSERT_TRUE(revision.ok());
  EXPECT_EQ(store_->Get("/a")->mod_revision, *revision);
  EXPECT_EQ(store_->Get("/b")->mod_revision, *revision);
  EXPECT_TRUE(absl::IsNotFound(store_->Get("/old").status()));
}

TEST_P(StoreContract, ChangesNothingWhenACompareFails) {
  const int64_t first = Put("/a", "1");
  Put("/a", "2");
  const int64_t before = store_->Revision();
  const auto result =
      store_->Commit(Txn().RequireRevision("/a", first).Put("/b", "x").Delete("/a"));
  EXPECT_TRUE(absl::IsAborted(result.status())) << result.status();
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("/a"));
  EXPECT_EQ(store_->Get("/a")->value, "2");
  EXPECT_TRUE(absl::IsNotFound(store_->Get("/b").status()));
  EXPECT_EQ(store_->Revision(), before);
}

TEST_P(StoreContract, ComparesAbsence) {
  EXPECT_TRUE(store_->Commit(Txn().RequireAbsent("/a").Put("/a", "1")).ok());
  EXPECT_TRUE(absl::IsAborted(store_->Commit(Txn().RequireAbsent("/a").Put("/a", "2")).status()));
  EXPECT_TRUE(store_->Commit(Txn().Delete("/a")).ok());
  EXPECT_TRUE(store_->Commit(Txn().RequireAbsent("/a").Put("/a", "3")).ok());
}

TEST_P(StoreContract, RefusesWhatIsBeyondTheLimits) {
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Commit(Txn().Put("", "1")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      store_->Commit(Txn().Put(std::string(kMaxKeyBytes + 1, 'k'), "1")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      store_->Commit(Txn().Put("/a", std::string(kMaxValueBytes + 1, 'v'))).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Commit(Txn().Put("/a", "1").Delete("/a")).status()));
  Txn large;
  for (size_t i = 0; i <= kMaxChanges; ++i) large.Put(absl::StrCat("/k", i), "");
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Commit(large).status()));
  EXPECT_THAT(Keys("/"), IsEmpty());
}

TEST_P(StoreContract, AcceptsWhatIsExactlyAtTheLimits) {
  EXPECT_TRUE(
      store_->Commit(Txn().Put(std::string(kMaxKeyBytes, 'k'), std::string(kMaxValueBytes, 'v')))
          .ok());
}

// Events of a watch as text: `12 put /a=1`, a line a call.
struct Seen {
  std::vector<std::string> lines;
  std::vector<int64_t> revisions;
  std::function<void(const std::vector<Event>&)> Callback() {
    return [this](const std::vector<Event>& events) {
      std::string line;
      for (const Event& event : events) {
        absl::StrAppend(&line, event.kind == Event::Kind::kPut ? "put " : "delete ",
                        event.entry.key, "=", event.entry.value, ";");
        EXPECT_EQ(event.entry.mod_revision, events.front().entry.mod_revision);
      }
      lines.push_back(line);
      revisions.push_back(events.front().entry.mod_revision);
    };
  }
};

TEST_P(StoreContract, AWatchSeesWhatTouchesItsPrefix) {
  Seen seen;
  auto watch = store_->WatchPrefix("/a/", store_->Revision(), seen.Callback());
  ASSERT_TRUE(watch.ok());
  Put("/a/1", "x");
  Put("/b/1", "x");
  ASSERT_TRUE(store_->Commit(Txn().Put("/a/2", "y").Put("/b/2", "y").Delete("/a/1")).ok());
  EXPECT_THAT(seen.lines, ElementsAre("put /a/1=x;", "put /a/2=y;delete /a/1=;"));
}

TEST_P(StoreContract, AWatchFromThePastCatchesUpWithoutGapOrRepeat) {
  const int64_t begin = store_->Revision();
  Put("/a", "1");
  Put("/a", "2");
  Seen seen;
  auto watch = store_->WatchPrefix("/a", begin, seen.Callback());
  ASSERT_TRUE(watch.ok());
  Put("/a", "3");
  EXPECT_THAT(seen.lines, ElementsAre("put /a=1;", "put /a=2;", "put /a=3;"));
}

TEST_P(StoreContract, AWatchIsSilentOnceDestroyed) {
  Seen seen;
  auto watch = store_->WatchPrefix("/a", store_->Revision(), seen.Callback());
  ASSERT_TRUE(watch.ok());
  watch->reset();
  Put("/a", "1");
  EXPECT_THAT(seen.lines, IsEmpty());
}

TEST_P(StoreContract, AWatchIsSilentAboutWhatFailed) {
  Seen seen;
  auto watch = store_->WatchPrefix("/a", store_->Revision(), seen.Callback());
  ASSERT_TRUE(watch.ok());
  EXPECT_FALSE(store_->Commit(Txn().RequireRevision("/a", 77).Put("/a", "1")).ok());
  EXPECT_FALSE(store_->Commit(Txn().Put("/a", "1").Put("/a", "2")).ok());
  ASSERT_TRUE(store_->Commit(Txn().Delete("/a/absent")).ok());
  EXPECT_THAT(seen.lines, IsEmpty());
}

TEST_P(StoreContract, AWatchFromBeforeTheHistoryOrFromTheFutureHasToListAgain) {
  const int64_t begin = store_->Revision();
  for (int i = 0; i < 25; ++i) {
    Txn txn;
    for (int j = 0; j < 500; ++j) txn.Put(absl::StrCat("/k", j), "v");
    ASSERT_TRUE(store_->Commit(txn).ok());
  }
  const auto ignore = [](const std::vector<Event>&) {};
  EXPECT_TRUE(absl::IsOutOfRange(store_->WatchPrefix("/k", begin, ignore).status()));
  EXPECT_TRUE(store_->WatchPrefix("/k", store_->Revision() - 1, ignore).ok());
  EXPECT_TRUE(
      absl::IsOutOfRange(store_->WatchPrefix("/k", store_->Revision() + 1, ignore).status()));
}

TEST_P(StoreContract, AWatchMayReadTheStoreAndBeginAnotherWatch) {
  std::string read;
  std::unique_ptr<Watch> second;
  Seen seen;
  auto watch = store_->WatchPrefix("/a", store_->Revision(), [&](const std::vector<Event>& events) {
    read = store_->Get("/a")->value;
    if (second == nullptr) {
      second = *store_->WatchPrefix("/a", events.front().entry.mod_revision, seen.Callback());
    }
  });
  ASSERT_TRUE(watch.ok());
  Put("/a", "1");
  Put("/a", "2");
  EXPECT_EQ(read, "2");
  EXPECT_THAT(seen.lines, ElementsAre("put /a=2;"));
}

TEST_P(StoreContract, AWatchHearsOneThingAtATimeAndItsEndWaitsForThat) {
  absl::Notification hears;
  absl::Notification has_heard;
  std::atomic<int> calls = 0;
  auto watch = store_->WatchPrefix("/a", store_->Revision(), [&](const std::vector<Event>&) {
    if (calls++ > 0) return;
    hears.Notify();
    has_heard.WaitForNotification();
  });
  ASSERT_TRUE(watch.ok());
  std::thread committer([this] { Put("/a", "1"); });
  hears.WaitForNotification();
  Put("/a", "2");
  EXPECT_EQ(calls, 1);
  std::atomic<bool> ended = false;
  std::thread ender([&] {
    watch->reset();
    ended = true;
  });
  // Were it not to wait, it would have ended by then nearly always.
  absl::SleepFor(absl::Milliseconds(20));
  EXPECT_FALSE(ended);
  has_heard.Notify();
  committer.join();
  ender.join();
}

TEST_P(StoreContract, ManyCommittersLoseNothingAndWatchesSeeEachRevisionOnceInOrder) {
  constexpr int kThreads = 4;
  constexpr int kEach = 100;
  Put("/counter", "0");
  Seen seen;
  auto watch = store_->WatchPrefix("/counter", store_->Revision(), seen.Callback());
  ASSERT_TRUE(watch.ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      for (int done = 0; done < kEach;) {
        const Entry now = *store_->Get("/counter");
        const auto result =
            store_->Commit(Txn()
                               .RequireRevision("/counter", now.mod_revision)
                               .Put("/counter", absl::StrCat(std::stoi(now.value) + 1)));
        if (result.ok()) ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Another thread may still be handing out the last events; the end of the watch waits for it.
  watch->reset();
  EXPECT_EQ(store_->Get("/counter")->value, absl::StrCat(kThreads * kEach));
  ASSERT_LE(seen.lines.size(), size_t{kThreads * kEach});
  for (size_t i = 0; i < seen.lines.size(); ++i) {
    EXPECT_EQ(seen.lines[i], absl::StrCat("put /counter=", i + 1, ";"));
  }
}

}  // namespace
}  // namespace mtp::kv
