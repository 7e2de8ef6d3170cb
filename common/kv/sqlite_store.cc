#include "common/kv/sqlite_store.h"

#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "common/base/atomic_file.h"
#include "common/base/file_descriptor.h"
#include "common/base/status.h"
#include "common/kv/content.h"
#include "common/kv/sqlite_database.h"

namespace mtp::kv {
namespace {

// PRAGMA application_id ("MTPS") and user_version tell a file of ours, and of which layout, from
// others.
constexpr int64_t kApplicationId = 0x4d545053;
constexpr int64_t kLayout = 1;

// The write-ahead log is checkpointed every 1,000 pages (4 MiB) and cut to 16 MiB after a burst.
// What is deleted is overwritten, not only unlinked.
constexpr char kPragmas[] =
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA wal_autocheckpoint=1000;"
    "PRAGMA journal_size_limit=16777216;"
    "PRAGMA secure_delete=ON;"
    "PRAGMA busy_timeout=5000;";
constexpr char kWaitForNobody[] = "PRAGMA busy_timeout=0";
constexpr char kWaitForOthers[] = "PRAGMA busy_timeout=5000";

constexpr char kLayoutSql[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB NOT NULL, mod_revision INTEGER NOT NULL,"
    " digest BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('revision', 0);"
    "PRAGMA application_id=1297371219;"
    "PRAGMA user_version=1;"
    "COMMIT;";
static_assert(kApplicationId == 1297371219);

// SQLite does not notice a flipped bit within a value; this does, at the next opening.
std::string Digest(absl::string_view key, absl::string_view value, int64_t revision) {
  const std::string whole = absl::StrCat(key.size(), ":", key, revision, ":", value);
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(whole.data()), whole.size(), hash);
  return std::string(reinterpret_cast<const char*>(hash), 8);
}

absl::StatusOr<FileDescriptor> LockFile(const std::string& path) {
  FileDescriptor lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, absl::StrCat("lock ", path));
    return absl::FailedPreconditionError(
        absl::StrCat("another process holds ", path, ": stop it first"));
  }
  return lock;
}

// SQLite gives its side files the mode of the main file, so that is made first, for the owner
// alone.
absl::Status MakeFile(const std::string& path) {
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("open ", path));
  if (fchmod(file.get(), 0600) != 0) return ErrnoStatus(errno, absl::StrCat("chmod ", path));
  return SyncFolder(FolderOf(path));
}

absl::StatusOr<int64_t> ReadInt64(Database& database, const char* sql) {
  MTP_ASSIGN_OR_RETURN(Statement statement, database.Prepare(sql));
  MTP_ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return absl::DataLossError("the state file lacks its revision");
  return statement.Int64(0);
}

absl::Status CheckIntegrity(Database& database) {
  MTP_ASSIGN_OR_RETURN(Statement statement, database.Prepare("PRAGMA integrity_check(1)"));
  MTP_ASSIGN_OR_RETURN(const bool found, statement.Step());
  const absl::string_view said = found ? statement.Blob(0) : "no answer";
  if (said != "ok") return absl::DataLossError(absl::StrCat("the integrity check says: ", said));
  return absl::OkStatus();
}

absl::Status CheckLayout(Database& database) {
  MTP_ASSIGN_OR_RETURN(const int64_t id, ReadInt64(database, "PRAGMA application_id"));
  if (id != kApplicationId) return absl::DataLossError("this is a database of another program");
  MTP_ASSIGN_OR_RETURN(const int64_t layout, ReadInt64(database, "PRAGMA user_version"));
  if (layout != kLayout) {
    return absl::FailedPreconditionError(
        absl::StrCat("layout ", layout, " is of a newer version; install that version"));
  }
  return absl::OkStatus();
}

absl::Status PrepareLayout(Database& database) {
  MTP_RETURN_IF_ERROR(CheckIntegrity(database));
  MTP_ASSIGN_OR_RETURN(const int64_t tables,
                       ReadInt64(database, "SELECT count(*) FROM sqlite_schema"));
  if (tables == 0) return database.Execute(kLayoutSql);
  return CheckLayout(database);
}

absl::StatusOr<std::vector<Entry>> ReadEntries(Database& database) {
  std::vector<Entry> entries;
  MTP_ASSIGN_OR_RETURN(Statement statement,
                       database.Prepare("SELECT key, value, mod_revision, digest FROM kv"
                                        " ORDER BY key"));
  while (true) {
    MTP_ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found) return entries;
    Entry entry{std::string(statement.Blob(0)), std::string(statement.Blob(1)), statement.Int64(2)};
    if (statement.Blob(3) != Digest(entry.key, entry.value, entry.mod_revision)) {
      return absl::DataLossError(absl::StrCat("the value of ", entry.key, " is damaged"));
    }
    entries.push_back(std::move(entry));
  }
}

class SqliteStore final : public Store {
 public:
  SqliteStore(FileDescriptor lock, Database database)
      : lock_(std::move(lock)), database_(std::move(database)) {}

  absl::Status Load() {
    absl::MutexLock lock(&commit_mutex_);
    MTP_ASSIGN_OR_RETURN(std::vector<Entry> entries, ReadEntries(database_));
    MTP_ASSIGN_OR_RETURN(const int64_t revision, ReadRevision());
    content_.Load(std::move(entries), revision);
    MTP_ASSIGN_OR_RETURN(put_,
                         database_.Prepare("INSERT OR REPLACE INTO kv VALUES(?1, ?2, ?3, ?4)"));
    MTP_ASSIGN_OR_RETURN(delete_, database_.Prepare("DELETE FROM kv WHERE key = ?1"));
    MTP_ASSIGN_OR_RETURN(set_revision_,
                         database_.Prepare("UPDATE meta SET value = ?1 WHERE name = 'revision'"));
    // A process that was killed may have left former values in it.
    has_traces_ = !EmptyLog();
    return absl::OkStatus();
  }

