// A thin, status-returning skin over SQLite's C API (https://www.sqlite.org/c3ref/intro.html).
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <sqlite3.h>

#include <memory>
#include <string>

namespace mtp::kv {

// A prepared statement. Not thread-safe. Bind, then Step until false, then Reset.
class Statement {
 public:
  Statement() = default;

  // Text and blobs must live until Reset.
  void BindText(int index, absl::string_view text);
  void BindBlob(int index, absl::string_view bytes);
  void BindInt64(int index, int64_t value);
  // True when there is a row.
  absl::StatusOr<bool> Step();
  void Reset();
  // Of the current row; valid until the next Step.
  absl::string_view Blob(int column) const;
  int64_t Int64(int column) const;

 private:
  friend class Database;
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

// One connection. Not thread-safe.
class Database {
 public:
  // The file must exist.
  static absl::StatusOr<Database> Open(const std::string& path);

  absl::Status Execute(const char* sql);
  absl::StatusOr<Statement> Prepare(const char* sql);
  // Undoes an open transaction; nothing when there is none.
  void Rollback();
  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Closer {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::unique_ptr<sqlite3, Closer> handle_;
};

// SQLite's last error of the connection: SQLITE_FULL is RESOURCE_EXHAUSTED, SQLITE_CORRUPT and
// SQLITE_NOTADB are DATA_LOSS, all else INTERNAL.
absl::Status SqliteStatus(sqlite3* handle, absl::string_view context);

}  // namespace mtp::kv
