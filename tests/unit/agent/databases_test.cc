#include "agent/backup/databases.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/agent/databases_fixture.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;
using testing::DatabaseCheck;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::Sqlite;

struct stat InfoOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info;
}

void SetTime(const std::string& path, time_t seconds) {
  const timespec times[2] = {{seconds, 5}, {seconds, 5}};
  EXPECT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
}

std::vector<std::string> Paths(const DatabaseReport& report) {
  std::vector<std::string> paths;
  for (const DatabaseProblem& problem : report.damaged) paths.push_back(problem.path);
  return paths;
}

// Bytes that are in no page of a database.
std::string Garbage(size_t size) { return std::string(size, '\xa5'); }

TEST_F(DatabaseCheck, FoldsWhatWasCommittedAndDropsWhatWasNot) {
  Make(Live("state/a.sqlite"), "WAL", 10);
  Sqlite live(Live("state/a.sqlite"));
  live.Run("PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=5");
  live.Run(Insert(1000));
  live.Run("BEGIN; UPDATE t SET x='uncommitted'");  // More than the cache holds.
  Freeze("state/a.sqlite");
  ASSERT_GT(fs::file_size(Copy("state/a.sqlite-wal")), fs::file_size(Copy("state/a.sqlite")));

  const DatabaseReport report = Check();

  EXPECT_EQ(report.checked, 1);
  EXPECT_THAT(report.damaged, IsEmpty());
  EXPECT_THAT(Names(), ElementsAre("state", "state/a.sqlite"));
  Sqlite copy(Copy("state/a.sqlite"));
  EXPECT_EQ(copy.Run("SELECT count(*) FROM t"), "1010");
  EXPECT_EQ(copy.Run("SELECT count(*) FROM t WHERE x='uncommitted'"), "0");
  EXPECT_EQ(copy.Run("PRAGMA journal_mode"), "wal");
}

// As OpenClaw's own tables do.
TEST_F(DatabaseCheck, TakesNoRuleOfATableForDamage) {
  Make(Live("a.sqlite"), "WAL", 10);
  Sqlite live(Live("a.sqlite"));
  live.Run("PRAGMA wal_autocheckpoint=0");
  live.Run(
      "CREATE TABLE events (event TEXT CHECK (json_valid(event)), size INTEGER GENERATED ALWAYS AS "
      "(CASE WHEN json_valid(event) THEN length(event) END) VIRTUAL)");
  live.Run("CREATE INDEX valid ON events (size) WHERE json_valid(event)");
  live.Run("INSERT INTO events (event) VALUES ('{}')");
  Freeze("a.sqlite");

  const DatabaseReport report = Check();

  EXPECT_EQ(report.checked, 1);
  EXPECT_THAT(report.damaged, IsEmpty());
  EXPECT_THAT(Names(), ElementsAre("a.sqlite"));
  Sqlite copy(Copy("a.sqlite"));
  EXPECT_EQ(copy.Run("SELECT count(*) FROM events"), "1");
}

// A database in the middle of a transaction, parts of which have reached its main file.
class HotJournal : public DatabaseCheck {
 protected:
  HotJournal() {
    Make(Live("b.db"), "DELETE", 1000);
    Sqlite live(Live("b.db"));
    live.Run("PRAGMA cache_size=5; BEGIN; UPDATE t SET x='uncommitted'");
    Freeze("b.db");
  }
  // What the journal's header takes, by its own word.
  std::streamoff SectorSize() const {
    const std::string journal = top_.Read("copy/b.db-journal");
    return static_cast<unsigned char>(journal.at(22)) * 256;
  }
};

TEST_F(HotJournal, IsPlayedBack) {
  ASSERT_THAT(top_.Read("copy/b.db"), HasSubstr("uncommitted"));

  const DatabaseReport report = Check();

  EXPECT_EQ(report.checked, 1);
  EXPECT_THAT(report.damaged, IsEmpty());
  EXPECT_THAT(Names(), ElementsAre("b.db"));
  Sqlite copy(Copy("b.db"));
  EXPECT_EQ(copy.Run("SELECT count(*) FROM t WHERE x!='uncommitted'"), "1000");
  EXPECT_EQ(copy.Run("PRAGMA journal_mode"), "delete");
}

