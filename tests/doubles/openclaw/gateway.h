// The double's whole state. One thread runs everything, so nothing is locked.
#pragma once

#include <chrono>
#include <string>

#include "config.h"
#include "faults.h"
#include "sessions.h"

namespace openclaw_double {

inline constexpr char kVersion[] = "2026.9.6";

// A channel account's life, in the real one's words.
struct ChannelState {
  bool configured = false;
  bool running = false;
  bool connected = false;
  bool terminal = false;   // Ended for good: only a restart of the process brings it back.
  bool conflicts = false;  // Another poller has the token.
  std::string last_error;
  std::string username;
};

inline constexpr int64_t kConnectGraceMs = 120'000;

struct Gateway {
  Config config;
  Faults faults;
  Sessions sessions;
  ChannelState telegram;
  int running_turns = 0;
  bool draining = false;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();

  Gateway(Config loaded, const std::string& state_folder)
      : config(std::move(loaded)),
        faults(ReadFaults(state_folder)),
        sessions(state_folder, faults.migrate) {}

  int64_t UptimeMs() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 started)
        .count();
  }

  // By the fault that says so: from then on each poll meets a conflict.
  bool IsBotTaken() const {
    return faults.lose_channel_after_s && UptimeMs() >= *faults.lose_channel_after_s * 1000LL;
  }

  // What keeps it from being ready; empty means ready.
  std::vector<std::string> Failing() const {
    std::vector<std::string> failing;
    if (draining) failing.push_back("gateway-draining");
    if (faults.never_ready || UptimeMs() < faults.slow_ready_s * 1000LL) {
      failing.push_back("startup-sidecars");
    }
    // As the real one: of a channel that meets conflicts it says nothing in its first two minutes.
    const bool conflicts = telegram.conflicts && UptimeMs() >= kConnectGraceMs;
    if (telegram.configured && (telegram.terminal || conflicts)) {
      failing.push_back("telegram");
    }
    return failing;
  }
};

}  // namespace openclaw_double
