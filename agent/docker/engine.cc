#include "agent/docker/engine.h"

#include <absl/strings/str_format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "agent/docker/engine_answers.h"
#include "agent/docker/engine_http.h"
#include "agent/docker/json_fields.h"
#include "agent/docker/output_frames.h"
#include "common/base/file_descriptor.h"
#include "common/base/image_reference.h"
#include "common/base/status.h"

namespace mtp {
namespace {

using json_fields::Json;

// The engine may be slow to start a container while others start.
constexpr absl::Duration kStartTimeout = absl::Minutes(2);
// A registry is far away, and the engine tries its mirrors before it.
constexpr absl::Duration kRegistryTimeout = absl::Seconds(60);
constexpr size_t kMaxRegistryAnswer = 1 << 20;
constexpr size_t kMaxEventLine = 1 << 20;
constexpr size_t kMaxCommandArguments = 128;
constexpr size_t kMaxCommandBytes = 64 * 1024;
// The engine notes a command's end a moment after its output ends.
constexpr int kExecEndChecks = 250;
constexpr auto kExecEndCheckInterval = std::chrono::milliseconds(20);

std::string UnixTime(absl::Time time) {
  const int64_t nanos = absl::ToUnixNanos(time);
  return absl::StrFormat("%d.%09d", nanos / 1'000'000'000, nanos % 1'000'000'000);
}

absl::Status CheckContainer(const std::string& container) {
  if (IsContainerReference(container)) return absl::OkStatus();
  return absl::InvalidArgumentError("not the name or id of a container");
}

// Splits a stream into lines and gives each to the sink as an event.
class EventLines {
 public:
  explicit EventLines(const EventSink& sink) : sink_(sink) {}

  absl::Status Feed(std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t end = bytes.find('\n');
      const std::string_view piece = bytes.substr(0, end);
      if (line_.size() + piece.size() > kMaxEventLine) {
        return absl::InternalError("the engine sent an event of more than 1 MiB");
      }
      line_.append(piece);
      if (end == std::string_view::npos) return absl::OkStatus();
      bytes.remove_prefix(end + 1);
      const std::string line = std::exchange(line_, {});
      if (line.find_first_not_of(" \r\t") == std::string::npos) continue;
      MTP_ASSIGN_OR_RETURN(const EngineEvent event, ParseEngineEvent(line));
      if (!sink_(event)) return absl::CancelledError("the reader wants no more");
    }
    return absl::OkStatus();
  }

 private:
  const EventSink& sink_;
  std::string line_;
};

class SocketEngine final : public Engine {
 public:
  SocketEngine(std::string socket_path, absl::Duration patience)
      : socket_path_(std::move(socket_path)), patience_(patience) {}

  absl::StatusOr<EngineInfo> Info() override {
    MTP_ASSIGN_OR_RETURN(const std::string info, Get("info", "/info"));
    MTP_ASSIGN_OR_RETURN(const std::string version, Get("version", "/version"));
    return ParseEngineInfo(info, version);
  }

  absl::Status Ping() override { return Get("ping", "/_ping").status(); }

  absl::StatusOr<std::vector<ContainerSummary>> ListContainers(
      const std::string& project, const std::string& service) override {
    const std::string filters =
        Filters(project, {{"label", {absl::StrCat("com.docker.compose.service=", service)}}});
    MTP_ASSIGN_OR_RETURN(const std::string body,
                         Get("list containers", absl::StrCat("/containers/json?all=1&filters=",
                                                             PercentEncode(filters))));
    return ParseContainerList(body);
  }

  absl::StatusOr<ContainerDetails> InspectContainer(const std::string& container) override {
    MTP_RETURN_IF_ERROR(CheckContainer(container));
    const std::string call = absl::StrCat("inspect ", container);
    MTP_ASSIGN_OR_RETURN(const std::string body,
                         Get(call, absl::StrCat("/containers/", container, "/json")));
    absl::StatusOr<ContainerDetails> details = ParseContainerDetails(body);
    if (!details.ok()) return Annotate(details.status(), call);
    return details;
  }

