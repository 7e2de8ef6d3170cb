// Logging: one line an event, to standard error, where systemd's journal takes it. Never a secret:
// a SecretString cannot be formatted, and callers log names and counts, not contents.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <memory>
#include <string>

namespace spdlog {
class logger;
}  // namespace spdlog

namespace mtp {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// INVALID_ARGUMENT for anything but `debug`, `info`, `warning`, `error`.
absl::Status ParseLogLevel(absl::string_view text, LogLevel* level);

// Writes events as single lines: `2026-05-01T12:00:00.000Z info  hosts: h1 is connected`. Control
// characters and line breaks in a message, which may come from outside, are escaped; a message is
// cut after 4 KiB. Thread-safe. Made once by main() and handed down; tests take NullLog().
class Log {
 public:
  // `part` stands before each message, `hosts`.
  Log(LogLevel level, std::string part);

  // The same sink and level, for another part of the program.
  Log For(std::string part) const;

  void Debug(absl::string_view message) const { Write(LogLevel::kDebug, message); }
  void Info(absl::string_view message) const { Write(LogLevel::kInfo, message); }
  void Warning(absl::string_view message) const { Write(LogLevel::kWarning, message); }
  void Error(absl::string_view message) const { Write(LogLevel::kError, message); }

 private:
  friend Log NullLog();
  Log(std::shared_ptr<spdlog::logger> logger, std::string part)
      : logger_(std::move(logger)), part_(std::move(part)) {}
  void Write(LogLevel level, absl::string_view message) const;

  std::shared_ptr<spdlog::logger> logger_;  // null: nothing is written
  std::string part_;
};

// Writes nothing.
Log NullLog();

// The text with control characters (and invalid bytes below 0x20, 0x7f) as `\xNN`, cut after
// `max_bytes`.
std::string OneLine(absl::string_view text, size_t max_bytes);

}  // namespace mtp
