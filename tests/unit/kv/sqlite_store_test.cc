// What only the store on disk can get wrong: reopening, locking, damage, a full disk, a killed
// process.
#include "common/kv/sqlite_store.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "common/base/atomic_file.h"
#include "tests/support/temp_folder.h"

namespace mtp::kv {
namespace {

using ::testing::HasSubstr;

class SqliteStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<Store> Open() {
    auto store = OpenSqliteStore(path_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  // Runs `child` in a process of its own, which ends by _exit with what it returns, or by a signal.
  template <typename Child>
  int InChild(Child child) {
    const pid_t pid = fork();
    if (pid == 0) _exit(child());
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  mtp::testing::TempFolder folder_;
  const std::string path_ = folder_ / "state.db";
};

TEST_F(SqliteStoreTest, KeepsEverythingOverAReopening) {
  int64_t revision = 0;
  {
    auto store = Open();
    ASSERT_TRUE(store->Commit(Txn().Put("/a", "1").Put("/b", "2")).ok());
    ASSERT_TRUE(store->Commit(Txn().Delete("/a")).ok());
    revision = *store->Commit(Txn().Put("/c", std::string("\0x", 2)));
  }
  auto store = Open();
  EXPECT_EQ(store->Revision(), revision);
  EXPECT_FALSE(store->Get("/a").ok());
  EXPECT_EQ(store->Get("/b")->value, "2");
  EXPECT_EQ(store->Get("/c")->value, std::string("\0x", 2));
  EXPECT_EQ(store->Get("/c")->mod_revision, revision);
  EXPECT_EQ(*store->Commit(Txn().Put("/d", "4")), revision + 1);
}

TEST_F(SqliteStoreTest, AWatchOfBeforeTheReopeningHasToListAgain) {
  int64_t before = 0;
  {
    auto store = Open();
    before = *store->Commit(Txn().Put("/a", "1"));
    ASSERT_TRUE(store->Commit(Txn().Put("/a", "2")).ok());
  }
  auto store = Open();
  EXPECT_TRUE(absl::IsOutOfRange(
      store->WatchPrefix("/a", before, [](const std::vector<Event>&) {}).status()));
}

TEST_F(SqliteStoreTest, BelongsToOneProcessAtATime) {
  auto store = Open();
  const auto second = OpenSqliteStore(path_);
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  store.reset();
  EXPECT_TRUE(OpenSqliteStore(path_).ok());
}

TEST_F(SqliteStoreTest, IsReadableByItsOwnerOnly) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Txn().Put("/a", "1")).ok());
  for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
    struct stat info {};
    ASSERT_EQ(stat(file.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U) << file.path();
  }
}

TEST_F(SqliteStoreTest, KeepsWhatWasAcknowledgedBeforeAKill) {
  int acknowledged[2];
  ASSERT_EQ(pipe(acknowledged), 0);
  const int code = InChild([&] {
    auto store = OpenSqliteStore(path_);
    if (!store.ok()) return 1;
    for (int i = 0; i < 200; ++i) {
      if (!(*store)->Commit(Txn().Put(absl::StrCat("/k", i), "v")).ok()) return 2;
      if (write(acknowledged[1], "x", 1) != 1) return 3;
    }
    kill(getpid(), SIGKILL);
    return 4;
  });
  EXPECT_EQ(code, 128 + SIGKILL);
  char buffer[512];
  ASSERT_EQ(read(acknowledged[0], buffer, sizeof(buffer)), 200);
  EXPECT_EQ(Open()->List("/k").size(), 200U);
}

// Whether any file of the store holds the text, deleted pages and the write-ahead log included.
bool AnyFileHolds(const std::string& folder, const std::string& text) {
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const auto bytes = ReadFile(file.path(), 64 << 20);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    if (bytes.ok() && bytes->find(text) != std::string::npos) return true;
  }
  return false;
}

// As much as makes it take pages of its own, and others beside it.
std::string LargeValue(const std::string& text) {
  return absl::StrCat(std::string(9000, 'x'), text, std::string(9000, 'y'));
}

