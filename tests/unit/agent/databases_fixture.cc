#include "tests/unit/agent/databases_fixture.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/paths.h"

namespace mtp::testing {

Sqlite::Sqlite(const std::string& path) {
  EXPECT_EQ(sqlite3_open(path.c_str(), &database_), SQLITE_OK) << path;
}

Sqlite::~Sqlite() { Close(); }

void Sqlite::Close() {
  sqlite3_close(database_);
  database_ = nullptr;
}

std::string Sqlite::Run(const std::string& sql) {
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

DatabaseCheck::DatabaseCheck() {
  options_.program = testing::BuiltPath("bin/mtp-agent");
  if (geteuid() != 0) options_.uid = options_.gid = -1;
  std::filesystem::create_directories(top_ / "live");
  std::filesystem::create_directories(top_ / "copy");
}

DatabaseCheck::~DatabaseCheck() = default;

std::string DatabaseCheck::Live(const std::string& name) const { return top_ / ("live/" + name); }

std::string DatabaseCheck::Copy(const std::string& name) const { return top_ / ("copy/" + name); }

void DatabaseCheck::Freeze(const std::string& name) const {
  for (const char* end : {"", "-wal", "-journal"}) {
    if (!std::filesystem::exists(Live(name + end))) continue;
    std::filesystem::create_directories(std::filesystem::path(Copy(name)).parent_path());
    std::filesystem::copy_file(Live(name + end), Copy(name + end));
  }
}

void DatabaseCheck::Make(const std::string& path, const std::string& journal_mode, int rows) const {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  Sqlite database(path);
  database.Run("PRAGMA journal_mode=" + journal_mode);
  database.Run("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT); CREATE INDEX i ON t(x)");
  database.Run(Insert(rows));
}

std::string DatabaseCheck::Insert(int rows) {
  return "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<" +
         std::to_string(rows) + ") INSERT INTO t(x) SELECT hex(randomblob(50)) FROM n";
}

void DatabaseCheck::HandOver() const {
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

absl::StatusOr<DatabaseReport> DatabaseCheck::TryCheck(const CancelToken* cancel) const {
  HandOver();
  return CheckDatabases(top_ / "copy", options_, cancel);
}

DatabaseReport DatabaseCheck::Check() const {
  auto report = TryCheck();
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *std::move(report) : DatabaseReport();
}

std::map<std::string, std::string> DatabaseCheck::Contents() const {
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

std::vector<std::string> DatabaseCheck::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, content] : Contents()) names.push_back(name);
  return names;
}

void DatabaseCheck::Damage(const std::string& name, std::streamoff at,
                           const std::string& bytes) const {
  std::fstream file(Copy(name), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(at);
  file << bytes;
}

}  // namespace mtp::testing
