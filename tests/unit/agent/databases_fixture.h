// SQLite databases as a frozen moment leaves them, and what the check makes of them.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "agent/backup/databases.h"
#include "tests/support/paths.h"
#include "tests/unit/agent/scratch_folder.h"

namespace mtp::testing {

class Sqlite {
 public:
  explicit Sqlite(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &database_), SQLITE_OK) << path;
  }
  ~Sqlite() { Close(); }
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;
  void Close() {
    sqlite3_close(database_);
    database_ = nullptr;
  }
  // The first column of the last row.
  std::string Run(const std::string& sql) {
    std::string value;
    const auto take = [](void* to, int, char** row, char**) {
      *static_cast<std::string*>(to) = row[0] == nullptr ? "" : row[0];
      return 0;
    };
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(database_, sql.c_str(), take, &value, &error), SQLITE_OK)
        << sql << ": " << (error == nullptr ? "" : error);
    sqlite3_free(error);
    return value;
  }
  // Without SQLite's closing of it, which tidies up.
  sqlite3* get() const { return database_; }

 private:
  sqlite3* database_ = nullptr;
};

class DatabaseCheck : public ::testing::Test {
 protected:
  DatabaseCheck() {
    options_.program = testing::BuiltPath("bin/mtp-agent");
    if (geteuid() != 0) options_.uid = options_.gid = -1;
    std::filesystem::create_directories(top_ / "live");
    std::filesystem::create_directories(top_ / "copy");
  }

  std::string Live(const std::string& name) const { return top_ / ("live/" + name); }
  std::string Copy(const std::string& name) const { return top_ / ("copy/" + name); }

  // Copies the database's files as they are now, as a frozen moment does.
  void Freeze(const std::string& name) const {
    for (const char* end : {"", "-wal", "-journal"}) {
      if (!std::filesystem::exists(Live(name + end))) continue;
      std::filesystem::create_directories(std::filesystem::path(Copy(name)).parent_path());
      std::filesystem::copy_file(Live(name + end), Copy(name + end));
    }
  }
  // A database of `journal_mode` with a table `t` of `rows` rows of 100 bytes, closed.
  void Make(const std::string& path, const std::string& journal_mode, int rows) const {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    Sqlite database(path);
    database.Run("PRAGMA journal_mode=" + journal_mode);
    database.Run("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT); CREATE INDEX i ON t(x)");
    database.Run(Insert(rows));
  }
  static std::string Insert(int rows) {
    return "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<" +
           std::to_string(rows) + ") INSERT INTO t(x) SELECT hex(randomblob(50)) FROM n";
  }

  // Gives the copy to whom the child becomes.
  void HandOver() const {
    if (geteuid() != 0) return;
    const auto give = [&](const std::string& path) {
      EXPECT_EQ(
          lchown(path.c_str(), static_cast<uid_t>(options_.uid), static_cast<gid_t>(options_.gid)),
          0);
    };
    give(top_ / "copy");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(top_ / "copy")) {
      give(entry.path());
    }
  }
  absl::StatusOr<DatabaseReport> TryCheck(const CancelToken* cancel = nullptr) const {
    HandOver();
    return CheckDatabases(top_ / "copy", options_, cancel);
  }
  DatabaseReport Check() const {
    auto report = TryCheck();
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : DatabaseReport();
  }

  // Each file's size and a hash of its content, and each link's target, by path.
  std::map<std::string, std::string> Contents() const {
    std::map<std::string, std::string> contents;
    const std::filesystem::path copy = top_ / "copy";
    for (const auto& entry : std::filesystem::recursive_directory_iterator(copy)) {
      std::string& content = contents[entry.path().lexically_relative(copy)];
      if (entry.is_symlink()) {
        content = std::filesystem::read_symlink(entry);
      } else if (entry.is_regular_file()) {
        std::ostringstream bytes;
        bytes << std::ifstream(entry.path(), std::ios::binary).rdbuf();
        content = std::to_string(bytes.str().size()) + " bytes " +
                  std::to_string(std::hash<std::string>()(bytes.str()));
      }
    }
    return contents;
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& [name, content] : Contents()) names.push_back(name);
    return names;
  }
  // Overwrites bytes of a file of the copy.
  void Damage(const std::string& name, std::streamoff at, const std::string& bytes) const {
    std::fstream file(Copy(name), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file << bytes;
  }

  ScratchFolder top_;
  DatabaseCheckOptions options_;
};

}  // namespace mtp::testing
