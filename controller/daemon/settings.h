// What `mtp-controller init` settles and `mtp-controller run` needs: `<data dir>/controller.yaml`.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mtp {

inline constexpr char kDefaultDataDir[] = "/var/lib/mtp-controller";

struct ControllerSettings {
  // Name of the fleet, part of every identity. Default `mtp`.
  std::string fleet = "mtp";
  // Where operators reach the API, `address:port`. Default 127.0.0.1:7443.
  std::string listen = "127.0.0.1:7443";
  // Where hosts enrol. Default 127.0.0.1:7444.
  std::string enroll_listen = "127.0.0.1:7444";
  // The enrolment address as hosts see it, written into join tokens. Default: enroll_listen.
  std::string enroll_advertise;
  // Image of tenants that name none (common/base/image_reference.h).
  std::string default_image = "ghcr.io/openclaw/openclaw:main";
  // Reservation of tenants that name none, MiB. Default 1024.
  int64_t default_reservation_mib = 1024;
  // Least memory limit of a tenant, MiB. Default 768: with 512 OpenClaw is killed within 20 s of
  // its start every time. Less is for tenants that are not OpenClaw.
  int64_t min_memory_limit_mib = 768;
  // Names of the variables that a tenant's environment may have. Default: TZ, LANG, LC_ALL.
  std::vector<std::string> tenant_environment = {"TZ", "LANG", "LC_ALL"};
  // Seconds that a host's lease lasts, 10 to 3600. Default 60: so long after a host was last heard
  // its tenants that may fail over have stopped, and so long the controller may be away without
  // that. Less than 50 s is for tests (controller/failover/lease_book.h).
  int64_t lease_s = 60;
  // `binpack` or `spread`. Default binpack.
  std::string policy = "binpack";
};

// INVALID_ARGUMENT, with a sentence that names the setting, for values that a fleet cannot have.
absl::Status CheckSettings(const ControllerSettings& settings);

// NOT_FOUND when the folder has none; INVALID_ARGUMENT for a file that cannot be read or whose
// settings do not pass.
absl::StatusOr<ControllerSettings> ReadSettings(const std::string& data_dir);
// INVALID_ARGUMENT for settings that do not pass; then the file stays as it was.
absl::Status WriteSettings(const std::string& data_dir, const ControllerSettings& settings);

}  // namespace mtp