  absl::StatusOr<ContainerStats> Stats(const std::string& container) override {
    MTP_RETURN_IF_ERROR(CheckContainer(container));
    MTP_ASSIGN_OR_RETURN(
        const std::string body,
        Get(absl::StrCat("statistics of ", container),
            absl::StrCat("/containers/", container, "/stats?stream=false&one-shot=true")));
    return ParseContainerStats(body);
  }

  absl::StatusOr<ImageDetails> InspectImage(const std::string& image) override {
    MTP_RETURN_IF_ERROR(CheckImageReference(image));
    MTP_ASSIGN_OR_RETURN(const std::string body, Get(absl::StrCat("inspect image ", image),
                                                     absl::StrCat("/images/", image, "/json")));
    return ParseImageDetails(body);
  }

  absl::StatusOr<std::string> RegistryDigest(const std::string& image,
                                             std::stop_token stop) override {
    MTP_RETURN_IF_ERROR(CheckImageReference(image));
    EngineRequest request;
    request.call = absl::StrCat("ask the registry for ", image);
    request.method = "GET";
    request.target = absl::StrCat("/distribution/", image, "/json");
    request.timeout = kRegistryTimeout;
    request.stop = stop;
    request.max_body_bytes = kMaxRegistryAnswer;
    MTP_ASSIGN_OR_RETURN(const std::string body, Collect(request));
    return ParseRegistryDigest(body);
  }

  absl::Status Events(const std::string& project, std::optional<absl::Time> since,
                      const EventSink& sink, std::stop_token stop,
                      const std::function<void()>& on_connected) override {
    EventLines lines(sink);
    EngineRequest request;
    request.call = "events";
    request.method = "GET";
    request.target = absl::StrCat("/events?filters=",
                                  PercentEncode(Filters(project, {{"type", {"container"}}})));
    if (since.has_value()) absl::StrAppend(&request.target, "&since=", UnixTime(*since));
    request.timeout = absl::InfiniteDuration();
    request.stop = stop;
    request.sink = [&lines](std::string_view bytes) { return lines.Feed(bytes); };
    request.on_head = on_connected;
    MTP_ASSIGN_OR_RETURN(const EngineAnswer answer, ExchangeWithEngine(socket_path_, request));
    MTP_RETURN_IF_ERROR(EngineAnswerStatus(request, answer));
    return absl::UnavailableError("events: the Docker Engine ended the stream");
  }

  absl::Status Logs(const std::string& container, const LogsOptions& options,
                    const OutputSink& sink, std::stop_token stop) override {
    MTP_ASSIGN_OR_RETURN(const ContainerDetails details, InspectContainer(container));
    EngineRequest request;
    request.call = absl::StrCat("logs of ", container);
    request.method = "GET";
    request.target = absl::StrCat("/containers/", details.id, "/logs?stdout=1&stderr=1");
    if (options.follow) absl::StrAppend(&request.target, "&follow=1");
    if (options.timestamps) absl::StrAppend(&request.target, "&timestamps=1");
    if (options.tail.has_value()) absl::StrAppend(&request.target, "&tail=", *options.tail);
    if (options.since.has_value()) {
      absl::StrAppend(&request.target, "&since=", UnixTime(*options.since));
    }
    request.timeout = options.follow ? absl::InfiniteDuration() : absl::Minutes(10);
    request.stop = stop;
    return Stream(&request, details.tty, sink);
  }

  absl::StatusOr<int> Exec(const std::string& container, const std::vector<std::string>& command,
                           absl::Duration timeout, const OutputSink& sink,
                           std::stop_token stop) override {
    MTP_RETURN_IF_ERROR(CheckContainer(container));
    MTP_RETURN_IF_ERROR(CheckCommand(command));
    const std::string call = absl::StrCat("exec in ", container);
    const Json create = {{"AttachStdout", true}, {"AttachStderr", true}, {"Cmd", command}};
    MTP_ASSIGN_OR_RETURN(
        const std::string created,
        Post(call, absl::StrCat("/containers/", container, "/exec"), ToText(create)));
    MTP_ASSIGN_OR_RETURN(const std::string exec_id, ParseCreatedId(created));
    EngineRequest request;
    request.call = call;
    request.method = "POST";
    request.target = absl::StrCat("/exec/", exec_id, "/start");
    request.body = R"({"Detach":false,"Tty":false})";
    request.timeout = timeout;
    request.stop = stop;
    if (absl::Status status = Stream(&request, /*raw=*/false, sink); !status.ok()) {
      KillExec(exec_id);
      if (absl::IsDeadlineExceeded(status)) {
        return absl::DeadlineExceededError(
            absl::StrCat(call, ": the command did not end within ", absl::FormatDuration(timeout)));
      }
      return status;
    }
    return ExecExitCode(call, exec_id);
  }

