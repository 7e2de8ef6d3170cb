#include "tests/unit/agent/fake_engine.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>

#include "common/base/atomic_file.h"
#include "common/base/names.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// By its label; Compose makes some under a name with something before it.
bool IsOfService(const std::string& container, const std::string& service) {
  return container == "mtp-" + service || absl::EndsWith(container, "_mtp-" + service);
}

}  // namespace

FakeEngine::FakeEngine(const Clock* clock) : clock_(clock) {}

FakeEngine::~FakeEngine() = default;

absl::StatusOr<EngineInfo> FakeEngine::Info() {
  absl::MutexLock lock(&mutex);
  return info;
}

absl::Status FakeEngine::Ping() {
  absl::MutexLock lock(&mutex);
  if (stands_still) return absl::DeadlineExceededError("the engine does not answer");
  return away ? Unavailable() : absl::OkStatus();
}

absl::StatusOr<std::vector<ContainerSummary>> FakeEngine::ListContainers(
    const std::string&, const std::string& service) {
  absl::MutexLock lock(&mutex);
  if (away) return Unavailable();
  std::vector<ContainerSummary> all;
  for (const auto& [name, container] : containers) {
    if (!IsOfService(name, service)) continue;
    ContainerSummary summary;
    summary.name = name;
    if (container.one_off) summary.labels["com.docker.compose.oneoff"] = "True";
    all.push_back(std::move(summary));
  }
  return all;
}