  absl::StatusOr<Entry> Get(absl::string_view key) const override { return content_.Get(key); }
  std::vector<Entry> List(absl::string_view prefix, int64_t* revision) const override {
    return content_.List(prefix, revision);
  }
  int64_t Revision() const override { return content_.Revision(); }

  absl::StatusOr<int64_t> Commit(const Txn& txn) override {
    MTP_RETURN_IF_ERROR(CheckLimits(txn));
    int64_t revision = 0;
    {
      absl::MutexLock lock(&commit_mutex_);
      MTP_RETURN_IF_ERROR(content_.CheckCompares(txn));
      revision = content_.Revision() + 1;
      MTP_RETURN_IF_ERROR(WriteDurably(txn, revision));
      content_.Apply(txn, revision);
      if (txn.leaves_no_trace || has_traces_) has_traces_ = !EmptyLog();
    }
    // Outside of the lock: a slow callback holds up nobody but its own committer.
    content_.Deliver();
    return revision;
  }

  absl::StatusOr<std::unique_ptr<Watch>> WatchPrefix(
      std::string prefix, int64_t after_revision,
      std::function<void(const std::vector<Event>&)> on_events) override {
    return content_.WatchPrefix(std::move(prefix), after_revision, std::move(on_events));
  }

 private:
  absl::StatusOr<int64_t> ReadRevision() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mutex_) {
    return ReadInt64(database_, "SELECT value FROM meta WHERE name = 'revision'");
  }

  absl::Status WriteDurably(const Txn& txn, int64_t revision)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mutex_) {
    absl::Status status = Write(txn, revision);
    if (status.ok()) return status;
    database_.Rollback();
    // Memory must never differ from the file: a COMMIT that reports an error after it took effect
    // is a success.
    if (const auto written = ReadRevision(); written.ok() && *written == revision) {
      return absl::OkStatus();
    }
    return status;
  }

  absl::Status Write(const Txn& txn, int64_t revision)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mutex_) {
    MTP_RETURN_IF_ERROR(database_.Execute("BEGIN IMMEDIATE"));
    for (const auto& [key, value] : txn.puts) {
      const std::string digest = Digest(key, value, revision);
      put_.BindBlob(1, key);
      put_.BindBlob(2, value);
      put_.BindInt64(3, revision);
      put_.BindBlob(4, digest);
      MTP_RETURN_IF_ERROR(Run(put_));
    }
    for (const std::string& key : txn.deletes) {
      delete_.BindBlob(1, key);
      MTP_RETURN_IF_ERROR(Run(delete_));
    }
    set_revision_.BindInt64(1, revision);
    MTP_RETURN_IF_ERROR(Run(set_revision_));
    return database_.Execute("COMMIT");
  }

  // Moves all of the write-ahead log, which keeps each former value until it is written over, into
  // the main file, where secure_delete has overwritten them. False when someone reads the files or
  // the disk fails: the transaction holds all the same. Waits for nobody.
  bool EmptyLog() ABSL_EXCLUSIVE_LOCKS_REQUIRED(commit_mutex_) {
    if (!database_.Execute(kWaitForNobody).ok()) return false;
    const auto blocked = ReadInt64(database_, "PRAGMA wal_checkpoint(TRUNCATE)");
    return database_.Execute(kWaitForOthers).ok() && blocked.ok() && *blocked == 0;
  }

  static absl::Status Run(Statement& statement) {
    const absl::Status status = statement.Step().status();
    statement.Reset();
    return status;
  }

  // Declared first: the lock is given up after the database is closed.
  const FileDescriptor lock_;
  absl::Mutex commit_mutex_;
  Database database_ ABSL_GUARDED_BY(commit_mutex_);
  Statement put_ ABSL_GUARDED_BY(commit_mutex_);
  Statement delete_ ABSL_GUARDED_BY(commit_mutex_);
  Statement set_revision_ ABSL_GUARDED_BY(commit_mutex_);
  // Former values that were to leave none are still in the files.
  bool has_traces_ ABSL_GUARDED_BY(commit_mutex_) = false;
  Content content_;
};

absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path) {
  MTP_ASSIGN_OR_RETURN(FileDescriptor lock, LockFile(path + ".lock"));
  MTP_RETURN_IF_ERROR(MakeFile(path));
  MTP_ASSIGN_OR_RETURN(Database database, Database::Open(path));
  MTP_RETURN_IF_ERROR(database.Execute(kPragmas));
  MTP_RETURN_IF_ERROR(PrepareLayout(database));
  auto store = std::make_unique<SqliteStore>(std::move(lock), std::move(database));
  MTP_RETURN_IF_ERROR(store->Load());
  return store;
}

absl::StatusOr<std::vector<Entry>> Read(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) return ErrnoStatus(errno, absl::StrCat("open ", path));
  MTP_ASSIGN_OR_RETURN(Database database, Database::Open(path));
  // One transaction, so that all of it is of one moment.
  MTP_RETURN_IF_ERROR(database.Execute("PRAGMA busy_timeout=5000; BEGIN"));
  MTP_RETURN_IF_ERROR(CheckLayout(database));
  return ReadEntries(database);
}

}  // namespace

absl::StatusOr<std::vector<Entry>> ReadSqliteStore(const std::string& path) {
  auto entries = Read(path);
  if (!entries.ok()) return Annotate(entries.status(), absl::StrCat("the state in ", path));
  return entries;
}

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path) {
  auto store = Open(path);
  if (!store.ok()) return Annotate(store.status(), absl::StrCat("the state in ", path));
  return store;
}

}  // namespace mtp::kv
