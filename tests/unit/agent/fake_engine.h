// An engine, Compose and OpenClaw of memory, on virtual time.
#pragma once

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
  std::string file;         // Compose file that it was made from.
  std::string environment;  // The tenant's own lines of `.env` at that time.
  int generation = 1;
  bool running = false;
  std::string restart_policy = "unless-stopped";
  int starts = 0;
  int restarts_by_engine = 0;
  // Of an operator's `docker compose run`.
  bool one_off = false;
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
  // What it said, and when; read with `since`.
  std::vector<std::pair<absl::Time, std::string>> lines;
  absl::Time started;
};

// Thread-safe.
class FakeEngine final : public Engine {
 public:
  explicit FakeEngine(const Clock* clock);
  ~FakeEngine() override;

  absl::StatusOr<EngineInfo> Info() override;
  absl::Status Ping() override;
  absl::StatusOr<std::vector<ContainerSummary>> ListContainers(const std::string&,
                                                               const std::string& service) override;
  absl::StatusOr<ContainerDetails> InspectContainer(const std::string& name) override;
  absl::StatusOr<ContainerStats> Stats(const std::string& name) override;
  absl::StatusOr<ImageDetails> InspectImage(const std::string& image) override;
  absl::StatusOr<std::string> RegistryDigest(const std::string&, std::stop_token) override;
  // Connected until the engine is away; gives what Emit was given.
  absl::Status Events(const std::string&, std::optional<absl::Time>, const EventSink& sink,
                      std::stop_token stop, const std::function<void()>& on_connected) override;
  void Emit(const std::string& tenant, const std::string& action);
  void SetAway(bool is_away);
  absl::Status Logs(const std::string& name, const LogsOptions& options, const OutputSink& sink,
                    std::stop_token) override;
  absl::StatusOr<int> Exec(const std::string&, const std::vector<std::string>&, absl::Duration,
                           const OutputSink&, std::stop_token) override;
  absl::Status UpdateMemoryLimits(const std::string& name, const MemoryLimits& limits) override;
  absl::Status UpdateRestartPolicy(const std::string& name, const std::string& policy) override;
  absl::Status Start(const std::string&) override;
  absl::Status Stop(const std::string&, absl::Duration, std::stop_token) override;
  absl::Status Restart(const std::string&, absl::Duration, std::stop_token) override;
  absl::Status Kill(const std::string&, const std::string&) override;
  absl::Status Pause(const std::string& name) override;
  absl::Status Unpause(const std::string& name) override;

  // Begins the container's process; caller holds `mutex`.
  void Begin(FakeContainer& container);

  mutable absl::Mutex mutex;
  std::map<std::string, FakeContainer> containers;
  std::map<std::string, int> inspections;
  // Connections are made and nobody answers.
  bool stands_still = false;
  std::deque<EngineEvent> events;
  std::set<std::string> images = {"openclaw:1"};
  std::vector<std::string> image_digests;
  absl::StatusOr<std::string> registry_digest = absl::InternalError("no registry");
  int registry_asks = 0;
  bool away = false;
  EngineInfo info{.engine_version = "26.1.5", .live_restore = true};
  // What a container does when it starts; null for running on.
  std::function<void(FakeContainer&)> on_start;
  // Called, without the mutex, once a container is paused. May be null.
  std::function<void()> on_pause;
  // So many of the next pauses fail, as when a process does not stand still.
  int failing_pauses = 0;
  absl::Status unpause_error;
  absl::Status limit_error;

 private:
  static absl::Status Unavailable();
  absl::Status Away() const;
  const Clock* const clock_;
};

class FakeCompose final : public Compose {
 public:
  explicit FakeCompose(FakeEngine* engine);
  ~FakeCompose() override;

  absl::Status UpOne(const ComposeService& service, const CancelToken*) override;
  absl::Status CreateOne(const ComposeService& service, const CancelToken*) override;
  absl::Status StopOne(const ComposeService& service, absl::Duration, const CancelToken*) override;
  absl::Status RemoveOne(const ComposeService& service, absl::Duration,
                         const CancelToken*) override;
  absl::Status PullOne(const ComposeService& service, const CancelToken*) override;
  absl::Status CheckProject() override;
  absl::StatusOr<SubprocessResult> RunOneOff(const OneOff& run, const CancelToken*) override;

  // The project's `.env`; empty while a test has none.
  std::string env_path;
  absl::Status up_error;
  // Ports that another program has.
  std::set<int> taken_ports;
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
  // The container as the file and `.env` have it; one of another file is made anew.
  FakeContainer& Match(const ComposeService& service);
  std::string EnvironmentOf(const std::string& service) const;

  FakeEngine* const engine_;
};

class FakeOpenClaw final : public OpenClaw {
 public:
  FakeOpenClaw();
  ~FakeOpenClaw() override;

  absl::StatusOr<ProbeResult> Probe(const ContainerProcess&, absl::Duration) override;
  absl::StatusOr<std::string> Call(const ContainerProcess&, const SecretString&,
                                   const std::string& method, const std::string& params,
                                   absl::Duration, std::stop_token) override;
  std::atomic<bool> live{true};
  std::atomic<bool> ready{true};
  // What keeps it from being ready, when it is not.
  std::vector<std::string> failing = {"startup-sidecars"};
  std::atomic<bool> turn_runs{false};
  std::atomic<bool> connected{true};  // its channel
  // It has not started its channel: as after its restart-loop breaker has tripped.
  std::atomic<bool> holds_back{false};
  std::atomic<bool> answers{true};  // calls
  // Calls by their method; what it answers to `channels.start` when that is refused.
  std::atomic<int> asked_for_channels{0};
  std::atomic<int> asked_to_start{0};
  absl::Status start_error;
  absl::Status call_error;
};

}  // namespace mtp
