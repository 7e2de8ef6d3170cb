#include "agent/tenants/drain_watch.h"

#include <absl/strings/match.h>

#include <condition_variable>
#include <mutex>

namespace mtp {
namespace {

constexpr size_t kMaxHeldBytes = 64 << 10;

// False when the time was cut short.
bool WaitFor(absl::Duration time, std::stop_token stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait_for(lock, stop, absl::ToChronoNanoseconds(time),
                                         [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

bool SaysDrainIsSettled(absl::string_view log) {
  return absl::StrContains(log, "active-work drain settled");
}

DrainWatch::DrainWatch(std::string container, absl::Duration patience, Engine* engine,
                       const Clock* clock)
    : container_(std::move(container)), patience_(patience), engine_(engine), clock_(clock) {}

void DrainWatch::Start() {
  thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
}

void DrainWatch::Run(std::stop_token stop) {
  LogsOptions options;
  options.follow = true;
  options.since = clock_->Now();
  std::string held;
  bool settled = false;
  engine_
      ->Logs(
          container_, options,
          [&](OutputStream, std::string_view bytes) {
            held.append(bytes.data(), bytes.size());
            if (held.size() > kMaxHeldBytes) held.erase(0, held.size() - kMaxHeldBytes);
            settled = SaysDrainIsSettled(held);
            return !settled;
          },
          stop)
      .IgnoreError();
  // The log also ends when the container does: then nobody waits any more.
  if (!settled || !WaitFor(patience_, stop)) return;
  engine_->Kill(container_, "SIGKILL").IgnoreError();
}

}  // namespace mtp
