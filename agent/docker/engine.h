// The Docker Engine as the agent reads it: the Engine API, version 1.41 and later (Docker 20.10+),
// over the engine's unix socket. Changes of the project are Compose's work (agent/compose); the few
// changing calls here are those that Compose has no word for.
//
// Errors of every call: UNAVAILABLE when the engine cannot be reached, drops the connection or does
// not answer a question within seconds, DEADLINE_EXCEEDED when what takes its time (stop, restart,
// exec, logs, a registry) does not end within it, CANCELLED after a stop request, NOT_FOUND when
// the container or image does not exist, FAILED_PRECONDITION when its state forbids the call (HTTP
// 409), UNAUTHENTICATED or PERMISSION_DENIED when a registry wants a login, INTERNAL when the
// engine's answer is an error of its own or cannot be understood. Each is one sentence that names
// the call. Answers are untrusted: sizes are bounded, missing or mistyped fields read as their
// defaults.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace mtp {

struct EngineInfo {
  std::string engine_version;  // `26.1.5+dfsg1`
  std::string api_version;     // Highest that the engine speaks, `1.45`.
  int cgroup_version = 0;      // 1 or 2; 0 when the engine does not say.
  int cpus = 0;
  int64_t memory_bytes = 0;
  std::string data_root;  // `/var/lib/docker`
  std::string kernel_version;
  bool live_restore = false;  // Containers run on while the engine is away.
};

enum class ContainerState {
  kUnknown,  // A word that this build does not know.
  kCreated,
  kRunning,
  kPaused,
  kRestarting,  // Ended, and the engine is about to start it again.
  kRemoving,
  kExited,
  kDead,
};
std::string_view ContainerStateName(ContainerState state);

// The container's own HEALTHCHECK; the agent's probes (agent/openclaw) are another thing.
enum class ContainerHealth { kUnknown, kNone, kStarting, kHealthy, kUnhealthy };

// One row of a list.
struct ContainerSummary {
  std::string id;    // 64 hexadecimal digits.
  std::string name;  // Without the leading slash.
  std::string image;
  std::string image_id;  // `sha256:…`
  ContainerState state = ContainerState::kUnknown;
  std::string status;  // For people: `Up 2 hours`.
  std::map<std::string, std::string> labels;
  absl::Time created;
};

struct ContainerNetwork {
  std::string name;
  std::string id;
  std::string ip_address;  // Empty while not running.
};

// One container.
struct ContainerDetails {
  std::string id;
  std::string name;
  std::string image;     // As it was asked for.
  std::string image_id;  // `sha256:…`
  ContainerState state = ContainerState::kUnknown;
  ContainerHealth health = ContainerHealth::kUnknown;
  int pid = 0;  // Of its first process, in the engine's PID namespace; 0 when it does not run.
  int exit_code = 0;
  bool oom_killed = false;
  std::string error;                      // The engine's own words about a failed start.
  std::optional<absl::Time> started_at;   // Of the last start; unset when never started.
  std::optional<absl::Time> finished_at;  // Of the last end; unset when never ended.
  bool tty = false;                       // Its output is one raw stream, not two.
  int restart_count = 0;                  // By the engine's restart policy, since created.
  std::string restart_policy;             // `unless-stopped`, `no` …
  int64_t memory_limit_bytes = 0;         // 0 means none.
  int64_t memory_swap_limit_bytes = 0;  // Memory and swap together; 0 means default, -1 unlimited.
  std::map<std::string, std::string> labels;
  std::vector<ContainerNetwork> networks;

  // Running or paused: it has processes.
  bool HasProcesses() const { return pid > 0; }
};

struct ContainerStats {
  int64_t memory_bytes = 0;        // Without inactive page cache, as `docker stats` shows it.
  int64_t memory_limit_bytes = 0;  // The machine's memory when there is no limit.
  int64_t cpu_total_ns = 0;        // Consumed since the start; two samples make a rate.
  int64_t processes = 0;
  absl::Time sampled;
};

struct ImageDetails {
  std::string id;  // `sha256:…`
  std::vector<std::string> tags;
  std::vector<std::string> digests;  // `name@sha256:…`; empty for images that never met a registry.
  int64_t size_bytes = 0;
  absl::Time created;
};

// One event. Which exist: https://docs.docker.com/reference/cli/docker/system/events/
struct EngineEvent {
  std::string type;      // `container`, `network`, `image` …
  std::string action;    // `start`, `die`, `oom`, `health_status: healthy`, `exec_create: …` …
  std::string actor_id;  // The container's id.
  std::map<std::string, std::string>
      attributes;  // `name`, `image`, `exitCode`, and the container's labels.
  absl::Time time;
};

enum class OutputStream { kStdout, kStderr };
// Some bytes, at most 64 KiB, not cut at line ends. Returning false ends the call (CANCELLED).
using OutputSink = std::function<bool(OutputStream stream, std::string_view bytes)>;
// Returning false ends the call (CANCELLED).
using EventSink = std::function<bool(const EngineEvent& event)>;

