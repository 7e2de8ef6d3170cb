// What the double remembers, in an SQLite database in WAL mode as the real one's, so that a backup
// of it means something: conversations, and the Bot API's update offset.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct sqlite3;

namespace openclaw_double {

struct Message {
  std::string role;  // `user` or `assistant`
  std::string text;
};

struct Session {
  std::string key;  // `agent:main:main`
  std::string session_id;
  std::string kind;  // `direct` or `group`
  int64_t updated_at_ms = 0;
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
};

// Throws std::runtime_error when the database cannot be used. Not thread-safe.
class Sessions {
 public:
  // Creates `<state_folder>/state/openclaw.sqlite` when it is not there. With `migrate` it becomes
  // one of a newer release, which is refused without.
  Sessions(const std::string& state_folder, bool migrate);
  ~Sessions();
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  const std::string& path() const { return path_; }

  int64_t update_offset();
  // False when this update was seen before; else it is now remembered, with its message (an empty
  // `key` remembers the update alone).
  bool Receive(int64_t update_id, const std::string& key, const std::string& kind,
               const std::string& text);
  void Answer(const std::string& key, const std::string& text, int64_t input_tokens,
              int64_t output_tokens);

  // The last `limit` messages, oldest first.
  std::vector<Message> History(const std::string& key, int limit);
  std::vector<Session> List();

 private:
  // Of the database.
  int64_t Release();
  void Run(const std::string& sql, const std::vector<std::string>& values = {});

  std::string path_;
  sqlite3* db_ = nullptr;
};

}  // namespace openclaw_double
