#include "sessions.h"

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <stdexcept>

namespace openclaw_double {
namespace {

// `user_version` of databases that this release knows; the first ones have none.
constexpr int64_t kRelease = 1;

std::string NowMs() {
  using namespace std::chrono;
  return std::to_string(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

// One prepared statement; its values are bound as text, which SQLite turns into the column's type.
class Statement {
 public:
  Statement(sqlite3* db, const std::string& sql, const std::vector<std::string>& values) : db_(db) {
    if (sqlite3_prepare_v2(db, sql.c_str(), -1, &statement_, nullptr) != SQLITE_OK) Fail();
    for (size_t i = 0; i < values.size(); ++i) {
      sqlite3_bind_text(statement_, static_cast<int>(i) + 1, values[i].data(),
                        static_cast<int>(values[i].size()), SQLITE_TRANSIENT);
    }
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  bool Step() {
    const int code = sqlite3_step(statement_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) Fail();
    return code == SQLITE_ROW;
  }
  int64_t Int(int column) { return sqlite3_column_int64(statement_, column); }
  std::string Text(int column) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return text == nullptr ? "" : std::string(text, sqlite3_column_bytes(statement_, column));
  }

 private:
  [[noreturn]] void Fail() {
    throw std::runtime_error(std::string("sqlite: ") + sqlite3_errmsg(db_));
  }

  sqlite3* db_;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace

Sessions::Sessions(const std::string& state_folder, bool migrate)
    : path_(state_folder + "/state/openclaw.sqlite") {
  std::filesystem::create_directories(state_folder + "/state");
  if (sqlite3_open(path_.c_str(), &db_) != SQLITE_OK) {
    throw std::runtime_error("sqlite: cannot open " + path_);
  }
  Run("PRAGMA journal_mode=WAL");
  Run("PRAGMA synchronous=FULL");
  // Small, since a hundred of these share a machine.
  Run("PRAGMA cache_size=-256");
  if (Release() > kRelease && !migrate) {
    throw std::runtime_error(path_ + " is of a newer release; restore a backup to go back");
  }
  if (migrate) Run("PRAGMA user_version=" + std::to_string(kRelease + 1));
  Run("CREATE TABLE IF NOT EXISTS sessions(key TEXT PRIMARY KEY, session_id TEXT, kind TEXT,"
      " updated_at INTEGER, input_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0)");
  Run("CREATE TABLE IF NOT EXISTS messages(id INTEGER PRIMARY KEY, session TEXT, role TEXT,"
      " text TEXT, at INTEGER)");
  Run("CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value INTEGER)");
}

Sessions::~Sessions() { sqlite3_close(db_); }

void Sessions::Run(const std::string& sql, const std::vector<std::string>& values) {
  Statement statement(db_, sql, values);
  while (statement.Step()) {
  }
}

int64_t Sessions::Release() {
  Statement statement(db_, "PRAGMA user_version", {});
  return statement.Step() ? statement.Int(0) : 0;
}

int64_t Sessions::update_offset() {
  Statement statement(db_, "SELECT value FROM facts WHERE name='update_offset'", {});
  return statement.Step() ? statement.Int(0) : 0;
}

bool Sessions::Receive(int64_t update_id, const std::string& key, const std::string& kind,
                       const std::string& text) {
  if (update_id < update_offset()) return false;
  Run("BEGIN IMMEDIATE");
  Run("INSERT INTO facts VALUES('update_offset', ?1) ON CONFLICT(name) DO UPDATE SET value=?1",
      {std::to_string(update_id + 1)});
  if (!key.empty()) {
    Run("INSERT INTO sessions(key, session_id, kind, updated_at) VALUES(?1, "
        "lower(hex(randomblob(16))),"
        " ?2, ?3) ON CONFLICT(key) DO UPDATE SET updated_at=?3",
        {key, kind, NowMs()});
    Run("INSERT INTO messages(session, role, text, at) VALUES(?1, 'user', ?2, ?3)",
        {key, text, NowMs()});
  }
  Run("COMMIT");
  return true;
}

void Sessions::Answer(const std::string& key, const std::string& text, int64_t input_tokens,
                      int64_t output_tokens) {
  Run("BEGIN IMMEDIATE");
  Run("INSERT INTO messages(session, role, text, at) VALUES(?1, 'assistant', ?2, ?3)",
      {key, text, NowMs()});
  Run("UPDATE sessions SET updated_at=?2, input_tokens=input_tokens+?3,"
      " output_tokens=output_tokens+?4 WHERE key=?1",
      {key, NowMs(), std::to_string(input_tokens), std::to_string(output_tokens)});
  Run("COMMIT");
}

std::vector<Message> Sessions::History(const std::string& key, int limit) {
  Statement statement(db_,
                      "SELECT role, text FROM messages WHERE session=?1 ORDER BY id DESC LIMIT ?2",
                      {key, std::to_string(limit)});
  std::vector<Message> messages;
  while (statement.Step()) messages.push_back({statement.Text(0), statement.Text(1)});
  std::reverse(messages.begin(), messages.end());
  return messages;
}

std::vector<Session> Sessions::List() {
  Statement statement(db_,
                      "SELECT key, session_id, kind, updated_at, input_tokens, output_tokens"
                      " FROM sessions ORDER BY updated_at DESC LIMIT 100",
                      {});
  std::vector<Session> sessions;
  while (statement.Step()) {
    sessions.push_back({statement.Text(0), statement.Text(1), statement.Text(2), statement.Int(3),
                        statement.Int(4), statement.Int(5)});
  }
  return sessions;
}

}  // namespace openclaw_double
