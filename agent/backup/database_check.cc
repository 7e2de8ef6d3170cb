#include "agent/backup/database_check.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "agent/backup/beneath.h"
#include "agent/backup/database_connection.h"
#include "agent/backup/file_copy.h"
#include "agent/backup/tree.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

using Access = DatabaseConnection::Access;
using Outcome = DatabaseConnection::Outcome;

constexpr absl::Duration kAllowed = absl::Minutes(10);
constexpr int64_t kHeapBytesMax = 512 << 20;
// SQLite's own limit for the whole path is 512, and names of its other files come on top.
constexpr size_t kPathBytesMax = 490;
constexpr int64_t kGrowthBytesMax = 1 << 20;
constexpr char kScratchName[] = "database";
constexpr absl::string_view kJournalMagic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
constexpr const char* kCompanions[] = {"-wal", "-journal", "-shm"};

Outcome Problem(std::string problem) { return {absl::OkStatus(), std::move(problem)}; }
Outcome Error(int error, const char* what) { return {ErrnoStatus(error, what), ""}; }

// What is in the folder beside the main file, as far as SQLite would use it.
struct Files {
  int64_t main_bytes = 0;
  int64_t wal_bytes = 0;
  int64_t journal_bytes = 0;
  bool hot_journal = false;  // As SQLite decides: its first byte is not zero.
  std::string journal_end;   // Its last eight bytes.
};

class Check {
 public:
  explicit Check(const FoundDatabase& found) : found_(found) {}

  Outcome Run() {
    if (!found_.hidden.empty()) return Problem(found_.hidden);
    if (found_.path.size() > kPathBytesMax)
      return Problem("its path is longer than SQLite can open");
    Outcome outcome = Look();
    if (!outcome.ok()) return outcome;
    struct stat folder {};
    if (fstat(found_.folder, &folder) != 0) return Error(errno, "look at a folder");
    const auto keep_times = absl::MakeCleanup([&] {
      const timespec times[2] = {folder.st_atim, folder.st_mtim};
      futimens(found_.folder, times);  // Best effort: only its looks are lost.
    });
    outcome = CheckAndFold();
    return outcome.ok() ? RemoveCompanions() : outcome;
  }

