#include "agent/backup/database_connection.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <sqlite3.h>

#include <cerrno>

#include "common/base/atomic_file.h"
#include "common/base/clock.h"

namespace mtp {
namespace {

using Outcome = DatabaseConnection::Outcome;

constexpr size_t kRowsBytesMax = 300;
// A few milliseconds of SQLite's virtual machine.
constexpr int kProgressSteps = 100'000;

// Every byte that a URI gives a meaning, and all that are not plain: RFC 3986.
std::string FileUri(const std::string& path, bool immutable) {
  std::string uri = "file:";
  for (const char c : path) {
    if (isalnum(static_cast<unsigned char>(c)) != 0 || c == '/' || c == '.' || c == '-') {
      uri += c;
    } else {
      absl::StrAppendFormat(&uri, "%%%02x", static_cast<unsigned char>(c));
    }
  }
  return immutable ? uri + "?immutable=1" : uri;
}

}  // namespace

DatabaseConnection::DatabaseConnection(absl::Duration allowed)
    : allowed_(allowed), begin_(SystemClock().Monotonic()) {}

DatabaseConnection::~DatabaseConnection() { sqlite3_close(database_); }

int DatabaseConnection::Progress(void* self) {
  const auto* connection = static_cast<DatabaseConnection*>(self);
  return SystemClock().Monotonic() - connection->begin_ > connection->allowed_ ? 1 : 0;
}

Outcome DatabaseConnection::Open(const std::string& path, Access access, absl::Duration allowed,
                                 std::unique_ptr<DatabaseConnection>* connection) {
  connection->reset(new DatabaseConnection(allowed));
  DatabaseConnection& self = **connection;
  const bool main_only = access == Access::kMainFile;
  const int flags = (main_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_URI |
                    SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  const int code =
      sqlite3_open_v2(FileUri(path, main_only).c_str(), &self.database_, flags, "unix");
  if (code != SQLITE_OK) return self.Result(code);
  // SQLite falls back to reading alone when the file's mode forbids writing.
  if (!main_only && sqlite3_db_readonly(self.database_, "main") != 0)
    return {{}, "it is read-only, so its unfinished changes cannot be brought in"};
  return self.Harden();
}

Outcome DatabaseConnection::Harden() {
  sqlite3_extended_result_codes(database_, 1);
  sqlite3_progress_handler(database_, kProgressSteps, Progress, this);
  sqlite3_limit(database_, SQLITE_LIMIT_ATTACHED, 0);
  const std::pair<int, int> settings[] = {{SQLITE_DBCONFIG_DEFENSIVE, 1},
                                          // SQLite 3.40 holds its own json_valid() for unsafe
                                          // and refuses to read a schema that calls it. What a
                                          // schema may call here is harmless: nothing is loaded,
                                          // and this process can do nothing.
                                          {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1},
                                          {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
                                          {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                                          // A `-wal` stays as it is unless Fold says otherwise.
                                          {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1},
                                          {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0}};
  for (const auto& [option, value] : settings) {
    const int code = sqlite3_db_config(database_, option, value, nullptr);
    if (code != SQLITE_OK) return Result(code);
  }
  const char* const pragmas[] = {
      // First, since others read the schema: with it, the index of the `-wal` is memory and no
      // `-shm`, https://www.sqlite.org/wal.html#use_of_wal_without_shared_memory
      "PRAGMA locking_mode=EXCLUSIVE", "PRAGMA cell_size_check=ON",
      // A row that breaks a rule of its own table is the client's, and a rule may call functions.
      "PRAGMA ignore_check_constraints=ON", "PRAGMA mmap_size=0", "PRAGMA temp_store=MEMORY",
      "PRAGMA cache_size=-16384",
      // The copy is read again by this machine only, and thrown away after a crash.
      "PRAGMA synchronous=OFF"};
  for (const char* pragma : pragmas) {
    std::string rows;
    Outcome outcome = Run(pragma, &rows);
    if (!outcome.ok()) return outcome;
  }
  return {};
}

Outcome DatabaseConnection::Result(int code) const {
  if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return {};
  const int error = database_ == nullptr ? ENOMEM : sqlite3_system_errno(database_);
  const int primary = code & 0xff;
  if (primary == SQLITE_FULL) return {ErrnoStatus(ENOSPC, "check a database"), ""};
  if (primary == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT || error == EIO))
    return {ErrnoStatus(error, "check a database"), ""};
  if (primary == SQLITE_INTERRUPT)
    return {{}, absl::StrCat("its check took longer than ", absl::FormatDuration(allowed_))};
  if (primary == SQLITE_NOMEM) return {{}, "its check needs more memory than it may use"};
  return {{}, absl::StrCat("SQLite says: ", sqlite3_errmsg(database_))};
}

Outcome DatabaseConnection::Run(const char* sql, std::string* rows) {
  sqlite3_stmt* prepared = nullptr;
  int code = sqlite3_prepare_v2(database_, sql, -1, &prepared, nullptr);
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(prepared, sqlite3_finalize);
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(statement.get());
    if (code != SQLITE_ROW || rows->size() > kRowsBytesMax) continue;
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), 0));
    if (!rows->empty()) *rows += "; ";
    *rows += text == nullptr ? "" : text;
  }
  return Result(code);
}

Outcome DatabaseConnection::Check() {
  std::string rows;
  Outcome outcome = Run("PRAGMA integrity_check(20)", &rows);
  // SQLITE_ERROR with no row: an index calls a function, or sorts in an order, that only the
  // client's program has.
  if (!outcome.ok() && outcome.error.ok() && rows.empty() &&
      sqlite3_errcode(database_) == SQLITE_ERROR) {
    outcome = Run("PRAGMA quick_check(20)", &rows);
  }
  if (outcome.ok() && rows != "ok") outcome.problem = rows.empty() ? "SQLite says nothing" : rows;
  return outcome;
}

Outcome DatabaseConnection::Fold() {
  std::string rows;
  Outcome outcome = Run("SELECT count(*) FROM sqlite_schema", &rows);
  if (!outcome.ok()) return outcome;
  rows.clear();
  outcome = Run("PRAGMA wal_checkpoint(TRUNCATE)", &rows);
  // The first column says whether somebody was in the way.
  if (outcome.ok() && rows != "0") outcome.problem = "it is in use";
  return outcome;
}

}  // namespace mtp
