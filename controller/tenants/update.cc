// Tenants::Update: other labels, another reservation, memory limit or failover policy of a placed
// tenant. What takes a new container is in reconfigure.cc.
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/kv/while_aborted.h"
#include "controller/scheduler/filters.h"
#include "controller/state/fleet.h"
#include "controller/tenants/claims.h"
#include "controller/tenants/kinds.h"
#include "controller/tenants/reconfigure.h"
#include "controller/tenants/request_hash.h"
#include "controller/tenants/tenants.h"
#include "controller/tenants/validation.h"

namespace mtp {
namespace {

// Which settings are asked for.
struct Wanted {
  bool reservation = false;
  bool limit = false;
  bool labels = false;
  bool failover = false;
  // Secrets, environment, port.
  bool container = false;
};

absl::StatusOr<Wanted> ReadMask(const google::protobuf::FieldMask& mask) {
  Wanted wanted;
  for (const std::string& path : mask.paths()) {
    if (path == "memory_reservation_mib") {
      wanted.reservation = true;
    } else if (path == "memory_limit_mib") {
      wanted.limit = true;
    } else if (path == "labels") {
      wanted.labels = true;
    } else if (path == "failover_policy") {
      wanted.failover = true;
    } else if (TakesNewContainer(path)) {
      wanted.container = true;
    } else {
      return absl::InvalidArgumentError(
          "update mask: only memory_reservation_mib, memory_limit_mib, labels, failover_policy, "
          "environment, port_unpublished and the secrets can be changed; another image is an "
          "update's");
    }
  }
  if (mask.paths().empty()) {
    return absl::InvalidArgumentError(
        "update mask: name at least one of memory_reservation_mib, memory_limit_mib, labels, "
        "failover_policy, environment, port_unpublished and the secrets");
  }
  // Each is an operation of its own: its steps are part of the stored state.
  const bool sizes = wanted.reservation || wanted.limit || wanted.labels;
  if (wanted.failover && (sizes || wanted.container)) {
    return absl::InvalidArgumentError(
        "update mask: failover_policy is changed by itself; change the rest in another call");
  }
  if (wanted.container && sizes) {
    return absl::InvalidArgumentError(
        "update mask: secrets, environment and port take a new container, memory and labels do "
        "not; change them in two calls");
  }
  return wanted;
}

// What was asked for before, with what is asked for now.
v1::TenantSpec NewSpec(const v1::TenantSpec& before, const v1::TenantSpec& asked,
                       const Wanted& wanted) {
  v1::TenantSpec spec = before;
  if (wanted.reservation) spec.set_memory_reservation_mib(asked.memory_reservation_mib());
  if (wanted.limit) spec.set_memory_limit_mib(asked.memory_limit_mib());
  if (wanted.labels) *spec.mutable_labels() = asked.labels();
  if (wanted.failover) spec.set_failover_policy(asked.failover_policy());
  return spec;
}

// The same with defaults filled in: only for what is asked for. What else was resolved once stays,
// whatever the defaults are today.
v1::TenantSpec NewResolved(const v1::TenantSpec& before, const v1::TenantSpec& spec,
                           const v1::TenantSpec& with_defaults, const Wanted& wanted) {
  v1::TenantSpec resolved = before;
  if (wanted.labels) *resolved.mutable_labels() = spec.labels();
  if (wanted.failover) resolved.set_failover_policy(spec.failover_policy());
  if (wanted.reservation) {
    resolved.set_memory_reservation_mib(with_defaults.memory_reservation_mib());
  }
  if (wanted.limit || (wanted.reservation && spec.memory_limit_mib() == 0)) {
    v1::TenantSpec given = spec;
    given.set_memory_reservation_mib(resolved.memory_reservation_mib());
    resolved.set_memory_limit_mib(
        Resolve(given, resolved.memory_reservation_mib(), resolved.image()).memory_limit_mib());
  }
  return resolved;
}

// Others on the host with the value that the tenant would have now.
absl::Status CheckAntiAffinity(const state::v1::AllocationsRecord& allocations,
                               const std::string& tenant, const std::string& anti_affinity) {
  if (anti_affinity.empty()) return absl::OkStatus();
  for (const auto& other : allocations.allocations()) {
    if (other.tenant() == tenant || other.anti_affinity() != anti_affinity) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("tenant ", other.tenant(), " on the same host has ", anti_affinity,
                     " too, and both are to be on different hosts"));
  }
  return absl::OkStatus();
}

absl::Status CheckRoom(const std::vector<scheduler::HostView>& views, const std::string& tenant,
                       const std::string& host, int64_t more_mib) {
  if (more_mib <= 0) return absl::OkStatus();
  const auto view = std::find_if(views.begin(), views.end(),
                                 [&](const scheduler::HostView& v) { return v.name == host; });
  if (view == views.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat("host ", host, " of tenant ", tenant, " is not in the fleet"));
  }
  if (more_mib <= view->FreeMib()) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("host ", host, " has no room for ", scheduler::Mib(more_mib), " more of ",
                   tenant, ": ", scheduler::Mib(std::max<int64_t>(0, view->FreeMib())), " of ",
                   scheduler::Mib(view->allocatable_mib), " are free"));
}

}  // namespace

