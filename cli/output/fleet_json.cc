#include "cli/output/fleet_view.h"
#include "cli/output/names.h"
#include "cli/output/text.h"
#include "cli/output/values.h"

namespace mtp::cli {
namespace {

Json AdminJson(const v1::Host& host, absl::Time now) {
  const v1::AdminStatus& admin = host.status().admin();
  const std::string name = ShortName(host.name());
  return {
      {"name", "admins/" + name},
      {"host", name},
      {"container", admin.container()},
      {"port", admin.port()},
      {"status", AdminState(host)},
      {"health", AdminHealth(host)},
      {"uptime_s", UptimeSeconds(admin.has_start_time(), admin.start_time(), now)},
      {"memory_mib", admin.memory_mib()},
      {"memory_limit_mib", admin.memory_limit_mib()},
      {"image", admin.image()},
  };
}

}  // namespace

Json TenantJson(const v1::Tenant& tenant, absl::Time now) {
  const v1::TenantStatus& status = tenant.status();
  return {
      {"name", ShortName(tenant.name())},
      {"host", status.host()},
      {"container", status.container()},
      {"port", status.port()},
      {"status", StateName(status.state())},
      {"health", HealthName(status.health())},
      {"uptime_s", UptimeSeconds(status.has_start_time(), status.start_time(), now)},
      {"memory_mib", status.memory_mib()},
      {"memory_limit_mib", status.memory_limit_mib()},
      {"image", status.image()},
      {"last_backup", TimeJson(status.has_last_backup_time(), status.last_backup_time())},
      {"memory_reservation_mib", status.memory_reservation_mib()},
      {"image_id", status.image_id()},
      {"labels", LabelsJson(tenant.spec().labels())},
      {"message", status.message()},
      {"restart_count", status.restart_count()},
      {"epoch", status.epoch()},
      {"created", TimeJson(tenant.has_create_time(), tenant.create_time())},
      {"observed", TimeJson(status.has_observe_time(), status.observe_time())},
      {"backup_failure",
       status.backup_failure().empty() ? Json(nullptr) : Json(status.backup_failure())},
      {"oom_kills", status.oom_kills()},
      {"parked", status.parked()},
      {"pinned_image", status.pinned_image().empty() ? Json(nullptr) : Json(status.pinned_image())},
      {"proven_at",
       TimeJson(status.has_last_proven_backup_time(), status.last_proven_backup_time())},
      {"failover_policy", FailoverName(tenant.spec().failover_policy())},
  };
}

Json HostJson(const v1::Host& host) {
  const v1::HostStatus& status = host.status();
  return {
      {"name", ShortName(host.name())},
      {"state", StateName(status.state())},
      {"memory_total_mib", status.memory_total_mib()},
      {"allocatable_mib", status.allocatable_mib()},
      {"reserved_mib", status.reserved_mib()},
      {"used_mib", status.used_mib()},
      {"tenants", status.tenants()},
      {"agent_version", status.agent_version()},
      {"cordoned", host.cordoned()},
      {"labels", LabelsJson(host.labels())},
      {"agent_address", host.agent_address()},
      {"engine_version", status.engine_version()},
      {"cpus", status.cpus()},
      {"memory_pressure_percent", status.memory_pressure_percent()},
      {"disk_free_mib", status.disk_free_mib()},
      {"message", status.message()},
      {"last_seen", TimeJson(status.has_last_seen_time(), status.last_seen_time())},
      {"joined", TimeJson(host.has_create_time(), host.create_time())},
      {"certificate_expires",
       TimeJson(host.has_certificate_expire_time(), host.certificate_expire_time())},
      {"guarded", status.guarded()},
  };
}

Json FleetJson(const v1::FleetStatus& fleet, absl::Time now) {
  Json hosts = Json::array();
  Json admins = Json::array();
  Json tenants = Json::array();
  for (const v1::Host& host : fleet.hosts()) {
    hosts.push_back(HostJson(host));
    if (host.status().admin().enabled()) admins.push_back(AdminJson(host, now));
  }
  for (const v1::Tenant& tenant : fleet.tenants()) tenants.push_back(TenantJson(tenant, now));
  return {
      {"schema", kStatusSchema},
      {"fleet", fleet.fleet()},
      {"time", TimeJson(fleet.has_time(), fleet.time())},
      {"controller_version", fleet.controller_version()},
      {"hosts", std::move(hosts)},
      {"tenants", std::move(tenants)},
      {"admins", std::move(admins)},
  };
}

}  // namespace mtp::cli
