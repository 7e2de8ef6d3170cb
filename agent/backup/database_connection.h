// A connection to a client's SQLite database that runs nothing of the client's.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <memory>
#include <string>

struct sqlite3;

namespace mtp {

class DatabaseConnection {
 public:
  enum class Access {
    // Main file alone; writes nothing, not even a `-shm`.
    kMainFile,
    // With its `-wal` or `-journal`. Plays a hot journal back at the first reading, which changes
    // the main file; else nothing is written but by Fold, and `-shm` is not used.
    kRecovered,
  };
  // What SQLite says in words is `problem`; a failing or full disk is no database's problem and an
  // error instead: INTERNAL, RESOURCE_EXHAUSTED.
  struct Outcome {
    absl::Status error;
    std::string problem;
    bool ok() const { return error.ok() && problem.empty(); }
  };

  // `path` is relative to the working folder, and no part of it a symbolic link.
  static Outcome Open(const std::string& path, Access access, absl::Duration allowed,
                      std::unique_ptr<DatabaseConnection>* connection);
  ~DatabaseConnection();
  DatabaseConnection(const DatabaseConnection&) = delete;
  DatabaseConnection& operator=(const DatabaseConnection&) = delete;

  // PRAGMA integrity_check, or quick_check where that needs a function of the client's program.
  Outcome Check();
  // Reads the schema, which makes SQLite recover the database; then moves a `-wal` into the main
  // file. Its journal mode stays.
  Outcome Fold();

 private:
  explicit DatabaseConnection(absl::Duration allowed);
  Outcome Run(const char* sql, std::string* rows);
  Outcome Result(int code) const;
  Outcome Harden();
  static int Progress(void* self);

  const absl::Duration allowed_;
  const absl::Duration begin_;
  sqlite3* database_ = nullptr;
};

}  // namespace mtp