 private:
  Outcome Look() {
    struct stat info {};
    for (const char* end : kCompanions) {
      if (fstatat(found_.folder, Name(end).c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
      // Else folding would empty what has another name too.
      if (!S_ISREG(info.st_mode) || info.st_nlink != 1)
        return Problem(absl::StrCat("its ", end, " is no file of its own"));
    }
    if (!Size("", &files_.main_bytes)) return Problem("it cannot be opened");
    if (!Size("-wal", &files_.wal_bytes) || !Size("-journal", &files_.journal_bytes))
      return Problem("its -wal or -journal cannot be opened");
    if (files_.journal_bytes == 0) return {};
    files_.hot_journal = Read("-journal", 0, 1) != std::string(1, '\0');
    files_.journal_end = Read("-journal", files_.journal_bytes - 8, 8);
    return {};
  }

  Outcome CheckAndFold() {
    // SQLite would throw the `-wal` away.
    if (files_.main_bytes == 0 && files_.wal_bytes > 0)
      return Problem("its main file is empty, but it has a -wal");
    const int64_t bytes = files_.main_bytes + files_.wal_bytes + files_.journal_bytes;
    Outcome outcome = LimitFileSize(bytes + kGrowthBytesMax);
    if (!outcome.ok()) return outcome;
    if (files_.hot_journal) return FoldJournal();
    if (files_.wal_bytes > 0) return FoldWal();
    std::unique_ptr<DatabaseConnection> connection;
    outcome = DatabaseConnection::Open(Path(), Access::kMainFile, kAllowed, &connection);
    return outcome.ok() ? connection->Check() : outcome;
  }

  // Reading changes neither the main file nor the `-wal`, so the check can come before the fold.
  Outcome FoldWal() {
    std::unique_ptr<DatabaseConnection> connection;
    Outcome outcome = DatabaseConnection::Open(Path(), Access::kRecovered, kAllowed, &connection);
    if (outcome.ok()) outcome = connection->Check();
    return outcome.ok() ? Folded(connection->Fold()) : outcome;
  }

  // The first reading plays the journal back, so the check needs a copy.
  Outcome FoldJournal() {
    // With databases of one transaction, each journal names a file by the path that the client's
    // program saw. Where that file is not found the transaction counts as complete: not here.
    if (files_.journal_end == kJournalMagic)
      return Problem("its -journal is part of a transaction over several databases");
    Outcome outcome = CheckScratch();
    if (!outcome.ok()) return outcome;
    std::unique_ptr<DatabaseConnection> connection;
    outcome = DatabaseConnection::Open(Path(), Access::kRecovered, kAllowed, &connection);
    return outcome.ok() ? Folded(connection->Fold()) : outcome;
  }

  Outcome CheckScratch() {
    std::string scratch;
    int error = EEXIST;
    for (int i = 0; error == EEXIST && i < 100; ++i) {
      scratch = absl::StrCat(".mtp-check-", i);
      error = mkdirat(found_.folder, scratch.c_str(), 0700) == 0 ? 0 : errno;
    }
    if (error == ENOSPC || error == EDQUOT) return Error(error, "make a folder for a copy");
    if (error != 0) return Problem("there is no place for a copy, which checking it needs");
    const auto remove =
        absl::MakeCleanup([&] { RemoveTreeBeneath(found_.folder, scratch).IgnoreError(); });
    const FileDescriptor folder =
        OpenBeneath(found_.folder, scratch, O_RDONLY | O_DIRECTORY, &error);
    if (!folder.valid()) return Error(error, "open the folder of a copy");
    for (const char* end : {"", "-wal", "-journal"}) {
      if (absl::Status status = CopyTo(folder.get(), end); !status.ok()) return {status, ""};
    }
    const std::string parent = Path().substr(0, Path().size() - found_.name.size());
    std::unique_ptr<DatabaseConnection> connection;
    Outcome outcome = DatabaseConnection::Open(absl::StrCat(parent, scratch, "/", kScratchName),
                                               Access::kRecovered, kAllowed, &connection);
    return outcome.ok() ? connection->Check() : outcome;
  }

  absl::Status CopyTo(int folder, const char* end) {
    int error = 0;
    const FileDescriptor from = OpenBeneath(found_.folder, Name(end), O_RDONLY, &error);
    if (!from.valid() && error == ENOENT) return absl::OkStatus();
    struct stat info {};
    if (!from.valid() || fstat(from.get(), &info) != 0)
      return ErrnoStatus(from.valid() ? errno : error, "open a database to copy it");
    const FileDescriptor to(openat(folder, absl::StrCat(kScratchName, end).c_str(),
                                   O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!to.valid()) return ErrnoStatus(errno, "copy a database");
    const CopyBudget budget(absl::InfiniteDuration(), {});
    return CopyContent(from.get(), to.get(), info.st_size, budget).status();
  }

  // A fold that stops half-way loses nothing: the rest is still in the `-wal` or `-journal`.
  static Outcome Folded(Outcome outcome) {
    if (!outcome.problem.empty())
      outcome.problem = absl::StrCat("it is whole but cannot be folded: ", outcome.problem);
    return outcome;
  }

  Outcome RemoveCompanions() {
    for (const char* end : kCompanions) {
      if (unlinkat(found_.folder, Name(end).c_str(), 0) != 0 && errno != ENOENT)
        return Problem(absl::StrCat("it is whole but its ", end, " cannot be removed"));
    }
    return {};
  }

  // A journal can claim any size for the database: no hole of terabytes comes from it.
  static Outcome LimitFileSize(int64_t bytes) {
    rlimit limit{};
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0) return Error(errno, "read a limit");
    limit.rlim_cur = std::min(limit.rlim_max, static_cast<rlim_t>(bytes));
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return Error(errno, "set a limit");
    return {};
  }

  // 0 when there is none. False when it cannot be read.
  bool Size(const char* end, int64_t* bytes) const {
    int error = 0;
    const FileDescriptor file =
        OpenBeneath(found_.folder, Name(end), O_RDONLY | O_NONBLOCK, &error);
    struct stat info {};
    if (!file.valid()) return error == ENOENT && *end != '\0';
    if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
    *bytes = info.st_size;
    return true;
  }

  std::string Read(const char* end, int64_t at, size_t size) const {
    int error = 0;
    const FileDescriptor file = OpenBeneath(found_.folder, Name(end), O_RDONLY, &error);
    std::string bytes(size, '\0');
    const ssize_t got = file.valid() ? pread(file.get(), bytes.data(), size, at) : 0;
    bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return bytes;
  }

  std::string Name(const char* end) const { return found_.name + end; }
  // Begins plainly, whatever the client calls its folders.
  std::string Path() const { return "./" + found_.path; }

  const FoundDatabase& found_;
  Files files_;
};

}  // namespace

absl::Status PrepareSqlite() {
  if (sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK || sqlite3_initialize() != SQLITE_OK)
    return absl::InternalError("SQLite does not start");
  sqlite3_hard_heap_limit64(kHeapBytesMax);
  return absl::OkStatus();
}

absl::StatusOr<std::string> CheckDatabase(const FoundDatabase& found) {
  Outcome outcome = Check(found).Run();
  if (!outcome.error.ok()) return outcome.error;
  return std::move(outcome.problem);
}

}  // namespace mtp
