#include "common/base/log.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace mtp {
namespace {

constexpr size_t kMaxMessageBytes = 4096;

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

absl::Status ParseLogLevel(absl::string_view text, LogLevel* level) {
  if (text == "debug") {
    *level = LogLevel::kDebug;
  } else if (text == "info") {
    *level = LogLevel::kInfo;
  } else if (text == "warning") {
    *level = LogLevel::kWarning;
  } else if (text == "error") {
    *level = LogLevel::kError;
  } else {
    return absl::InvalidArgumentError(absl::StrCat("unknown log level \"", OneLine(text, 40),
                                                   "\": use debug, info, warning or error"));
  }
  return absl::OkStatus();
}

Log::Log(LogLevel level, std::string part) : part_(std::move(part)) {
  // Not in spdlog's registry: a logger belongs to whoever made it.
  logger_ =
      std::make_shared<spdlog::logger>("mtp", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger_->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      "%Y-%m-%dT%H:%M:%S.%eZ %-7l %v", spdlog::pattern_time_type::utc));
  logger_->set_level(ToSpdlog(level));
}

Log Log::For(std::string part) const { return Log(logger_, std::move(part)); }

void Log::Write(LogLevel level, absl::string_view message) const {
  if (logger_ == nullptr || !logger_->should_log(ToSpdlog(level))) return;
  logger_->log(ToSpdlog(level), "{}",
               OneLine(absl::StrCat(part_, ": ", message), kMaxMessageBytes));
}

Log NullLog() { return Log(std::shared_ptr<spdlog::logger>(), ""); }

std::string OneLine(absl::string_view text, size_t max_bytes) {
  std::string line;
  for (char c : text.substr(0, max_bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppendFormat(&line, "\\x%02x", byte);
    } else {
      line += c;
    }
  }
  if (text.size() > max_bytes) line += "…";
  return line;
}

}  // namespace mtp