absl::StatusOr<ContainerDetails> FakeEngine::InspectContainer(const std::string& name) {
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

absl::StatusOr<ContainerStats> FakeEngine::Stats(const std::string& name) {
  absl::MutexLock lock(&mutex);
  ContainerStats stats;
  stats.cpu_total_ns = containers[name].cpu_ns;
  return stats;
}

absl::StatusOr<ImageDetails> FakeEngine::InspectImage(const std::string& image) {
  absl::MutexLock lock(&mutex);
  if (away) return Unavailable();
  if (images.count(image) == 0) return absl::NotFoundError("no such image");
  ImageDetails details;
  details.id = absl::StartsWith(image, "sha256:") ? image : "sha256:" + image;
  details.digests = image_digests;
  return details;
}

absl::StatusOr<std::string> FakeEngine::RegistryDigest(const std::string&, std::stop_token) {
  absl::MutexLock lock(&mutex);
  if (away) return Unavailable();
  ++registry_asks;
  return registry_digest;
}

absl::Status FakeEngine::Events(const std::string&, std::optional<absl::Time>,
                                const EventSink& sink, std::stop_token stop,
                                const std::function<void()>& on_connected) {
  std::stop_callback wake(stop, [this] { absl::MutexLock lock(&mutex); });
  {
    absl::MutexLock lock(&mutex);
    auto answers = [&] { return !stands_still || stop.stop_requested(); };
    mutex.Await(absl::Condition(&answers));
    if (stop.stop_requested()) return absl::CancelledError("stopped");
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

void FakeEngine::Emit(const std::string& tenant, const std::string& action) {
  EngineEvent event;
  event.type = "container";
  event.action = action;
  event.attributes = {{"name", "mtp-" + tenant}, {"mtp.tenant", tenant}};
  event.time = clock_->Now();
  absl::MutexLock lock(&mutex);
  events.push_back(event);
}

void FakeEngine::SetAway(bool is_away) {
  absl::MutexLock lock(&mutex);
  away = is_away;
}

absl::Status FakeEngine::Logs(const std::string& name, const LogsOptions& options,
                              const OutputSink& sink, std::stop_token) {
  std::string log;
  {
    absl::MutexLock lock(&mutex);
    if (!options.since) log = containers[name].log;
    for (const auto& [time, line] : containers[name].lines) {
      if (options.since && time >= *options.since) absl::StrAppend(&log, line, "\n");
    }
  }
  if (!log.empty()) sink(OutputStream::kStdout, log);
  return absl::OkStatus();
}

absl::StatusOr<int> FakeEngine::Exec(const std::string&, const std::vector<std::string>&,
                                     absl::Duration, const OutputSink&, std::stop_token) {
  return absl::UnimplementedError("no commands");
}

absl::Status FakeEngine::UpdateMemoryLimits(const std::string& name, const MemoryLimits& limits) {
  absl::MutexLock lock(&mutex);
  if (away) return Unavailable();
  if (!limit_error.ok()) return limit_error;
  auto found = containers.find(name);
  if (found == containers.end()) return absl::NotFoundError("no such container");
  found->second.memory_limit_bytes = limits.memory_bytes;
  found->second.memory_swap_limit_bytes = limits.memory_swap_bytes;
  return absl::OkStatus();
}

absl::Status FakeEngine::UpdateRestartPolicy(const std::string& name, const std::string& policy) {
  absl::MutexLock lock(&mutex);
  if (away) return Unavailable();
  auto found = containers.find(name);
  if (found == containers.end()) return absl::NotFoundError("no such container");
  found->second.restart_policy = policy;
  return absl::OkStatus();
}

absl::Status FakeEngine::Start(const std::string&) { return absl::OkStatus(); }

absl::Status FakeEngine::Stop(const std::string& name, absl::Duration, std::stop_token) {
  absl::MutexLock lock(&mutex);
  if (away) return Unavailable();
  const auto found = containers.find(name);
  if (found == containers.end()) return absl::NotFoundError("no such container");
  found->second.running = found->second.restarting = false;
  return absl::OkStatus();
}

absl::Status FakeEngine::Restart(const std::string&, absl::Duration, std::stop_token) {
  return absl::OkStatus();
}

absl::Status FakeEngine::Kill(const std::string&, const std::string&) { return absl::OkStatus(); }

absl::Status FakeEngine::Pause(const std::string& name) {
  std::function<void()> then;
  {
    absl::MutexLock lock(&mutex);
    if (away) return Unavailable();
    FakeContainer& container = containers[name];
    if (!container.running) return absl::FailedPreconditionError("it does not run");
    if (failing_pauses > 0) {
      --failing_pauses;
      return absl::InternalError("OCI runtime pause failed: unable to freeze (HTTP 500)");
    }
    container.paused = true;
    ++container.pauses;
    then = on_pause;
  }
  if (then) then();
  return absl::OkStatus();
}

absl::Status FakeEngine::Unpause(const std::string& name) {
  absl::MutexLock lock(&mutex);
  if (away) return Unavailable();
  if (!unpause_error.ok()) return unpause_error;
  containers[name].paused = false;
  return absl::OkStatus();
}

void FakeEngine::Begin(FakeContainer& container) {
  container.running = true;
  container.restarting = false;
  container.restarts_by_engine = 0;
  container.oom_killed = false;
  container.started = clock_->Now() + absl::Nanoseconds(++container.starts);
  if (on_start) on_start(container);
}

absl::Status FakeEngine::Unavailable() {
  return absl::UnavailableError("the Docker Engine does not answer");
}

absl::Status FakeEngine::Away() const {
  absl::MutexLock lock(&mutex);
  return away ? Unavailable() : absl::OkStatus();
}

FakeCompose::FakeCompose(FakeEngine* engine) : engine_(engine) {}

FakeCompose::~FakeCompose() = default;

absl::Status FakeCompose::UpOne(const ComposeService& service, const CancelToken*) {
  absl::MutexLock lock(&engine_->mutex);
  ++ups;
  if (!up_error.ok()) return up_error;
  if (engine_->away) return absl::UnavailableError("the Docker Engine does not answer");
  FakeContainer& container = Match(service);
  if (container.running) return absl::OkStatus();
  for (const int port : taken_ports) {
    if (absl::StrContains(container.environment, absl::StrCat("_PORT=\"", port, "\"\n"))) {
      return absl::AlreadyExistsError(absl::StrCat("port ", port, " is taken"));
    }
  }
  engine_->Begin(container);
  return absl::OkStatus();
}

absl::Status FakeCompose::CreateOne(const ComposeService& service, const CancelToken*) {
  absl::MutexLock lock(&engine_->mutex);
  if (!up_error.ok()) return up_error;
  if (engine_->away) return absl::UnavailableError("the Docker Engine does not answer");
  Match(service);
  return absl::OkStatus();
}

absl::Status FakeCompose::StopOne(const ComposeService& service, absl::Duration,
                                  const CancelToken*) {
  absl::MutexLock lock(&engine_->mutex);
  if (stop_does_nothing) return absl::OkStatus();
  auto found = engine_->containers.find("mtp-" + service.name);
  if (found == engine_->containers.end()) return absl::OkStatus();
  found->second.running = found->second.restarting = false;
  return absl::OkStatus();
}

absl::Status FakeCompose::RemoveOne(const ComposeService& service, absl::Duration,
                                    const CancelToken*) {
  absl::MutexLock lock(&engine_->mutex);
  if (engine_->away) return absl::UnavailableError("the Docker Engine does not answer");
  std::erase_if(engine_->containers,
                [&](const auto& one) { return IsOfService(one.first, service.name); });
  return absl::OkStatus();
}

absl::Status FakeCompose::PullOne(const ComposeService& service, const CancelToken* cancel) {
  ++pulls;
  pulled_file = service.file;
  if (on_pull) on_pull();
  if (cancel != nullptr && cancel->cancelled()) return absl::CancelledError("ended");
  return pull_error;
}

absl::Status FakeCompose::CheckProject() { return absl::OkStatus(); }

absl::StatusOr<SubprocessResult> FakeCompose::RunOneOff(const OneOff& run, const CancelToken*) {
  ++one_offs;
  checked = run;
  SubprocessResult result;
  result.exit_code = config_issues.empty() ? 0 : 1;
  result.stdout_text = config_issues;
  return result;
}

std::string FakeCompose::EnvironmentOf(const std::string& service) const {
  const auto name = TenantName::Parse(service);
  if (env_path.empty() || !name.ok()) return "";
  const std::string text = ReadFile(env_path, 1 << 20).value_or("");
  std::string own;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    // Not those of `acme-2` for `acme`.
    for (const char* end : {"PORT", "GATEWAY_TOKEN", "TELEGRAM_TOKEN", "ANTHROPIC_KEY",
                            "OPENAI_KEY", "OPENROUTER_KEY"}) {
      const bool is_own = absl::StartsWith(line, absl::StrCat(name->EnvPrefix(), "_", end, "="));
      if (is_own) absl::StrAppend(&own, line, "\n");
    }
  }
  return own;
}

FakeContainer& FakeCompose::Match(const ComposeService& service) {
  // Any container of the service is the service's to Compose, whatever its name.
  const auto known = std::find_if(
      engine_->containers.begin(), engine_->containers.end(),
      [&](const auto& one) { return IsOfService(one.first, service.name) && !one.second.one_off; });
  FakeContainer& container = known != engine_->containers.end()
                                 ? known->second
                                 : engine_->containers["mtp-" + service.name];
  const std::string environment = EnvironmentOf(service.name);
  if (container.file == service.file && container.environment == environment) return container;
  container.environment = environment;
  if (!container.file.empty()) ++container.generation;
  container.running = false;
  container.restart_policy = "unless-stopped";
  container.file = service.file;
  return container;
}

FakeOpenClaw::FakeOpenClaw() = default;

FakeOpenClaw::~FakeOpenClaw() = default;

absl::StatusOr<ProbeResult> FakeOpenClaw::Probe(const ContainerProcess&, absl::Duration) {
  ProbeResult result;
  result.live = live;
  result.ready = ready;
  if (!result.ready) result.failing = failing;
  result.message =
      result.ready ? "ready" : absl::StrCat("not ready: ", absl::StrJoin(failing, ", "));
  return result;
}

absl::StatusOr<std::string> FakeOpenClaw::Call(const ContainerProcess&, const SecretString&,
                                               const std::string& method, const std::string& params,
                                               absl::Duration, std::stop_token) {
  MTP_RETURN_IF_ERROR(call_error);
  if (!answers) return absl::UnavailableError("the gateway does not answer");
  if (method == "channels.start") {
    ++asked_to_start;
    MTP_RETURN_IF_ERROR(start_error);
    if (params == R"({"channel":"telegram"})") holds_back = false;
    return std::string(R"({"started":true})");
  }
  if (method == "channels.status") {
    ++asked_for_channels;
    if (holds_back) {
      return std::string(
          R"({"channelAccounts":{"telegram":[{"accountId":"default","enabled":true,)"
          R"("running":false,"lastStartAt":null,"lastError":"breaker of bot planted-secret"}]}})");
    }
    return absl::StrCat(
        R"({"channelAccounts":{"telegram":[{"accountId":"default","enabled":true,)",
        connected ? R"("connected":true}]}})"
                  : R"("connected":false,"lastError":"conflict of bot planted-secret"}]}})");
  }
  if (method != "sessions.list") return std::string("{}");
  const bool active = !absl::StrContains(params, "activeOnly") || turn_runs;
  return std::string(active ? R"({"count":1,"sessions":[{"key":"agent:main:main"}]})"
                            : R"({"count":0,"sessions":[]})");
}

}  // namespace mtp
