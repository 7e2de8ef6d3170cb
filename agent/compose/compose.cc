#include "agent/compose/compose.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "agent/compose/render.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr absl::Duration kShort = absl::Seconds(120);
constexpr absl::Duration kPull = absl::Minutes(30);
// Beyond the grace given to the container: what the engine itself needs.
constexpr absl::Duration kStopMargin = absl::Seconds(60);

std::string OwnVariable(const char* name, const char* fallback) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : fallback;
}

// How each call of Compose begins. The plugin also works on its own, with the same arguments.
std::vector<std::string> ComposeCommand(const ComposeOptions& options) {
  if (!options.compose_plugin.empty()) return {options.compose_plugin};
  return {options.docker_program, "compose"};
}

void Append(std::vector<std::string>* argv, const std::vector<std::string>& more) {
  argv->insert(argv->end(), more.begin(), more.end());
}

// A whole number of seconds, at least 1: Docker's 0 means "kill at once".
std::string GraceSeconds(absl::Duration grace) {
  return absl::StrCat(std::max<int64_t>(1, absl::ToInt64Seconds(grace)));
}

class DockerCompose final : public Compose {
 public:
  explicit DockerCompose(ComposeOptions options) : options_(std::move(options)) {}

  absl::Status UpOne(const ComposeService& service, const CancelToken* cancel) override {
    return Run(service, {"up", "-d", "--no-deps", "--no-build", "--pull", "never", service.name},
               kShort, cancel);
  }

  absl::Status CreateOne(const ComposeService& service, const CancelToken* cancel) override {
    return Run(service,
               {"up", "--no-start", "--no-deps", "--no-build", "--pull", "never", service.name},
               kShort, cancel);
  }

  absl::Status StopOne(const ComposeService& service, absl::Duration grace,
                       const CancelToken* cancel) override {
    return Run(service, {"stop", "--timeout", GraceSeconds(grace), service.name},
               grace + kStopMargin, cancel);
  }

  absl::Status RemoveOne(const ComposeService& service, absl::Duration grace,
                         const CancelToken* cancel) override {
    // `down` of a file of one service takes down just that service and its network.
    return Run(service, {"down", "--timeout", GraceSeconds(grace)}, grace + kStopMargin, cancel);
  }

  absl::Status PullOne(const ComposeService& service, const CancelToken* cancel) override {
    return Run(service, {"pull", "--quiet", service.name}, kPull, cancel);
  }

  absl::Status CheckProject() override {
    SubprocessOptions run = Base();
    run.argv = ComposeCommand(options_);
    Append(&run.argv, {"--project-directory", options_.project_folder, "config", "--quiet"});
    return Finish(run);
  }

  absl::StatusOr<SubprocessResult> RunOneOff(const OneOff& one_off,
                                             const CancelToken* cancel) override {
    SubprocessOptions run = Base();
    run.argv = {
        options_.docker_program,
        "run",
        "--rm",
        "--init",
        "--network",
        "none",
        "--read-only",
        "--tmpfs",
        "/tmp:size=256m,mode=1777",
        "--tmpfs",
        absl::StrCat("/home/node/.openclaw:uid=", kContainerUid),
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--pids-limit",
        "512",
        "--pull",
        "never",
        "--log-driver",
        "none",
        "--user",
        absl::StrCat(kContainerUid, ":", kContainerUid),
        "--mount",
        absl::StrCat("type=bind,source=", one_off.file, ",target=", one_off.target, ",readonly")};
    for (const auto& [name, value] : one_off.env) {
      run.argv.push_back("--env");
      run.argv.push_back(absl::StrCat(name, "=", value));
    }
    run.argv.push_back(one_off.image);
    Append(&run.argv, one_off.command);
    run.deadline = one_off.deadline;
    run.cancel = cancel;
    run.max_output_bytes = 256 << 10;
    return RunSubprocess(run);
  }

 private:
  SubprocessOptions Base() const {
    SubprocessOptions run;
    // Nothing of the agent's own environment but what finds programs, plugins and registry logins.
    run.env = {{"PATH", OwnVariable("PATH", "/usr/local/bin:/usr/bin:/bin")},
               {"HOME", OwnVariable("HOME", "/root")},
               {"DOCKER_HOST", options_.docker_host},
               {"COMPOSE_PROJECT_NAME", kProjectName},
               {"COMPOSE_IGNORE_ORPHANS", "1"},
               {"COMPOSE_ANSI", "never"},
               {"COMPOSE_PROGRESS", "plain"},
               // Compose lives for tenths of a second: a sixth of its processor time is its garbage
               // collector's, for which it is over too soon to gain anything.
               {"GOGC", "off"},
               {"GOMEMLIMIT", "512MiB"}};
    run.working_folder = options_.project_folder;
    run.max_output_bytes = 64 << 10;
    run.deadline = kShort;
    return run;
  }

  absl::Status Run(const ComposeService& service, const std::vector<std::string>& command,
                   absl::Duration deadline, const CancelToken* cancel) const {
    SubprocessOptions run = Base();
    if (!service.project.empty()) run.env["COMPOSE_PROJECT_NAME"] = service.project;
    run.argv = ComposeCommand(options_);
    Append(&run.argv, {"--project-directory", options_.project_folder, "-f", "-"});
    Append(&run.argv, command);
    run.stdin_bytes = service.file;
    run.deadline = deadline;
    run.cancel = cancel;
    return Finish(run);
  }

  absl::Status Finish(const SubprocessOptions& run) const {
    auto result = RunSubprocess(run);
    if (!result.ok()) return Annotate(result.status(), "docker compose");
    if (result->exit_code == 0) return absl::OkStatus();
    return ComposeError(absl::StrCat(result->stdout_text, "\n", result->stderr_text));
  }

  const ComposeOptions options_;
};

}  // namespace

std::unique_ptr<Compose> NewCompose(ComposeOptions options) {
  return std::make_unique<DockerCompose>(std::move(options));
}

std::string FindComposePlugin() {
  const std::string home = OwnVariable("HOME", "/root");
  for (const std::string& folder :
       {home + "/.docker", std::string("/usr/local/lib/docker"),
        std::string("/usr/local/libexec/docker"), std::string("/usr/lib/docker"),
        std::string("/usr/libexec/docker")}) {
    std::string plugin = absl::StrCat(folder, "/cli-plugins/docker-compose");
    if (access(plugin.c_str(), X_OK) == 0) return plugin;
  }
  return "";
}

absl::Status CheckDockerProgram(const ComposeOptions& options) {
  constexpr char kAdvice[] =
      "Install Docker's command line and Compose 2 (packages docker-cli and docker-compose)";
  SubprocessOptions run;
  run.argv = {options.docker_program, "compose", "version", "--short"};
  run.env = {{"PATH", OwnVariable("PATH", "/usr/local/bin:/usr/bin:/bin")},
             {"HOME", OwnVariable("HOME", "/root")}};
  run.deadline = absl::Seconds(30);
  auto result = RunSubprocess(run);
  if (!result.ok() || result->exit_code != 0) {
    return absl::FailedPreconditionError(absl::StrCat("docker compose does not run. ", kAdvice));
  }
  const absl::string_view version = absl::StripPrefix(result->stdout_text, "v");
  if (absl::StartsWith(version, "1.")) {
    return absl::FailedPreconditionError(absl::StrCat("Docker Compose is too old. ", kAdvice));
  }
  return absl::OkStatus();
}

}  // namespace mtp