TEST_F(SqliteStoreTest, LeavesNoTraceOfWhatWasToLeaveNone) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Txn().Put("/a", "former-a").Put("/b", LargeValue("former-b"))).ok());
  ASSERT_TRUE(store->Commit(Txn().Put("/c", "stays")).ok());
  EXPECT_TRUE(AnyFileHolds(folder_.path(), "former-a"));
  ASSERT_TRUE(store->Commit(Txn().Put("/a", "new").LeaveNoTrace()).ok());
  ASSERT_TRUE(store->Commit(Txn().Delete("/b").LeaveNoTrace()).ok());
  EXPECT_FALSE(AnyFileHolds(folder_.path(), "former-a"));
  EXPECT_FALSE(AnyFileHolds(folder_.path(), "former-b"));
  EXPECT_TRUE(AnyFileHolds(folder_.path(), "stays"));
  EXPECT_EQ(store->Get("/a")->value, "new");
}

// What the test above would find if the log were not emptied.
TEST_F(SqliteStoreTest, AnOrdinaryTransactionLeavesTheFormerValueInTheLog) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Txn().Put("/a", "former-a")).ok());
  ASSERT_TRUE(store->Commit(Txn().Put("/a", "new")).ok());
  EXPECT_TRUE(AnyFileHolds(folder_.path(), "former-a"));
}

TEST_F(SqliteStoreTest, AReaderOnlyPutsOffThatNoTraceIsLeft) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Txn().Put("/a", "former-a")).ok());
  sqlite3* reader = nullptr;
  ASSERT_EQ(sqlite3_open_v2(path_.c_str(), &reader, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM kv", nullptr, nullptr, nullptr),
            SQLITE_OK);
  ASSERT_TRUE(store->Commit(Txn().Delete("/a").LeaveNoTrace()).ok());
  EXPECT_TRUE(AnyFileHolds(folder_.path(), "former-a"));
  sqlite3_close(reader);
  ASSERT_TRUE(store->Commit(Txn().Put("/b", "1")).ok());
  EXPECT_FALSE(AnyFileHolds(folder_.path(), "former-a"));
}

TEST_F(SqliteStoreTest, AnOpeningTakesAwayWhatAKillLeft) {
  const int code = InChild([&] {
    auto store = OpenSqliteStore(path_);
    if (!store.ok()) return 1;
    if (!(*store)->Commit(Txn().Put("/a", "former-a")).ok()) return 2;
    if (!(*store)->Commit(Txn().Delete("/a")).ok()) return 3;
    kill(getpid(), SIGKILL);
    return 4;
  });
  ASSERT_EQ(code, 128 + SIGKILL);
  EXPECT_TRUE(AnyFileHolds(folder_.path(), "former-a"));
  auto store = Open();
  EXPECT_FALSE(AnyFileHolds(folder_.path(), "former-a"));
}

// The connection that the store has opened, so that a test can narrow the disk beneath it.
sqlite3* g_connection = nullptr;
int RememberConnection(sqlite3* connection, const char**, const void*) {
  g_connection = connection;
  return SQLITE_OK;
}

TEST_F(SqliteStoreTest, AFullDiskRefusesTheCommitAndNothingElse) {
  auto* const entry = reinterpret_cast<void (*)()>(RememberConnection);
  ASSERT_EQ(sqlite3_auto_extension(entry), SQLITE_OK);
  auto store = Open();
  sqlite3_cancel_auto_extension(entry);
  ASSERT_NE(g_connection, nullptr);
  const int64_t before = *store->Commit(Txn().Put("/before", "1"));
  sqlite3_exec(g_connection, "PRAGMA max_page_count=20", nullptr, nullptr, nullptr);

  const absl::Status full =
      store->Commit(Txn().Put("/large", std::string(1 << 20, 'x')).Delete("/before")).status();
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_EQ(store->Revision(), before);
  EXPECT_EQ(store->Get("/before")->value, "1");
  EXPECT_FALSE(store->Get("/large").ok());
  // What still fits goes on.
  EXPECT_EQ(*store->Commit(Txn().Put("/small", "2")), before + 1);

  store.reset();
  store = Open();
  EXPECT_EQ(store->Revision(), before + 1);
  EXPECT_EQ(store->Get("/before")->value, "1");
  EXPECT_EQ(store->Get("/small")->value, "2");
  EXPECT_FALSE(store->Get("/large").ok());
}