  absl::Status UpdateMemoryLimits(const std::string& container,
                                  const MemoryLimits& limits) override {
    MTP_RETURN_IF_ERROR(CheckContainer(container));
    const Json body = {{"Memory", limits.memory_bytes}, {"MemorySwap", limits.memory_swap_bytes}};
    return Post(absl::StrCat("set memory limit of ", container),
                absl::StrCat("/containers/", container, "/update"), ToText(body))
        .status();
  }

  absl::Status UpdateRestartPolicy(const std::string& container,
                                   const std::string& policy) override {
    MTP_RETURN_IF_ERROR(CheckContainer(container));
    const Json body = {{"RestartPolicy", {{"Name", policy}}}};
    return Post(absl::StrCat("set restart policy of ", container),
                absl::StrCat("/containers/", container, "/update"), ToText(body))
        .status();
  }

  absl::Status Start(const std::string& container) override {
    return Act(container, "start", "", kStartTimeout, {});
  }

  absl::Status Stop(const std::string& container, absl::Duration grace,
                    std::stop_token stop) override {
    return Act(container, "stop", GraceQuery(grace), grace + kStartTimeout, stop);
  }

  absl::Status Restart(const std::string& container, absl::Duration grace,
                       std::stop_token stop) override {
    return Act(container, "restart", GraceQuery(grace), grace + kStartTimeout, stop);
  }

  absl::Status Pause(const std::string& container) override {
    const absl::Status paused = Act(container, "pause", "", patience_, {});
    if (!absl::IsFailedPrecondition(paused)) return paused;
    MTP_ASSIGN_OR_RETURN(const ContainerDetails details, InspectContainer(container));
    return details.state == ContainerState::kPaused ? absl::OkStatus() : paused;
  }

  absl::Status Unpause(const std::string& container) override {
    const absl::Status thawed = Act(container, "unpause", "", patience_, {});
    if (thawed.ok()) return thawed;
    MTP_ASSIGN_OR_RETURN(const ContainerDetails details, InspectContainer(container));
    return details.state == ContainerState::kPaused ? thawed : absl::OkStatus();
  }

  absl::Status Kill(const std::string& container, const std::string& signal) override {
    if (!IsContainerReference(signal)) return absl::InvalidArgumentError("not a signal's name");
    return Act(container, "kill", absl::StrCat("?signal=", signal), patience_, {});
  }

 private:
  using FilterMap = std::map<std::string, std::vector<std::string>>;