struct LogsOptions {
  bool follow = false;
  std::optional<int> tail;          // Lines from the end to begin with; unset means all, 0 none.
  std::optional<absl::Time> since;  // Only lines not older.
  bool timestamps = false;          // The engine's timestamp before each line.
};

struct MemoryLimits {
  int64_t memory_bytes = 0;
  int64_t memory_swap_bytes = 0;  // Memory and swap together; -1 means unlimited swap.
};

// Thread-safe; every call blocks its caller and has a deadline. Calls that take a stop token end
// within milliseconds of a stop request.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual absl::StatusOr<EngineInfo> Info() = 0;
  // OK when the engine answers; cheap.
  virtual absl::Status Ping() = 0;

  // All containers, running or not, of this service of this Compose project, by the labels that
  // Compose gives them.
  virtual absl::StatusOr<std::vector<ContainerSummary>> ListContainers(
      const std::string& project, const std::string& service) = 0;
  // `container` is a name or an id, here and below; other characters than names may have are
  // INVALID_ARGUMENT.
  virtual absl::StatusOr<ContainerDetails> InspectContainer(const std::string& container) = 0;
  // One sample. A container without processes answers zeros.
  virtual absl::StatusOr<ContainerStats> Stats(const std::string& container) = 0;
  // `image` is a reference or an id.
  virtual absl::StatusOr<ImageDetails> InspectImage(const std::string& image) = 0;
  // The digest, `sha256:` and 64 hexadecimal digits, that the image's registry has under this
  // reference now; the engine asks it, without a login, and changes nothing on the host. NOT_FOUND
  // when the registry knows no such image, UNAUTHENTICATED or PERMISSION_DENIED when it wants a
  // login or another one, INTERNAL or DEADLINE_EXCEEDED when it cannot be reached.
  virtual absl::StatusOr<std::string> RegistryDigest(const std::string& image,
                                                     std::stop_token stop) = 0;

  // Streams the project's container events until `stop`, `sink` returns false, or the engine goes
  // away (UNAVAILABLE). With `since` the engine first repeats what it remembers from then on (it
  // remembers 256 events), so a reader that reconnects with the time of its last event misses
  // little and may see one twice. `on_connected`, when set, is called once the engine has accepted
  // the stream: what happens afterwards is not missed. Never returns OK.
  virtual absl::Status Events(const std::string& project, std::optional<absl::Time> since,
                              const EventSink& sink, std::stop_token stop,
                              const std::function<void()>& on_connected = nullptr) = 0;

  // A container's log. Without `follow`, ends OK at the log's end. With it, ends OK when the
  // container ends.
  virtual absl::Status Logs(const std::string& container, const LogsOptions& options,
                            const OutputSink& sink, std::stop_token stop) = 0;

  // Runs a command in a running container, as the container's user, without standard input, and
  // returns its exit code. After `timeout` (DEADLINE_EXCEEDED) or a stop request (CANCELLED) the
  // command itself is killed; what it started in the background lives on until the container ends.
  // Works only when the agent is in the engine's PID namespace. FAILED_PRECONDITION when the
  // container does not run.
  virtual absl::StatusOr<int> Exec(const std::string& container,
                                   const std::vector<std::string>& command, absl::Duration timeout,
                                   const OutputSink& sink, std::stop_token stop) = 0;

  // Takes effect on a running container at once. FAILED_PRECONDITION when more is in use than can
  // be reclaimed.
  virtual absl::Status UpdateMemoryLimits(const std::string& container,
                                          const MemoryLimits& limits) = 0;
  // `no`, `unless-stopped` …: whether the engine starts it again by itself when it ends. Takes
  // effect at once, running or not, and lasts until the container is made anew.
  virtual absl::Status UpdateRestartPolicy(const std::string& container,
                                           const std::string& policy) = 0;

  // Starts it; already running is OK.
  virtual absl::Status Start(const std::string& container) = 0;
  // SIGTERM, then SIGKILL after `grace`; already stopped is OK. Returns when it has ended.
  virtual absl::Status Stop(const std::string& container, absl::Duration grace,
                            std::stop_token stop) = 0;
  virtual absl::Status Restart(const std::string& container, absl::Duration grace,
                               std::stop_token stop) = 0;
  // Freezes every process of the container; already paused is OK. FAILED_PRECONDITION when it does
  // not run.
  virtual absl::Status Pause(const std::string& container) = 0;
  // Thaws them; not paused is OK, whatever it is instead.
  virtual absl::Status Unpause(const std::string& container) = 0;
  // `signal` such as `SIGKILL`. FAILED_PRECONDITION when it does not run.
  virtual absl::Status Kill(const std::string& container, const std::string& signal) = 0;
};

// The engine behind a unix socket, `/var/run/docker.sock`. Connects at each call, so an engine that
// restarts needs no care.
// `patience` is how long a question may take that an engine that works answers at once.
std::unique_ptr<Engine> NewEngine(std::string socket_path,
                                  absl::Duration patience = absl::Seconds(10));

}  // namespace mtp
