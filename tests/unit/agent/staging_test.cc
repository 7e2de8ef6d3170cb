#include "agent/backup/staging.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "agent/backup/exclusions.h"
#include "tests/unit/agent/random_changes.h"
#include "tests/unit/agent/scratch_folder.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct stat InfoOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info;
}

class StagingCopy : public ::testing::Test {
 protected:
  StagingCopy() {
    fs::create_directories(folder_ / "data/acme");
    fs::create_directories(folder_ / "staging");
    request_.data_root = folder_ / "data";
    request_.name = "acme";
    request_.staging_root = folder_ / "staging";
    request_.exclude = ExcludedFromBackup;
  }

  void Create() {
    staging_.reset();  // Its end removes the folder of that name.
    auto created = Staging::Create(request_);
    ASSERT_TRUE(created.ok()) << created.status();
    staging_ = std::move(*created);
  }
  RefreshResult Refresh(bool frozen = false) {
    const auto result = staging_->Refresh({.frozen = frozen}, {});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : RefreshResult();
  }
  std::string Copy(const std::string& name) const { return "staging/acme/data/" + name; }
  std::map<std::string, std::string> Skipped() const {
    std::map<std::string, std::string> reasons;
    for (const SkippedEntry& entry : staging_->skipped()) reasons[entry.path] = entry.reason;
    return reasons;
  }

  // One line per entry with all that is kept; hard links as the first path of their inode.
  std::map<std::string, std::string> Describe(const std::string& top) const {
    std::map<std::string, std::string> lines;
    std::map<ino_t, std::string> first;
    std::vector<std::string> paths{""};
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / top)) {
      paths.push_back(fs::path(entry.path()).lexically_relative(folder_ / top));
    }
    std::sort(paths.begin(), paths.end());
    for (const std::string& path : paths) {
      const std::string file = absl::StrCat(top, "/", path);
      const struct stat info = InfoOf(folder_ / file);
      std::ostringstream line;
      line << std::oct << info.st_mode << std::dec << ' ' << info.st_uid << ':' << info.st_gid
           << ' ' << info.st_mtim.tv_sec << '.' << info.st_mtim.tv_nsec << ' ';
      if (S_ISLNK(info.st_mode)) line << fs::read_symlink(folder_ / file);
      if (S_ISREG(info.st_mode)) {
        line << folder_.Read(file) << " same as " << first.emplace(info.st_ino, path).first->second;
      }
      lines[path] = line.str();
    }
    return lines;
  }

  testing::ScratchFolder folder_;
  StagingRequest request_;
  std::unique_ptr<Staging> staging_;
};