TEST_F(HotJournal, StaysWhereItDoesNotMakeTheDatabaseWhole) {
  // The sum of the journal's first page is wrong then, which ends the playing back there.
  Damage("b.db-journal", SectorSize() + 100, Garbage(1000));
  const auto before = Contents();

  const DatabaseReport report = Check();

  EXPECT_THAT(Paths(report), ElementsAre("b.db"));
  EXPECT_EQ(Contents(), before);
}

TEST_F(HotJournal, OfATransactionOverSeveralDatabasesStays) {
  // The record at a journal's end: page, name, its length, its sum, the magic.
  const std::string name = "/home/node/.openclaw/b.db-mj0";
  uint32_t sum = 0;
  for (const char c : name) sum += static_cast<uint32_t>(c);
  const auto number = [](uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    return bytes;
  };
  std::ofstream(Copy("b.db-journal"), std::ios::app | std::ios::binary)
      << number(0x40000000 / 4096 + 1) << name << number(static_cast<uint32_t>(name.size()))
      << number(sum) << "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
  const auto before = Contents();

  const DatabaseReport report = Check();

  ASSERT_THAT(report.damaged, SizeIs(1));
  EXPECT_THAT(report.damaged[0].problem, HasSubstr("several databases"));
  EXPECT_EQ(Contents(), before);
}

TEST_F(HotJournal, CannotBlowTheDatabaseUp) {
  Damage("b.db-journal", 16, "\x3f\xff\xff\xff");  // Pages that the database had before.
  const auto before = Contents();

  const DatabaseReport report = Check();

  ASSERT_THAT(Paths(report), ElementsAre("b.db"));
  // Else SQLite would complain of pages that nothing uses, once they were there.
  EXPECT_THAT(report.damaged[0].problem, HasSubstr("disk I/O error"));
  EXPECT_EQ(Contents(), before);
}

TEST_F(DatabaseCheck, LeavesADamagedOneAsItIsWithItsWal) {
  Make(Live("a.db"), "WAL", 1000);
  Sqlite live(Live("a.db"));
  live.Run("INSERT INTO t(x) VALUES('last')");
  Freeze("a.db");
  Damage("a.db", 4096 * 10, Garbage(4096));
  const auto before = Contents();
  ASSERT_THAT(Names(), ElementsAre("a.db", "a.db-wal"));

  const DatabaseReport report = Check();

  EXPECT_EQ(report.checked, 1);
  EXPECT_THAT(Paths(report), ElementsAre("a.db"));
  EXPECT_EQ(Contents(), before);
}

TEST_F(DatabaseCheck, FindsDamageOfEachKind) {
  Make(Copy("whole.db"), "DELETE", 1000);
  Make(Copy("page.db"), "DELETE", 1000);
  Damage("page.db", 4096 * 10, Garbage(4096));
  Make(Copy("short.db"), "DELETE", 1000);
  fs::resize_file(Copy("short.db"), 4096 * 7);
  top_.Write("copy/garbage", std::string("SQLite format 3\0", 16) + Garbage(5000));
  // Belongs to the one above, whatever is in it.
  top_.Write("copy/short.db-shm", std::string("SQLite format 3\0", 16));
  Make(Copy("wal.db"), "WAL", 1000);
  Damage("wal.db", 4096 * 10, Garbage(4096));
  top_.Write("copy/header", std::string("SQLite format 3\0", 16));
  Make(Live("empty.db"), "WAL", 10);
  Sqlite live(Live("empty.db"));
  live.Run(Insert(10));
  Freeze("empty.db");
  fs::resize_file(Copy("empty.db"), 0);
  const auto before = Contents();

  const DatabaseReport report = Check();

  EXPECT_EQ(report.checked, 7);
  EXPECT_THAT(Paths(report),
              ElementsAre("empty.db", "garbage", "header", "page.db", "short.db", "wal.db"));
  for (const DatabaseProblem& damaged : report.damaged) EXPECT_NE(damaged.problem, "");
  EXPECT_EQ(Contents(), before);
}

