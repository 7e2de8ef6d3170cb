// An engine, Compose and OpenClaw of memory, on virtual time.
#pragma once

#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/compose/compose.h"
#include "agent/docker/engine.h"
#include "agent/openclaw/openclaw.h"
#include "common/base/clock.h"

namespace mtp {

struct FakeContainer {
  std::string file;  // Compose file that it was made from.
  int generation = 1;
  bool running = false;
  int starts = 0;
  int restarts_by_engine = 0;
  bool paused = false;
  int pauses = 0;
  int exit_code = 0;
  bool oom_killed = false;
  int64_t cpu_ns = 0;
  std::string log;
  absl::Time started;
};

// Thread-safe.
class FakeEngine final : public Engine {
 public:
  explicit FakeEngine(const Clock* clock) : clock_(clock) {}

  absl::StatusOr<EngineInfo> Info() override { return EngineInfo{"26.1.5"}; }
  absl::Status Ping() override { return Away(); }
  absl::StatusOr<std::vector<ContainerSummary>> ListContainers(const std::string&) override {
    return std::vector<ContainerSummary>();
  }
  absl::StatusOr<ContainerDetails> InspectContainer(const std::string& name) override {
    absl::MutexLock lock(&mutex);
    if (away) return Unavailable();
    ++inspections[name];
    auto found = containers.find(name);
    if (found == containers.end()) return absl::NotFoundError("no such container");
    const FakeContainer& container = found->second;
    ContainerDetails details;
    details.id = absl::StrCat(name, "#", container.generation);
    details.name = name;
    details.image_id = "sha256:1";
    details.state = !container.running ? ContainerState::kExited
                    : container.paused ? ContainerState::kPaused
                                       : ContainerState::kRunning;
    details.pid = container.running ? 1000 : 0;
    details.exit_code = container.exit_code;
    details.oom_killed = container.oom_killed;
    details.restart_count = container.restarts_by_engine;
    details.memory_limit_bytes = int64_t{2048} << 20;
    if (container.starts > 0) details.started_at = container.started;
    return details;
  }
  absl::StatusOr<ContainerStats> Stats(const std::string& name) override {
    absl::MutexLock lock(&mutex);
    ContainerStats stats;
    stats.cpu_total_ns = containers[name].cpu_ns;
    return stats;
  }
  absl::StatusOr<ImageDetails> InspectImage(const std::string& image) override {
    absl::MutexLock lock(&mutex);
    if (away) return Unavailable();
    if (images.count(image) == 0) return absl::NotFoundError("no such image");
    ImageDetails details;
    details.id = "sha256:" + image;
    return details;
  }
  // Connected until the engine is away; gives what Emit was given.
  absl::Status Events(const std::string&, std::optional<absl::Time>, const EventSink& sink,
                      std::stop_token stop, const std::function<void()>& on_connected) override {
    std::stop_callback wake(stop, [this] { absl::MutexLock lock(&mutex); });
    {
      absl::MutexLock lock(&mutex);
      if (away) return Unavailable();
    }
    on_connected();
    while (true) {
      EngineEvent event;
      {
        absl::MutexLock lock(&mutex);
        auto ready = [&] { return away || stop.stop_requested() || !events.empty(); };
        mutex.Await(absl::Condition(&ready));
        if (stop.stop_requested()) return absl::CancelledError("stopped");
        if (away) return Unavailable();
        event = events.front();
        events.pop_front();
      }
      sink(event);
    }
  }
  void Emit(const std::string& tenant, const std::string& action) {
    EngineEvent event;
    event.type = "container";
    event.action = action;
    event.attributes = {{"name", "mtp-" + tenant}, {"mtp.tenant", tenant}};
    absl::MutexLock lock(&mutex);
    events.push_back(event);
  }
  void SetAway(bool is_away) {
    absl::MutexLock lock(&mutex);
    away = is_away;
  }
  absl::Status Logs(const std::string& name, const LogsOptions& options, const OutputSink& sink,
                    std::stop_token) override {
    std::string log;
    {
      absl::MutexLock lock(&mutex);
      if (!options.since) log = containers[name].log;
    }
    if (!log.empty()) sink(OutputStream::kStdout, log);
    return absl::OkStatus();
  }
  absl::StatusOr<int> Exec(const std::string&, const std::vector<std::string>&, absl::Duration,
                           const OutputSink&, std::stop_token) override {
    return absl::UnimplementedError("no commands");
  }
  absl::Status UpdateMemoryLimits(const std::string&, const MemoryLimits&) override {
    return absl::OkStatus();
  }
  absl::Status Start(const std::string&) override { return absl::OkStatus(); }
  absl::Status Stop(const std::string&, absl::Duration, std::stop_token) override {
    return absl::OkStatus();
  }
  absl::Status Restart(const std::string&, absl::Duration, std::stop_token) override {
    return absl::OkStatus();
  }
  absl::Status Kill(const std::string&, const std::string&) override { return absl::OkStatus(); }
  absl::Status Pause(const std::string& name) override {
    std::function<void()> then;
    {
      absl::MutexLock lock(&mutex);
      if (away) return Unavailable();
      FakeContainer& container = containers[name];
      if (!container.running) return absl::FailedPreconditionError("it does not run");
      container.paused = true;
      ++container.pauses;
      then = on_pause;
    }
    if (then) then();
    return absl::OkStatus();
  }
  absl::Status Unpause(const std::string& name) override {
    absl::MutexLock lock(&mutex);
    if (away) return Unavailable();
    if (!unpause_error.ok()) return unpause_error;
    containers[name].paused = false;
    return absl::OkStatus();
  }