TEST_F(SqliteStoreTest, AFaultOfTheDiskRefusesTheCommitAndTheStoreGoesOn) {
  // A limit on the size of files makes writes fail, for the child alone.
  const int code = InChild([&] {
    signal(SIGXFSZ, SIG_IGN);
    auto opened = OpenSqliteStore(path_);
    if (!opened.ok()) return 1;
    Store& store = **opened;
    if (!store.Commit(Txn().Put("/before", "1")).ok()) return 2;
    const rlimit small{256 << 10, RLIM_INFINITY};
    if (setrlimit(RLIMIT_FSIZE, &small) != 0) return 3;
    const int64_t revision = store.Revision();
    if (store.Commit(Txn().Put("/large", std::string(1 << 20, 'x'))).ok()) return 4;
    if (store.Revision() != revision || store.Get("/large").ok()) return 5;
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_FSIZE, &unlimited) != 0) return 6;
    return store.Commit(Txn().Put("/after", "2")).ok() ? 0 : 7;
  });
  ASSERT_EQ(code, 0);
  auto store = Open();
  EXPECT_EQ(store->Get("/before")->value, "1");
  EXPECT_EQ(store->Get("/after")->value, "2");
  EXPECT_FALSE(store->Get("/large").ok());
}

TEST_F(SqliteStoreTest, NoticesAFlippedBitInAValue) {
  const std::string value(300, 'v');
  {
    auto store = Open();
    ASSERT_TRUE(store->Commit(Txn().Put("/a", value)).ok());
  }
  std::string file = *ReadFile(path_, 10 << 20);
  const size_t at = file.find(value);
  ASSERT_NE(at, std::string::npos);
  file[at + 150] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(path_, file, 0600).ok());
  const auto store = OpenSqliteStore(path_);
  EXPECT_TRUE(absl::IsDataLoss(store.status())) << store.status();
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("/a"));
}

TEST_F(SqliteStoreTest, NoticesADamagedPage) {
  {
    auto store = Open();
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(store->Commit(Txn().Put(absl::StrCat("/k", i), std::string(1000, 'v'))).ok());
    }
  }
  std::string file = *ReadFile(path_, 10 << 20);
  ASSERT_GT(file.size(), 8192U);
  std::fill(file.begin() + 4096, file.begin() + 8192, '\x5a');
  ASSERT_TRUE(WriteFileAtomically(path_, file, 0600).ok());
  EXPECT_TRUE(absl::IsDataLoss(OpenSqliteStore(path_).status()));
}

TEST_F(SqliteStoreTest, RefusesAFileThatIsNoDatabaseOrOfAnotherProgram) {
  ASSERT_TRUE(WriteFileAtomically(path_, std::string(5000, 'x'), 0600).ok());
  EXPECT_TRUE(absl::IsDataLoss(OpenSqliteStore(path_).status()));

  const std::string other = folder_ / "other.db";
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(other.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "CREATE TABLE t(x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
  EXPECT_TRUE(absl::IsDataLoss(OpenSqliteStore(other).status()));
}

TEST_F(SqliteStoreTest, ItsWriteAheadLogStaysSmall) {
  auto store = Open();
  for (int i = 0; i < 3000; ++i) {
    ASSERT_TRUE(store->Commit(Txn().Put(absl::StrCat("/k", i % 10), std::string(3000, 'v'))).ok());
  }
  EXPECT_LE(std::filesystem::file_size(path_ + "-wal"), 16U << 20);
}

TEST_F(SqliteStoreTest, ACommitTakesUnderTenMillisecondsInTheMiddle) {
  auto store = Open();
  std::vector<double> milliseconds;
  for (int i = 0; i < 500; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(store->Commit(Txn().Put(absl::StrCat("/k", i), std::string(500, 'v'))).ok());
    milliseconds.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
            .count());
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  std::printf("commit of 500 bytes: p50 %.2f ms, p99 %.2f ms\n", milliseconds[250],
              milliseconds[495]);
  EXPECT_LT(milliseconds[250], 10);
}

}  // namespace
}  // namespace mtp::kv