  // Text with replacements for bytes that are not UTF-8, which JSON cannot carry.
  static std::string ToText(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  static std::string Filters(const std::string& project, FilterMap filters) {
    filters["label"].push_back(absl::StrCat("com.docker.compose.project=", project));
    return ToText(filters);
  }

  static std::string GraceQuery(absl::Duration grace) {
    return absl::StrCat("?t=", absl::ToInt64Seconds(absl::Ceil(grace, absl::Seconds(1))));
  }

  static absl::Status CheckCommand(const std::vector<std::string>& command) {
    size_t bytes = 0;
    for (const std::string& argument : command) bytes += argument.size();
    if (command.empty() || command.front().empty()) {
      return absl::InvalidArgumentError("a command is needed");
    }
    if (command.size() > kMaxCommandArguments || bytes > kMaxCommandBytes) {
      return absl::InvalidArgumentError("a command has at most 128 arguments and 64 KiB in all");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Collect(const EngineRequest& request) {
    MTP_ASSIGN_OR_RETURN(EngineAnswer answer, ExchangeWithEngine(socket_path_, request));
    MTP_RETURN_IF_ERROR(EngineAnswerStatus(request, answer));
    return std::move(answer.body);
  }

  // What an engine that works answers at once: one that does not is away, or comes only just back.
  absl::StatusOr<std::string> Ask(EngineRequest request) {
    request.timeout = patience_;
    auto answer = Collect(request);
    if (!absl::IsDeadlineExceeded(answer.status())) return answer;
    return absl::UnavailableError(answer.status().message());
  }

  absl::StatusOr<std::string> Get(std::string call, std::string target) {
    EngineRequest request;
    request.call = std::move(call);
    request.method = "GET";
    request.target = std::move(target);
    return Ask(std::move(request));
  }

  absl::StatusOr<std::string> Post(std::string call, std::string target, std::string body) {
    EngineRequest request;
    request.call = std::move(call);
    request.method = "POST";
    request.target = std::move(target);
    request.body = std::move(body);
    return Ask(std::move(request));
  }

  absl::Status Act(const std::string& container, const std::string& action,
                   const std::string& query, absl::Duration timeout, std::stop_token stop) {
    MTP_RETURN_IF_ERROR(CheckContainer(container));
    EngineRequest request;
    request.call = absl::StrCat(action, " ", container);
    request.method = "POST";
    request.target = absl::StrCat("/containers/", container, "/", action, query);
    request.timeout = timeout;
    request.stop = stop;
    return Collect(request).status();
  }

  // `raw` output is one stream without frames.
  absl::Status Stream(EngineRequest* request, bool raw, const OutputSink& sink) {
    OutputFrames frames(sink);
    request->sink = [&](std::string_view bytes) -> absl::Status {
      if (!raw) return frames.Feed(bytes);
      if (GiveOutput(sink, OutputStream::kStdout, bytes)) return absl::OkStatus();
      return absl::CancelledError("the reader wants no more");
    };
    MTP_ASSIGN_OR_RETURN(const EngineAnswer answer, ExchangeWithEngine(socket_path_, *request));
    MTP_RETURN_IF_ERROR(EngineAnswerStatus(*request, answer));
    if (!frames.AtFrameEnd()) {
      return absl::UnavailableError(
          absl::StrCat(request->call, ": the Docker Engine ended the stream in its middle"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<ExecState> InspectExec(const std::string& exec_id) {
    MTP_ASSIGN_OR_RETURN(const std::string body,
                         Get("inspect a command", absl::StrCat("/exec/", exec_id, "/json")));
    return ParseExecState(body);
  }

  absl::StatusOr<int> ExecExitCode(const std::string& call, const std::string& exec_id) {
    for (int check = 0; check < kExecEndChecks; ++check) {
      MTP_ASSIGN_OR_RETURN(const ExecState state, InspectExec(exec_id));
      if (!state.running) return state.exit_code;
      std::this_thread::sleep_for(kExecEndCheckInterval);
    }
    return absl::InternalError(absl::StrCat(call, ": the command closed its output and runs on"));
  }

  // The Engine API has no call that ends a command. The process is held by descriptor before the
  // engine is asked again whether it is still the command, so a PID that was used anew meanwhile is
  // not hit.
  void KillExec(const std::string& exec_id) {
    const absl::StatusOr<ExecState> before = InspectExec(exec_id);
    if (!before.ok() || !before->running || before->pid <= 1) return;
    const FileDescriptor process(static_cast<int>(syscall(SYS_pidfd_open, before->pid, 0)));
    if (!process.valid()) return;
    const absl::StatusOr<ExecState> after = InspectExec(exec_id);
    if (!after.ok() || !after->running || after->pid != before->pid) return;
    syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
  }

  const std::string socket_path_;
  const absl::Duration patience_;
};

}  // namespace

std::unique_ptr<Engine> NewEngine(std::string socket_path, absl::Duration patience) {
  return std::make_unique<SocketEngine>(std::move(socket_path), patience);
}

}  // namespace mtp