  // Begins the container's process; caller holds `mutex`.
  void Begin(FakeContainer& container) {
    container.running = true;
    container.started = clock_->Now() + absl::Nanoseconds(++container.starts);
    if (on_start) on_start(container);
  }

  mutable absl::Mutex mutex;
  std::map<std::string, FakeContainer> containers;
  std::map<std::string, int> inspections;
  std::deque<EngineEvent> events;
  std::set<std::string> images = {"openclaw:1"};
  bool away = false;
  // What a container does when it starts; null for running on.
  std::function<void(FakeContainer&)> on_start;
  // Called, without the mutex, once a container is paused. May be null.
  std::function<void()> on_pause;
  absl::Status unpause_error;

 private:
  static absl::Status Unavailable() {
    return absl::UnavailableError("the Docker Engine does not answer");
  }
  absl::Status Away() const {
    absl::MutexLock lock(&mutex);
    return away ? Unavailable() : absl::OkStatus();
  }
  const Clock* const clock_;
};

class FakeCompose final : public Compose {
 public:
  explicit FakeCompose(FakeEngine* engine) : engine_(engine) {}

  absl::Status UpOne(const ComposeService& service, const CancelToken*) override {
    absl::MutexLock lock(&engine_->mutex);
    ++ups;
    if (!up_error.ok()) return up_error;
    if (engine_->away) return absl::UnavailableError("the Docker Engine does not answer");
    FakeContainer& container = engine_->containers["mtp-" + service.name];
    if (!container.file.empty() && container.file != service.file) ++container.generation;
    if (container.file != service.file || !container.running) engine_->Begin(container);
    container.file = service.file;
    return absl::OkStatus();
  }
  absl::Status StopOne(const ComposeService& service, absl::Duration, const CancelToken*) override {
    absl::MutexLock lock(&engine_->mutex);
    if (stop_does_nothing) return absl::OkStatus();
    auto found = engine_->containers.find("mtp-" + service.name);
    if (found != engine_->containers.end()) found->second.running = false;
    return absl::OkStatus();
  }
  absl::Status RestartOne(const ComposeService& service, absl::Duration,
                          const CancelToken*) override {
    absl::MutexLock lock(&engine_->mutex);
    ++restarts;
    auto found = engine_->containers.find("mtp-" + service.name);
    if (found != engine_->containers.end()) engine_->Begin(found->second);
    return absl::OkStatus();
  }
  absl::Status RemoveOne(const ComposeService& service, absl::Duration,
                         const CancelToken*) override {
    absl::MutexLock lock(&engine_->mutex);
    engine_->containers.erase("mtp-" + service.name);
    return absl::OkStatus();
  }
  absl::Status PullOne(const ComposeService&, const CancelToken*) override { return pull_error; }
  absl::Status CheckProject() override { return absl::OkStatus(); }
  absl::StatusOr<SubprocessResult> RunOneOff(const OneOff& run, const CancelToken*) override {
    ++one_offs;
    checked = run;
    SubprocessResult result;
    result.exit_code = config_issues.empty() ? 0 : 1;
    result.stdout_text = config_issues;
    return result;
  }

  absl::Status up_error;
  absl::Status pull_error = absl::FailedPreconditionError("no registry");
  bool stop_does_nothing = false;
  std::string config_issues;
  int ups = 0;
  int restarts = 0;
  int one_offs = 0;
  OneOff checked;

 private:
  FakeEngine* const engine_;
};

class FakeOpenClaw final : public OpenClaw {
 public:
  absl::StatusOr<ProbeResult> Probe(const ContainerProcess&, absl::Duration) override {
    ProbeResult result;
    result.live = live;
    result.ready = ready;
    result.message = ready ? "ready" : "not ready: startup-sidecars";
    return result;
  }
  absl::StatusOr<std::string> Call(const ContainerProcess&, const SecretString&, const std::string&,
                                   const std::string&, absl::Duration, std::stop_token) override {
    return std::string("{}");
  }
  std::atomic<bool> live{true};
  std::atomic<bool> ready{true};
};

}  // namespace mtp
