#include "controller/state/fleet.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/base/version.h"
#include "controller/pki/host_certificate.h"

namespace mtp {
namespace {

v1::TenantState TransitionState(const std::string& kind) {
  if (kind == "provision" || kind == "start" || kind == "restart" || kind == "restore")
    return v1::TENANT_STATE_STARTING;
  if (kind == "update") return v1::TENANT_STATE_UPDATING;
  if (kind == "move") return v1::TENANT_STATE_MOVING;
  return v1::TENANT_STATE_UNSPECIFIED;
}

state::v1::AllocationsRecord AllocationsOf(const Tables& tables, const std::string& host) {
  auto row = tables.allocations.Get(host);
  return row.ok() ? row->value : state::v1::AllocationsRecord();
}

// Not a copy: it has all of the host's tenants.
const HostObservation& Of(const FleetObservation& observed, const std::string& host) {
  static const auto* const kNothing = new HostObservation();
  const auto it = observed.find(host);
  return it == observed.end() ? *kNothing : it->second;
}

// Ports there that are not as they were asked for: the agent gives a tenant another one when its
// own is taken on the host, and strangers have theirs.
std::vector<int32_t> PortsAside(const state::v1::AllocationsRecord& allocations,
                                const HostObservation& observed) {
  std::map<std::string, int32_t> asked;
  for (const auto& allocation : allocations.allocations()) {
    asked[allocation.tenant()] = allocation.port();
  }
  std::vector<int32_t> ports;
  for (const auto& [name, status] : observed.tenants) {
    if (status.port() == 0) continue;
    const auto found = asked.find(name);
    if (found == asked.end() || found->second != status.port()) ports.push_back(status.port());
  }
  return ports;
}

// Tenants that are there and have no place there, as after a recovery from an older copy of the
// state. Nothing is done to them.
std::vector<std::string> Strangers(const state::v1::AllocationsRecord& allocations,
                                   const HostObservation& observed) {
  std::set<std::string> known;
  for (const auto& allocation : allocations.allocations()) known.insert(allocation.tenant());
  std::vector<std::string> strangers;
  for (const auto& [name, status] : observed.tenants) {
    if (known.count(name) == 0) strangers.push_back(name);
  }
  return strangers;
}

// A certificate that has ended is why the host cannot be reached; one that was not renewed must not
// hide another message.
void WarnOfCertificate(const state::v1::HostRecord& host, absl::Time now, v1::HostStatus& status) {
  const std::string warning = CertificateWarning(host, now);
  const bool ended = now >= FromTimestamp(host.certificate_expire_time());
  const bool explains = ended && status.state() == v1::HOST_STATE_UNREACHABLE;
  if (!warning.empty() && (explains || status.message().empty())) status.set_message(warning);
}

}  // namespace

bool IsSandbox(const state::v1::AllocationsRecord::Allocation& allocation) {
  return absl::StartsWith(allocation.tenant(), kSandboxPrefix);
}

std::string Etag(int64_t revision) { return absl::StrCat(revision); }

absl::StatusOr<kv::Row<state::v1::OperationRecord>> HolderOf(const Tables& tables,
                                                             const std::string& tenant) {
  MTP_ASSIGN_OR_RETURN(const auto lock, tables.locks.Get("tenants/" + tenant));
  return tables.operations.Get(lock.value.operation());
}

std::string TransitionKind(const Tables& tables, const std::string& tenant) {
  const auto holder = HolderOf(tables, tenant);
  return holder.ok() ? holder->value.operation().kind() : "";
}

absl::StatusOr<std::vector<scheduler::HostView>> HostViews(const Tables& tables,
                                                           const FleetObservation& observed) {
  auto rows = tables.hosts.List();
  if (!rows.ok()) return rows.status();
  std::vector<scheduler::HostView> views;
  views.reserve(rows->size());
  for (const auto& row : *rows) {
    const HostObservation& seen = Of(observed, row.id);
    scheduler::HostView view;
    view.name = row.id;
    view.cordoned = row.value.cordoned();
    view.reachable = seen.connected;
    view.engine_up = seen.status.state() != v1::HOST_STATE_ENGINE_DOWN;
    view.guarded = seen.connected && seen.status.guarded();
    view.allocatable_mib =
        seen.connected ? seen.status.allocatable_mib() : row.value.allocatable_mib();
    view.memory_total_mib =
        seen.connected ? seen.status.memory_total_mib() : row.value.memory_total_mib();
    view.used_mib = seen.status.used_mib();
    view.memory_pressure_percent = seen.status.memory_pressure_percent();
    view.disk_free_mib = seen.connected ? seen.status.disk_free_mib() : -1;
    view.labels.insert(row.value.labels().begin(), row.value.labels().end());
    auto allocations = tables.allocations.Get(row.id);
    if (!allocations.ok() && !absl::IsNotFound(allocations.status())) return allocations.status();
    const state::v1::AllocationsRecord held =
        allocations.ok() ? std::move(allocations->value) : state::v1::AllocationsRecord();
    for (const auto& allocation : held.allocations()) {
      if (IsSandbox(allocation)) {
        view.SetAside(allocation.memory_mib());
        continue;
      }
      view.Take({allocation.tenant(), allocation.memory_mib(), allocation.anti_affinity()},
                allocation.port());
    }
    // The memory of strangers is not known, but a port serves only one.
    for (const int32_t port : PortsAside(held, seen)) {
      view.ports.push_back(port);
    }
    views.push_back(std::move(view));
  }
  return views;
}

v1::Host ToHost(const kv::Row<state::v1::HostRecord>& row,
                const state::v1::AllocationsRecord& allocations, const HostObservation& observed) {
  v1::Host host;
  host.set_name("hosts/" + row.id);
  host.set_agent_address(row.value.agent_address());
  host.set_cordoned(row.value.cordoned());
  *host.mutable_labels() = row.value.labels();
  *host.mutable_create_time() = row.value.create_time();
  host.set_etag(Etag(row.revision));
  if (row.value.has_certificate_expire_time()) {
    *host.mutable_certificate_expire_time() = row.value.certificate_expire_time();
  }
  v1::HostStatus& status = *host.mutable_status();
  status = observed.status;
  if (status.memory_total_mib() == 0) {
    status.set_memory_total_mib(row.value.memory_total_mib());
    status.set_allocatable_mib(row.value.allocatable_mib());
  }
  if (!observed.connected) {
    status.set_state(v1::HOST_STATE_UNREACHABLE);
    status.set_message(observed.error.empty() ? "not heard from since the controller started"
                                              : observed.error);
  }
  const std::vector<std::string> strangers = Strangers(allocations, observed);
  if (observed.connected && !strangers.empty() && status.message().empty()) {
    status.set_message(absl::StrCat(
        "has tenants that this controller does not know: ", absl::StrJoin(strangers, ", "),
        "; docs/recovery.md says what to do"));
  }
  int64_t reserved_mib = 0;
  int32_t tenants = 0;
  for (const auto& allocation : allocations.allocations()) {
    reserved_mib += allocation.memory_mib();
    if (!IsSandbox(allocation)) ++tenants;
  }
  status.set_reserved_mib(reserved_mib);
  status.set_tenants(tenants);
  if (observed.last_seen > absl::InfinitePast()) {
    *status.mutable_last_seen_time() = ToTimestamp(observed.last_seen);
  }
  return host;
}

v1::Tenant ToTenant(const kv::Row<state::v1::TenantRecord>& row, const std::string& transition_kind,
                    const HostObservation& observed) {
  const state::v1::TenantRecord& record = row.value;
  v1::Tenant tenant;
  tenant.set_name("tenants/" + row.id);
  *tenant.mutable_spec() = record.spec();
  *tenant.mutable_create_time() = record.create_time();
  tenant.set_etag(Etag(row.revision));
  v1::TenantStatus& status = *tenant.mutable_status();
  const auto seen = observed.tenants.find(row.id);
  if (seen != observed.tenants.end()) status = seen->second;
  status.set_host(record.host());
  status.set_epoch(record.epoch());
  if (status.port() == 0) status.set_port(record.port());
  status.set_container("mtp-" + row.id);
  status.set_memory_reservation_mib(record.resolved().memory_reservation_mib());
  if (status.memory_limit_mib() == 0)
    status.set_memory_limit_mib(record.resolved().memory_limit_mib());
  if (status.image().empty()) status.set_image(record.resolved().image());
  if (record.has_last_backup_time()) *status.mutable_last_backup_time() = record.last_backup_time();
  status.set_backup_failure(record.backup_failure());
  if (record.pinned()) status.set_pinned_image(record.resolved().image());
  if (record.has_secret_change_time()) {
    *status.mutable_secret_change_time() = record.secret_change_time();
  }
  if (record.has_last_proven_backup_time()) {
    *status.mutable_last_proven_backup_time() = record.last_proven_backup_time();
  }

  if (!observed.connected) {
    // The container probably runs on; only nobody can say so now.
    status.set_state(v1::TENANT_STATE_UNSPECIFIED);
    status.set_health(v1::TENANT_HEALTH_UNSPECIFIED);
    const auto held = observed.held.find(row.id);
    status.set_message(
        absl::StrCat("host ", record.host(), " is unreachable; last seen state is not current",
                     held == observed.held.end() ? "" : absl::StrCat("; ", held->second)));
  } else if (seen == observed.tenants.end()) {
    status.set_health(v1::TENANT_HEALTH_DOWN);
    status.set_state(record.spec().run_policy() == v1::RUN_POLICY_STOP ? v1::TENANT_STATE_STOPPED
                                                                       : v1::TENANT_STATE_FAILED);
    if (status.message().empty()) status.set_message("no container on the host");
  }
  const v1::TenantState transition = TransitionState(transition_kind);
  if (transition != v1::TENANT_STATE_UNSPECIFIED && observed.connected) {
    status.set_state(transition);
    if (status.health() == v1::TENANT_HEALTH_DOWN) {
      status.set_health(v1::TENANT_HEALTH_STARTING);
      status.clear_message();
    }
  }
  return tenant;
}

absl::StatusOr<v1::FleetStatus> ToFleetStatus(const Tables& tables,
                                              const FleetObservation& observed, absl::Time now,
                                              const std::string& tenant) {
  v1::FleetStatus fleet;
  *fleet.mutable_time() = ToTimestamp(now);
  fleet.set_controller_version(kVersion);
  std::string only_host;
  if (!tenant.empty()) {
    auto row = tables.tenants.Get(tenant);
    if (absl::IsNotFound(row.status())) {
      return absl::NotFoundError(absl::StrCat("there is no tenant \"", tenant, "\""));
    }
    if (!row.ok()) return row.status();
    only_host = row->value.host();
    *fleet.add_tenants() = ToTenant(*row, TransitionKind(tables, tenant), Of(observed, only_host));
  } else {
    auto rows = tables.tenants.List();
    if (!rows.ok()) return rows.status();
    for (const auto& row : *rows) {
      *fleet.add_tenants() =
          ToTenant(row, TransitionKind(tables, row.id), Of(observed, row.value.host()));
    }
  }
  auto hosts = tables.hosts.List();
  if (!hosts.ok()) return hosts.status();
  for (const auto& row : *hosts) {
    if (!only_host.empty() && row.id != only_host) continue;
    v1::Host& host = *fleet.add_hosts();
    host = ToHost(row, AllocationsOf(tables, row.id), Of(observed, row.id));
    WarnOfCertificate(row.value, now, *host.mutable_status());
  }
  return fleet;
}

}  // namespace mtp
