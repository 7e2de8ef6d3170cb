// SQLite databases as a frozen moment leaves them, and what the check makes of them.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <map>
#include <string>
#include <vector>

#include "agent/backup/databases.h"
#include "tests/unit/agent/scratch_folder.h"

namespace mtp::testing {

class Sqlite {
 public:
  explicit Sqlite(const std::string& path);
  ~Sqlite();
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;
  void Close();
  // The first column of the last row.
  std::string Run(const std::string& sql);
  // Without SQLite's closing of it, which tidies up.
  sqlite3* get() const { return database_; }

 private:
  sqlite3* database_ = nullptr;
};

class DatabaseCheck : public ::testing::Test {
 protected:
  DatabaseCheck();
  ~DatabaseCheck() override;

  std::string Live(const std::string& name) const;
  std::string Copy(const std::string& name) const;

  // Copies the database's files as they are now, as a frozen moment does.
  void Freeze(const std::string& name) const;
  // A database of `journal_mode` with a table `t` of `rows` rows of 100 bytes, closed.
  void Make(const std::string& path, const std::string& journal_mode, int rows) const;
  static std::string Insert(int rows);

  // Gives the copy to whom the child becomes.
  void HandOver() const;
  absl::StatusOr<DatabaseReport> TryCheck(const CancelToken* cancel = nullptr) const;
  DatabaseReport Check() const;

  // Each file's size and a hash of its content, and each link's target, by path.
  std::map<std::string, std::string> Contents() const;
  std::vector<std::string> Names() const;
  // Overwrites bytes of a file of the copy.
  void Damage(const std::string& name, std::streamoff at, const std::string& bytes) const;

  ScratchFolder top_;
  DatabaseCheckOptions options_;
};

}  // namespace mtp::testing
