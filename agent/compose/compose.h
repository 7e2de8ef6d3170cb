// Changing containers through `docker compose`. Each call works on a Compose file of one service,
// given on standard input: it touches that service and its network and nothing else, and its cost
// does not grow with the number of tenants.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/process/subprocess.h"

namespace mtp {

// One service of the project, as RenderTenantService and RenderAdminService give it.
struct ComposeService {
  std::string name;  // `acme`
  std::string file;  // Text of the Compose file.
  // Compose project that it is of; empty means the agent's own.
  std::string project = {};
};

// Thread-safe; every call blocks. Errors: UNAVAILABLE when the engine cannot be reached,
// DEADLINE_EXCEEDED, CANCELLED through the token, NOT_FOUND for an image that is not on the host
// (UpOne never pulls), ALREADY_EXISTS when the service's port is somebody else's,
// FAILED_PRECONDITION in the engine's own words, in one sentence, for all else. Container output is
// never part of an error.
class Compose {
 public:
  virtual ~Compose() = default;

  // Creates or changes network and container to match the file, and starts it. An unchanged running
  // container is left alone.
  virtual absl::Status UpOne(const ComposeService& service, const CancelToken* cancel) = 0;
  // The same without starting it; what runs of another file is stopped and made anew.
  virtual absl::Status CreateOne(const ComposeService& service, const CancelToken* cancel) = 0;
  // SIGTERM, then SIGKILL after `grace`. Stopped already, or no container, is OK.
  virtual absl::Status StopOne(const ComposeService& service, absl::Duration grace,
                               const CancelToken* cancel) = 0;
  // Stops (SIGKILL after `grace`) and removes container and network. Absent ones are OK.
  virtual absl::Status RemoveOne(const ComposeService& service, absl::Duration grace,
                                 const CancelToken* cancel) = 0;
  // Pulls the service's image; a registry that cannot be reached is said in words.
  virtual absl::Status PullOne(const ComposeService& service, const CancelToken* cancel) = 0;
  // OK when the files in the project folder are a valid project.
  virtual absl::Status CheckProject() = 0;
  // Runs a program in a new container of `image` that has no network and no state, with `file`
  // mounted read-only at `target`, and returns its exit code and output.
  struct OneOff {
    std::string image;
    std::vector<std::string> command;
    std::map<std::string, std::string> env;  // No secrets: they are visible in `ps`.
    std::string file;                        // Absolute path on the host.
    std::string target;                      // In the container.
    absl::Duration deadline = absl::Seconds(120);
  };
  virtual absl::StatusOr<SubprocessResult> RunOneOff(const OneOff& run,
                                                     const CancelToken* cancel) = 0;
};

struct ComposeOptions {
  std::string project_folder;             // Required; absolute.
  std::string docker_host;                // Required; `unix:///var/run/docker.sock`.
  std::string docker_program = "docker";  // With the Compose plugin, version 2.
  // The plugin itself, from FindComposePlugin. Empty: `docker compose`, which starts three
  // processes for each call where the plugin is one, and takes a good tenth of a second longer.
  std::string compose_plugin;
};

std::unique_ptr<Compose> NewCompose(ComposeOptions options);

// The plugin that `docker compose` runs: the first `docker-compose` in Docker's own folders, this
// user's before the machine's (docker/cli, cli-plugins/manager). Empty when there is none.
std::string FindComposePlugin();

// OK when the program and its Compose plugin of version 2 are there; else FAILED_PRECONDITION says
// which packages bring them.
absl::Status CheckDockerProgram(const ComposeOptions& options);

// Compose's output as one sentence: the engine's error when there is one, else the last line that
// says something. Pure.
std::string DistillComposeError(absl::string_view output);
// The status for a failed run with that output. Pure.
absl::Status ComposeError(absl::string_view output);

}  // namespace mtp
