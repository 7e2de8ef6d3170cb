// What `mtp-agent join` settles and `mtp-agent run` needs: `<data dir>/agent.yaml`.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

namespace mtp {

struct AgentSettings {
  // Short name of this host, from the join token.
  std::string host;
  // Name of the fleet, part of every identity.
  std::string fleet;
  // Journal, keys, certificates. Not in the file: it is where the file is.
  std::string data_dir;
  // The Docker Compose project. Default: `<data dir>/project`.
  std::string project_dir;
  // Where the agent listens, `address:port`.
  std::string listen = "0.0.0.0:7443";
  // Where the controller reaches it, `address:port`; kept for joining again. Empty when it joined
  // before this was kept.
  std::string advertise;
  std::string docker_host = "unix:///var/run/docker.sock";
  // Image of the admin instance, and OPENCLAW_IMAGE of the project.
  std::string image = "ghcr.io/openclaw/openclaw:main";
  // MiB; 0: what the kernel says. For several hosts on one machine.
  int64_t memory_total_mib = 0;
  // MiB kept from tenants; -1: 512, 1024 for an admin instance, and 5 % of the total.
  int64_t memory_reserve_mib = -1;
  // Cut into /29s, one for each tenant.
  std::string subnet_pool = "10.214.0.0/16";
  bool admin = true;
  // OpenClaws that may start at the same time; 0: half the processors, at least 1.
  int max_starts = 0;
  // Seconds after which a start without any activity has failed (see agent/tenants/ready_wait.h).
  int start_patience_s = 120;
  // `debug`, `info`, `warning` or `error`.
  std::string log_level = "info";
};

// Folder that the agent shares with its guard: `guard` in the data folder.
std::string GuardFolder(const AgentSettings& settings);

// INVALID_ARGUMENT with one sentence for what cannot work.
absl::Status CheckSettings(const AgentSettings& settings);

// NOT_FOUND when this folder has never joined; INVALID_ARGUMENT for a file that cannot be read.
// Unknown entries are ignored: a newer agent may have written them.
absl::StatusOr<AgentSettings> LoadSettings(const std::string& data_dir);
// Writes it atomically.
absl::Status SaveSettings(const AgentSettings& settings);

// Folder with this host's key and certificate.
std::string IdentityPath(const AgentSettings& settings);

// Path of the engine's socket: `unix:///x` is `/x`. INVALID_ARGUMENT for other schemes.
absl::StatusOr<std::string> EngineSocketPath(const std::string& docker_host);

}  // namespace mtp