absl::StatusOr<v1::Operation> Tenants::Update(const std::string& caller,
                                              const v1::UpdateTenantRequest& request) {
  MTP_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  const std::string hash = RequestHash(request);
  auto earlier = engine_->FindRequest(caller, request.request_id(), hash);
  if (!absl::IsNotFound(earlier.status())) return earlier;
  MTP_ASSIGN_OR_RETURN(const Wanted wanted, ReadMask(request.update_mask()));
  absl::MutexLock lock(&placing_);
  return kv::WhileAborted([&]() -> absl::StatusOr<v1::Operation> {
    MTP_ASSIGN_OR_RETURN(const auto row, FindUnchanged(request.name(), request.etag()));
    return wanted.container ? TryReconfigure(caller, row, request, hash)
                            : TryUpdate(caller, row, request, hash);
  });
}

absl::StatusOr<v1::Operation> Tenants::TryUpdate(const std::string& caller,
                                                 const kv::Row<state::v1::TenantRecord>& row,
                                                 const v1::UpdateTenantRequest& request,
                                                 const std::string& request_hash) {
  MTP_ASSIGN_OR_RETURN(const Wanted wanted, ReadMask(request.update_mask()));
  state::v1::TenantRecord record = row.value;
  *record.mutable_spec() = NewSpec(row.value.spec(), request.spec(), wanted);
  MTP_RETURN_IF_ERROR(CheckSpec(record.spec()));
  *record.mutable_resolved() =
      NewResolved(row.value.resolved(), record.spec(), Resolved(record.spec()), wanted);
  if (wanted.reservation || wanted.limit) {
    // A limit from before that rule is no reason to refuse another reservation.
    MTP_RETURN_IF_ERROR(
        CheckLimit(record.resolved(), wanted.limit ? options_.min_memory_limit_mib : 0));
  }
  auto allocations = tables_.allocations.Get(record.host());
  if (!allocations.ok()) return allocations.status();
  if (wanted.labels) {
    MTP_RETURN_IF_ERROR(
        CheckAntiAffinity(allocations->value, row.id, AntiAffinityOf(record.spec())));
  }
  const int64_t before_mib = row.value.resolved().memory_reservation_mib();
  const int64_t after_mib = record.resolved().memory_reservation_mib();
  MTP_ASSIGN_OR_RETURN(const auto views, HostViews(tables_, observations_->Get()));
  MTP_RETURN_IF_ERROR(CheckRoom(views, row.id, record.host(), after_mib - before_mib));

  operations::NewOperation operation;
  operation.kind = wanted.failover ? "set-failover" : "set";
  operation.target = request.name();
  operation.host = record.host();
  if (request.validate_only()) {
    v1::Operation preview;
    preview.set_kind(operation.kind);
    preview.set_target(operation.target);
    preview.set_host(operation.host);
    return preview;
  }
  operation.input = row.value.SerializeAsString();
  operation.created_by = caller;
  operation.request_id = request.request_id();
  operation.request_hash = request_hash;
  operation.locks.push_back(TenantLock(row.id));
  kv::Txn txn;
  txn.RequireRevision(tables_.tenants.Key(row.id), row.revision);
  tables_.tenants.Put(txn, row.id, record);
  MTP_RETURN_IF_ERROR(ChangeReservation(tables_, record, std::max(before_mib, after_mib), txn));
  return engine_->Create(operation, std::move(txn));
}

}  // namespace mtp
