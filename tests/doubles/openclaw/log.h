// Log lines in the real one's form: `2026-11-24T11:09:22.144+00:00 [gateway] starting...`.
#pragma once

#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>

namespace openclaw_double {

inline void Log(const char* part, const std::string& text) {
  using namespace std::chrono;
  const auto ms = duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  const std::time_t seconds = ms / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
  std::printf("%s.%03d+00:00 [%s] %s\n", stamp, static_cast<int>(ms % 1000), part, text.c_str());
  std::fflush(stdout);
}

inline int64_t NowMs() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace openclaw_double