TEST_F(DatabaseCheck, FindsADatabaseWhosePageOneIsInItsWal) {
  Make(Live("a.db"), "WAL", 10);
  Sqlite live(Live("a.db"));
  live.Run("PRAGMA user_version=7");
  Freeze("a.db");
  Damage("a.db", 0, Garbage(100));

  const DatabaseReport report = Check();

  EXPECT_EQ(report.checked, 1);
  EXPECT_THAT(report.damaged, IsEmpty());
  EXPECT_EQ(Sqlite(Copy("a.db")).Run("PRAGMA user_version"), "7");
}

TEST_F(DatabaseCheck, KeepsTheTimesWhereNothingIsToFold) {
  Make(Copy("a/wal.db"), "WAL", 10);
  Make(Copy("a/journal.db"), "PERSIST", 10);
  ASSERT_THAT(Names(), ElementsAre("a", "a/journal.db", "a/journal.db-journal", "a/wal.db"));
  top_.Write("copy/a/wal.db-shm", Garbage(100));
  for (const char* name : {"a/wal.db", "a/journal.db", "a"}) SetTime(Copy(name), 1'000'000'000);

  EXPECT_EQ(Check().checked, 2);

  EXPECT_THAT(Names(), ElementsAre("a", "a/journal.db", "a/wal.db"));
  for (const char* name : {"a/wal.db", "a/journal.db", "a"}) {
    EXPECT_EQ(InfoOf(Copy(name)).st_mtim.tv_sec, 1'000'000'000) << name;
    EXPECT_EQ(InfoOf(Copy(name)).st_mtim.tv_nsec, 5) << name;
  }
  EXPECT_EQ(Sqlite(Copy("a/wal.db")).Run("PRAGMA journal_mode"), "wal");
}

TEST_F(DatabaseCheck, ChecksOneThatNobodyMayWrite) {
  Make(Copy("a.db"), "WAL", 10);
  fs::permissions(Copy("a.db"), fs::perms::owner_read);

  const DatabaseReport report = Check();

  EXPECT_EQ(report.checked, 1);
  EXPECT_THAT(report.damaged, IsEmpty());
}

TEST_F(DatabaseCheck, LeavesAllOtherFilesAlone) {
  top_.Write("copy/notes.txt", "SQLite format 3");
  top_.Write("copy/notes.txt-wal", "mine");
  top_.Write("copy/notes.txt-shm", "mine");
  top_.Write("copy/empty", "");
  top_.Write("copy/x/.mtp-check-0/mine", "mine");
  ASSERT_EQ(mkfifo(Copy("fifo.db").c_str(), 0600), 0);
  fs::create_directories(Copy("folder.db"));
  Make(Live("x/b.db"), "DELETE", 1000);
  Sqlite live(Live("x/b.db"));
  live.Run("PRAGMA cache_size=5; BEGIN; UPDATE t SET x='uncommitted'");
  Freeze("x/b.db");
  auto before = Contents();

  const DatabaseReport report = Check();

  EXPECT_EQ(report.checked, 1);
  EXPECT_THAT(report.damaged, IsEmpty());
  auto after = Contents();
  before.erase("x/b.db");
  before.erase("x/b.db-journal");
  EXPECT_EQ(after.erase("x/b.db"), 1u);
  EXPECT_EQ(after, before);
}

TEST_F(DatabaseCheck, FollowsNoLink) {
  Make(Live("outside.db"), "WAL", 10);
  Sqlite live(Live("outside.db"));
  live.Run(Insert(10));
  const std::string outside = top_.Read("live/outside.db");
  fs::create_symlink("/etc/passwd", Copy("passwd.db"));
  fs::create_symlink("../live/outside.db", Copy("outside.db"));
  fs::create_symlink("../live/outside.db-wal", Copy("outside.db-wal"));
  fs::create_symlink("../live", Copy("folder"));
  fs::create_symlink(".", Copy("loop"));
  Make(Copy("inside.db"), "WAL", 10);
  top_.Write("copy/precious", "precious");
  fs::create_symlink("precious", Copy("inside.db-wal"));
  Make(Copy("linked.db"), "WAL", 10);
  fs::create_hard_link(Copy("precious"), Copy("linked.db-wal"));
  const auto before = Contents();

  const DatabaseReport report = Check();

  EXPECT_EQ(report.checked, 2);
  EXPECT_THAT(Paths(report), ElementsAre("inside.db", "linked.db"));
  EXPECT_EQ(Contents(), before);
  EXPECT_EQ(top_.Read("live/outside.db"), outside);
  EXPECT_TRUE(fs::exists(Live("outside.db-wal")));
}

TEST_F(DatabaseCheck, RunsNothingThatIsWrittenInADatabase) {
  Make(Live("a.db"), "WAL", 10);
  Sqlite live(Live("a.db"));
  const auto one = [](sqlite3_context* context, int, sqlite3_value**) {
    sqlite3_result_int(context, 1);
  };
  // A function of the client's program: not known to the check, which must not call it damage.
  sqlite3_create_function(live.get(), "own", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr, one,
                          nullptr, nullptr);
  live.Run("CREATE INDEX own_index ON t(own(x))");
  live.Run("CREATE TABLE ruled(x CHECK (own(x) = 1)); INSERT INTO ruled VALUES(1)");
  live.Run("CREATE VIEW v AS SELECT load_extension('./evil.so'), own(x) FROM t");
  live.Run("CREATE TRIGGER g AFTER DELETE ON t BEGIN SELECT load_extension('./evil.so'); END");
  Freeze("a.db");

  const DatabaseReport report = Check();

  EXPECT_EQ(report.checked, 1);
  EXPECT_THAT(report.damaged, IsEmpty()) << report.damaged[0].problem;
  EXPECT_THAT(Names(), ElementsAre("a.db"));
}

TEST_F(DatabaseCheck, KeepsEveryByteOfAName) {
  const std::string header("SQLite format 3\0", 16);
  const std::vector<std::string> names = {"a\nb.db", "c%41?mode=ro&x#.db", "d\"\\'e.db",
                                          "file:g.db", "g\xff\xfe.db"};
  for (const std::string& name : names) {
    top_.Write("copy/\x01/" + name, header);
    Make(Copy("\x02/" + name), "WAL", 10);
  }

  const DatabaseReport report = Check();

  EXPECT_EQ(report.checked, 10);
  std::vector<std::string> paths;
  for (const std::string& name : names) paths.push_back("\x01/" + name);
  EXPECT_EQ(Paths(report), paths);
}

TEST_F(DatabaseCheck, ChecksManyAndNamesTwenty) {
  Make(Live("a.db"), "WAL", 10);
  for (int i = 100; i < 300; ++i) {
    fs::copy_file(Live("a.db"), Copy(std::to_string(i) + ".db"));
    if (i % 4 == 0) Damage(std::to_string(i) + ".db", 4096, Garbage(4096));
  }

  const DatabaseReport report = Check();

  EXPECT_EQ(report.checked, 200);
  ASSERT_THAT(report.damaged, SizeIs(20));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(report.damaged[static_cast<size_t>(i)].path, std::to_string(100 + 4 * i) + ".db");
  }
}

TEST_F(DatabaseCheck, SaysWhatItMayNotLookInto) {
  Make(Copy("a.db"), "DELETE", 1);
  Make(Copy("closed.db"), "DELETE", 1);
  Make(Copy("closed/b.db"), "DELETE", 1);
  fs::permissions(Copy("closed.db"), fs::perms::none);
  fs::permissions(Copy("closed"), fs::perms::none);
  const auto open = [&] { fs::permissions(Copy("closed"), fs::perms::owner_all); };

  HandOver();
  const auto report = CheckDatabases(top_ / "copy", options_, nullptr);
  open();

  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->checked, 3);
  EXPECT_THAT(Paths(*report), ElementsAre("closed", "closed.db"));
}

TEST_F(DatabaseCheck, RefusesAFolderDeeperThanItsLimit) {
  std::string path;
  for (int i = 0; i < 130; ++i) path += "d/";
  fs::create_directories(Copy(path));

  EXPECT_TRUE(absl::IsResourceExhausted(TryCheck().status()));
}

TEST_F(DatabaseCheck, NamesWhatTheCallerDidWrong) {
  EXPECT_TRUE(absl::IsNotFound(CheckDatabases(top_ / "missing", options_, nullptr).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(CheckDatabases("copy", options_, nullptr).status()));
  options_.uid = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(TryCheck().status()));
}

}  // namespace
}  // namespace mtp
