#include "common/kv/sqlite_database.h"

#include <absl/strings/str_cat.h>

namespace mtp::kv {

absl::Status SqliteStatus(sqlite3* handle, absl::string_view context) {
  const std::string message = absl::StrCat(context, ": ", sqlite3_errmsg(handle));
  switch (sqlite3_extended_errcode(handle) & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    default:
      return absl::InternalError(message);
  }
}

void Statement::BindText(int index, absl::string_view text) {
  sqlite3_bind_text(statement_.get(), index, text.data(), static_cast<int>(text.size()),
                    SQLITE_STATIC);
}

void Statement::BindBlob(int index, absl::string_view bytes) {
  // A null pointer would bind NULL instead of an empty blob.
  sqlite3_bind_blob(statement_.get(), index, bytes.empty() ? "" : bytes.data(),
                    static_cast<int>(bytes.size()), SQLITE_STATIC);
}

void Statement::BindInt64(int index, int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
}

absl::StatusOr<bool> Statement::Step() {
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return SqliteStatus(sqlite3_db_handle(statement_.get()), "the state file");
  }
}

void Statement::Reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

absl::string_view Statement::Blob(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  return absl::string_view(data != nullptr ? data : "",
                           static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column)));
}

int64_t Statement::Int64(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

absl::StatusOr<Database> Database::Open(const std::string& path) {
  Database database;
  sqlite3* handle = nullptr;
  // NOMUTEX: callers hold a lock of their own around each use.
  const int result =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  database.handle_.reset(handle);
  if (result != SQLITE_OK) return SqliteStatus(handle, absl::StrCat("open ", path));
  sqlite3_extended_result_codes(handle, 1);
  return database;
}

absl::Status Database::Execute(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return SqliteStatus(handle_.get(), "the state file");
  }
  return absl::OkStatus();
}

absl::StatusOr<Statement> Database::Prepare(const char* sql) {
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v3(handle_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared, nullptr) !=
      SQLITE_OK) {
    return SqliteStatus(handle_.get(), "the state file");
  }
  Statement statement;
  statement.statement_.reset(prepared);
  return statement;
}

void Database::Rollback() {
  if (sqlite3_get_autocommit(handle_.get()) == 0) {
    sqlite3_exec(handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

}  // namespace mtp::kv
