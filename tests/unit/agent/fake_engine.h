// An engine, Compose and OpenClaw of memory, on virtual time.
#pragma once

#include <absl/strings/match.h>
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
#include "common/base/status.h"

namespace mtp {

struct FakeContainer {
  std::string file;  // Compose file that it was made from.
  int generation = 1;
  bool running = false;
  std::string restart_policy = "unless-stopped";
  int starts = 0;
  int restarts_by_engine = 0;
  bool paused = false;
  int pauses = 0;
  int exit_code = 0;
  bool oom_killed = false;
  // Waits for the engine to start it again.
  bool restarting = false;
  int64_t memory_limit_bytes = int64_t{2048} << 20;
  int64_t memory_swap_limit_bytes = int64_t{4096} << 20;
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
    details.state = container.restarting ? ContainerState::kRestarting
                    : !container.running ? ContainerState::kExited
                    : container.paused   ? ContainerState::kPaused
                                         : ContainerState::kRunning;
    details.pid = container.running ? 1000 : 0;
    details.exit_code = container.exit_code;
    details.oom_killed = container.oom_killed;
    details.restart_count = container.restarts_by_engine;
    details.restart_policy = container.restart_policy;
    details.memory_limit_bytes = container.memory_limit_bytes;
    details.memory_swap_limit_bytes = container.memory_swap_limit_bytes;
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
    details.id = absl::StartsWith(image, "sha256:") ? image : "sha256:" + image;
    details.digests = image_digests;
    return details;
  }
  absl::StatusOr<std::string> RegistryDigest(const std::string&, std::stop_token) override {
    absl::MutexLock lock(&mutex);
    if (away) return Unavailable();
    ++registry_asks;
    return registry_digest;
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
    event.time = clock_->Now();
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
  absl::Status UpdateMemoryLimits(const std::string& name, const MemoryLimits& limits) override {
    absl::MutexLock lock(&mutex);
    if (away) return Unavailable();
    if (!limit_error.ok()) return limit_error;
    auto found = containers.find(name);
    if (found == containers.end()) return absl::NotFoundError("no such container");
    found->second.memory_limit_bytes = limits.memory_bytes;
    found->second.memory_swap_limit_bytes = limits.memory_swap_bytes;
    return absl::OkStatus();
  }
  absl::Status UpdateRestartPolicy(const std::string& name, const std::string& policy) override {
    absl::MutexLock lock(&mutex);
    if (away) return Unavailable();
    auto found = containers.find(name);
    if (found == containers.end()) return absl::NotFoundError("no such container");
    found->second.restart_policy = policy;
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
    container.restarting = false;
    container.restarts_by_engine = 0;
    container.oom_killed = false;
    container.started = clock_->Now() + absl::Nanoseconds(++container.starts);
    if (on_start) on_start(container);
  }

  mutable absl::Mutex mutex;
  std::map<std::string, FakeContainer> containers;
  std::map<std::string, int> inspections;
  std::deque<EngineEvent> events;
  std::set<std::string> images = {"openclaw:1"};
  std::vector<std::string> image_digests;
  absl::StatusOr<std::string> registry_digest = absl::InternalError("no registry");
  int registry_asks = 0;
  bool away = false;
  // What a container does when it starts; null for running on.
  std::function<void(FakeContainer&)> on_start;
  // Called, without the mutex, once a container is paused. May be null.
  std::function<void()> on_pause;
  absl::Status unpause_error;
  absl::Status limit_error;

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
    FakeContainer& container = Match(service);
    if (!container.running) engine_->Begin(container);
    return absl::OkStatus();
  }
  absl::Status CreateOne(const ComposeService& service, const CancelToken*) override {
    absl::MutexLock lock(&engine_->mutex);
    if (!up_error.ok()) return up_error;
    if (engine_->away) return absl::UnavailableError("the Docker Engine does not answer");
    Match(service);
    return absl::OkStatus();
  }
  absl::Status StopOne(const ComposeService& service, absl::Duration, const CancelToken*) override {
    absl::MutexLock lock(&engine_->mutex);
    if (stop_does_nothing) return absl::OkStatus();
    auto found = engine_->containers.find("mtp-" + service.name);
    if (found == engine_->containers.end()) return absl::OkStatus();
    found->second.running = found->second.restarting = false;
    return absl::OkStatus();
  }
  absl::Status RemoveOne(const ComposeService& service, absl::Duration,
                         const CancelToken*) override {
    absl::MutexLock lock(&engine_->mutex);
    if (engine_->away) return absl::UnavailableError("the Docker Engine does not answer");
    engine_->containers.erase("mtp-" + service.name);
    return absl::OkStatus();
  }
  absl::Status PullOne(const ComposeService& service, const CancelToken*) override {
    ++pulls;
    pulled_file = service.file;
    if (on_pull) on_pull();
    return pull_error;
  }
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
  int pulls = 0;
  std::string pulled_file;
  std::function<void()> on_pull;
  bool stop_does_nothing = false;
  std::string config_issues;
  int ups = 0;
  int one_offs = 0;
  OneOff checked;

 private:
  // The container as the file has it; one of another file is made anew.
  FakeContainer& Match(const ComposeService& service) {
    FakeContainer& container = engine_->containers["mtp-" + service.name];
    if (container.file == service.file) return container;
    if (!container.file.empty()) ++container.generation;
    container.running = false;
    container.restart_policy = "unless-stopped";
    container.file = service.file;
    return container;
  }

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
  absl::StatusOr<std::string> Call(const ContainerProcess&, const SecretString&,
                                   const std::string& method, const std::string& params,
                                   absl::Duration, std::stop_token) override {
    MTP_RETURN_IF_ERROR(call_error);
    if (method != "sessions.list") return std::string("{}");
    const bool active = !absl::StrContains(params, "activeOnly") || turn_runs;
    return std::string(active ? R"({"count":1,"sessions":[{"key":"agent:main:main"}]})"
                              : R"({"count":0,"sessions":[]})");
  }
  std::atomic<bool> live{true};
  std::atomic<bool> ready{true};
  std::atomic<bool> turn_runs{false};
  absl::Status call_error;
};

}  // namespace mtp