TEST_F(StagingCopy, KeepsContentModeOwnerTimesAndLinks) {
  folder_.Write("data/acme/a/file", "content");
  fs::create_hard_link(folder_ / "data/acme/a/file", folder_ / "data/acme/second");
  fs::create_symlink("/etc/passwd", folder_ / "data/acme/link");
  folder_.Write("data/acme/two\nlines \xff", "odd");
  ASSERT_EQ(chown((folder_ / "data/acme/a/file").c_str(), 1000, 1001), 0);
  ASSERT_EQ(chmod((folder_ / "data/acme/a").c_str(), 01750), 0);
  const timespec times[2] = {{1, 2}, {1'600'000'000, 123'456'789}};
  ASSERT_EQ(utimensat(AT_FDCWD, (folder_ / "data/acme/a").c_str(), times, 0), 0);
  Create();

  const RefreshResult result = Refresh();

  EXPECT_EQ(Describe("staging/acme/data"), Describe("data/acme"));
  EXPECT_EQ(result.files, 3);
  EXPECT_EQ(result.content_bytes, 10);
  EXPECT_THAT(result.unsettled, IsEmpty());
  EXPECT_EQ(InfoOf(folder_ / "staging/acme").st_mode & 07777, 0700u);
}

TEST_F(StagingCopy, ReadsOnlyWhatChangedTheSecondTime) {
  request_.racy_window = absl::ZeroDuration();
  for (int i = 0; i < 50; ++i) folder_.Write("data/acme/f" + std::to_string(i), "same");
  folder_.Write("data/acme/big", std::string(1 << 20, 'x'));
  Create();
  Refresh();
  const int big = open((folder_ / "data/acme/big").c_str(), O_WRONLY);
  ASSERT_EQ(pwrite(big, "y", 1, 500'000), 1);
  close(big);

  const RefreshResult result = Refresh(/*frozen=*/true);

  EXPECT_EQ(result.read_files, 1);
  EXPECT_EQ(result.written_bytes, 16 * 1024);
  EXPECT_EQ(Describe("staging/acme/data"), Describe("data/acme"));
}

TEST_F(StagingCopy, ComparesTheContentOfWhatChangedJustBeforeItWasRead) {
  request_.racy_window = absl::Hours(1);
  folder_.Write("data/acme/file", "content");
  Create();
  Refresh();

  EXPECT_EQ(Refresh(/*frozen=*/true).read_files, 1);
}

TEST_F(StagingCopy, SeesLaterWritesThroughAMapping) {
  request_.racy_window = absl::ZeroDuration();
  folder_.Write("data/acme/mapped", std::string(4096, 'x'));
  const int file = open((folder_ / "data/acme/mapped").c_str(), O_RDWR);
  auto* bytes =
      static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  ASSERT_NE(bytes, MAP_FAILED);
  bytes[0] = 'a';  // The page is dirty: another write needs no fault, and so sets no ctime.
  const timespec begin = InfoOf(folder_ / "data/acme/mapped").st_ctim;
  // Until the clock that stamps files has moved on.
  for (timespec now{}; now.tv_sec == 0 || now.tv_nsec == begin.tv_nsec;) {
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
  }
  Create();
  Refresh();

  bytes[1] = 'b';
  Refresh(/*frozen=*/true);
  munmap(bytes, 4096);
  close(file);

  EXPECT_EQ(folder_.Read(Copy("mapped")).substr(0, 3), "abx");
}

TEST_F(StagingCopy, KeepsHolesAndMakesThemLater) {
  request_.racy_window = absl::ZeroDuration();
  const std::string path = folder_ / "data/acme/sparse";
  folder_.Write("data/acme/sparse", std::string(1 << 20, 'x'));
  ASSERT_EQ(truncate(path.c_str(), int64_t{20} << 30), 0);
  Create();
  const RefreshResult first = Refresh();
  EXPECT_EQ(InfoOf(folder_ / Copy("sparse")).st_size, int64_t{20} << 30);
  EXPECT_LT(InfoOf(folder_ / Copy("sparse")).st_blocks * 512, 2 << 20);
  EXPECT_EQ(first.written_bytes, 1 << 20);

  const int file = open(path.c_str(), O_RDWR);
  ASSERT_EQ(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 19), 0);
  close(file);
  ASSERT_EQ(truncate(path.c_str(), 2 << 20), 0);
  Refresh(/*frozen=*/true);

  EXPECT_EQ(folder_.Read(Copy("sparse")), folder_.Read("data/acme/sparse"));
  EXPECT_LE(InfoOf(folder_ / Copy("sparse")).st_blocks * 512, 1 << 19);
}

TEST_F(StagingCopy, SkipsByNameWhatNoBackupCanHold) {
  folder_.Write("outside/secret", "not yours");
  folder_.Write("data/acme/.openclaw/cache/x", "made again");
  folder_.Write("data/acme/base", "db");
  folder_.Write("data/acme/base-shm", "shared");
  folder_.Write("data/acme/other-shm", "an ordinary file");
  folder_.Write("data/acme/suid", "x");
  ASSERT_EQ(chmod((folder_ / "data/acme/suid").c_str(), 06755), 0);
  ASSERT_EQ(mkfifo((folder_ / "data/acme/fifo").c_str(), 0600), 0);
  ASSERT_EQ(mknod((folder_ / "data/acme/zero").c_str(), S_IFCHR | 0600, makedev(1, 5)), 0);
  folder_.Write("data/acme/vast", "");
  ASSERT_EQ(truncate((folder_ / "data/acme/vast").c_str(), int64_t{8} << 40), 0);
  fs::create_symlink(folder_ / "outside", folder_ / "data/acme/link");
  Create();

  Refresh();

  const auto skipped = Skipped();
  EXPECT_THAT(skipped, Contains(std::pair<const std::string, std::string>("fifo", "a fifo")));
  EXPECT_THAT(skipped, Contains(std::pair<const std::string, std::string>("zero", "a device")));
  EXPECT_TRUE(skipped.contains(".openclaw/cache"));
  EXPECT_TRUE(skipped.contains("base-shm"));
  EXPECT_THAT(skipped.at("vast"), HasSubstr("claims 8796093022208 bytes"));
  EXPECT_EQ(skipped.size(), 5u);
  EXPECT_EQ(InfoOf(folder_ / Copy("suid")).st_mode & 07777, 0755u);
  EXPECT_TRUE(fs::is_symlink(folder_ / Copy("link")));
  EXPECT_TRUE(fs::exists(folder_ / Copy("other-shm")));
}

TEST_F(StagingCopy, HoldsToItsLimits) {
  for (int i = 0; i < 10; ++i) folder_.Write("data/acme/f" + std::to_string(i), "12345");
  const StagingLimits usual;
  const auto refused = [this] {
    Create();
    return absl::IsResourceExhausted(staging_->Refresh({}, {}).status());
  };
  request_.limits.max_entries = 10;  // The folder itself counts.
  EXPECT_TRUE(refused());
  request_.limits = usual;
  request_.limits.max_bytes = 49;
  EXPECT_TRUE(refused());
  request_.limits.max_bytes = 50;
  EXPECT_FALSE(refused());
  request_.limits.max_skipped = 0;
  EXPECT_FALSE(refused());
  ASSERT_EQ(mkfifo((folder_ / "data/acme/fifo").c_str(), 0600), 0);
  EXPECT_TRUE(refused());
  request_.limits = usual;
  request_.limits.max_depth = 1;
  folder_.Write("data/acme/1/2/3", "deep");
  EXPECT_FALSE(refused());
  EXPECT_THAT(Skipped().at("1/2"), HasSubstr("nested deeper than 1"));
}

TEST_F(StagingCopy, EndsAtItsDeadlineAndOnRequestAndGoesOnAfterwards) {
  folder_.Write("data/acme/a", "a");
  folder_.Write("data/acme/b", "b");
  Create();
  std::stop_source stop;
  stop.request_stop();

  EXPECT_TRUE(
      absl::IsDeadlineExceeded(staging_->Refresh({.allowed = absl::ZeroDuration()}, {}).status()));
  EXPECT_TRUE(absl::IsCancelled(staging_->Refresh({}, stop.get_token()).status()));
  Refresh();

  EXPECT_EQ(Describe("staging/acme/data"), Describe("data/acme"));
}

TEST_F(StagingCopy, LeavesNothingBehindAndSweepsWhatACrashLeft) {
  folder_.Write("data/acme/a", "a");
  folder_.Write("staging/acme/data/left", "by a crash");
  folder_.Write("staging/other/gone-1/left", "by a crash");
  Create();
  Refresh();
  EXPECT_FALSE(fs::exists(folder_ / Copy("left")));
  staging_.reset();
  EXPECT_FALSE(fs::exists(folder_ / "staging/acme"));

  ASSERT_TRUE(SweepStaging(folder_ / "staging").ok());

  EXPECT_TRUE(fs::is_empty(folder_ / "staging"));
  request_.name = "../acme";
  EXPECT_TRUE(absl::IsInvalidArgument(Staging::Create(request_).status()));
  request_.name = "nobody";
  Create();
  EXPECT_TRUE(absl::IsNotFound(staging_->Refresh({}, {}).status()));
}

TEST_F(StagingCopy, EqualsTheFolderAfterAnyChanges) {
  request_.exclude = nullptr;
  request_.racy_window = absl::Seconds(1);
  for (uint32_t seed = 0; seed < 60; ++seed) {
    fs::remove_all(folder_ / "data/acme");
    fs::create_directories(folder_ / "data/acme");
    RandomChanges mutator(folder_ / "data/acme", seed);
    Create();
    for (int pass = 0; pass < 4; ++pass) {
      for (int change = 0; change < 60; ++change) mutator.Change();
      Refresh(pass == 3);
      ASSERT_EQ(Describe("staging/acme/data"), Describe("data/acme")) << seed << " " << pass;
    }
  }
}

int64_t CountRows(const std::string& path, std::string* integrity) {
  sqlite3* handle = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
  const auto text = [handle](const char* sql) {
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(handle, sql, -1, &statement, nullptr), SQLITE_OK);
    std::string value;
    if (sqlite3_step(statement) == SQLITE_ROW) {
      value = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    return value;
  };
  *integrity = text("PRAGMA integrity_check");
  const std::string count = text("SELECT count(*) FROM t");
  sqlite3_close(handle);
  return count.empty() ? -1 : std::stoll(count);
}

TEST_F(StagingCopy, HoldsExactlyTheCommittedRowsOfADatabaseThatIsBeingWritten) {
  for (int round = 0; round < 8; ++round) {
    fs::remove_all(folder_ / "data/acme");
    fs::create_directories(folder_ / "data/acme");
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open((folder_ / "data/acme/db").c_str(), &handle), SQLITE_OK);
    sqlite3_exec(handle,
                 "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=20; PRAGMA synchronous=OFF;"
                 "CREATE TABLE t(x)",
                 nullptr, nullptr, nullptr);
    std::atomic<bool> stop{false};
    std::atomic<int64_t> rows{0};
    // Its end is the freeze: the connection stays open, as a paused process keeps it.
    std::thread writer([&] {
      while (!stop) {
        if (sqlite3_exec(handle, "INSERT INTO t VALUES(randomblob(3000))", nullptr, nullptr,
                         nullptr) == SQLITE_OK) {
          ++rows;
        }
        std::ofstream(folder_ / "data/acme/log", std::ios::app) << "line " << rows << "\n";
      }
    });
    while (rows < 50) std::this_thread::yield();
    Create();
    Refresh();
    const int64_t seen = rows;
    while (rows < seen + 30) std::this_thread::yield();
    stop = true;
    writer.join();

    const RefreshResult result = Refresh(/*frozen=*/true);

    EXPECT_THAT(result.unsettled, IsEmpty());
    EXPECT_EQ(folder_.Read(Copy("log")), folder_.Read("data/acme/log"));
    EXPECT_EQ(folder_.Read(Copy("db-wal")), folder_.Read("data/acme/db-wal"));
    std::string integrity;
    EXPECT_EQ(CountRows(folder_ / Copy("db"), &integrity), rows);
    EXPECT_EQ(integrity, "ok");
    sqlite3_close(handle);
  }
}

}  // namespace
}  // namespace mtp
