// Tenants::Provision: from a request to a placed tenant and its operation.
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/kv/while_aborted.h"
#include "controller/scheduler/filters.h"
#include "controller/state/fleet.h"
#include "controller/tenants/claims.h"
#include "controller/tenants/kinds.h"
#include "controller/tenants/request_hash.h"
#include "controller/tenants/secrets.h"
#include "controller/tenants/tenants.h"
#include "controller/tenants/validation.h"

namespace mtp {
namespace {

constexpr char kFleetKeyKey[] = "/meta/fleet-key";

v1::PlacementDecision ToProto(const scheduler::Decision& decision) {
  v1::PlacementDecision proto;
  proto.set_host(decision.host.value_or(""));
  proto.set_reason(decision.reason);
  for (const scheduler::Rejection& rejection : decision.rejections) {
    auto* added = proto.add_rejections();
    added->set_host(rejection.host);
    added->set_reason(rejection.reason);
  }
  return proto;
}

absl::Status NoRoom(const TenantName& name, const scheduler::Request& request,
                    const scheduler::Decision& decision) {
  if (decision.rejections.empty()) {
    return absl::FailedPreconditionError(
        "no host has joined the fleet yet; begin with `mtp-cli host token NAME`");
  }
  std::string message = absl::StrCat("no host has room for ", name.value(), " (",
                                     scheduler::Mib(request.memory_mib), ")");
  for (const scheduler::Rejection& rejection : decision.rejections) {
    absl::StrAppend(&message, "\n  ", rejection.host, ": ", rejection.reason);
  }
  return absl::ResourceExhaustedError(message);
}

scheduler::Request ToSchedulerRequest(const TenantName& name, const v1::TenantSpec& resolved,
                                      const std::string& host, scheduler::Policy policy) {
  scheduler::Request request;
  request.tenant = name.value();
  request.memory_mib = resolved.memory_reservation_mib();
  request.host = host;
  request.host_labels.insert(resolved.host_labels().begin(), resolved.host_labels().end());
  request.anti_affinity = AntiAffinityOf(resolved);
  request.needs_guard = resolved.failover_policy() == v1::FAILOVER_POLICY_FAILOVER;
  request.policy = policy;
  return request;
}

}  // namespace

absl::StatusOr<v1::ProvisionTenantResponse> Tenants::Provision(
    const std::string& caller, const v1::ProvisionTenantRequest& request) {
  MTP_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  const std::string hash = RequestHash(request);
  auto earlier = engine_->FindRequest(caller, request.request_id(), hash);
  if (earlier.ok()) {
    v1::ProvisionTenantResponse response;
    response.mutable_placement()->set_host(earlier->host());
    response.mutable_placement()->set_reason("placed by the first try of this request");
    *response.mutable_operation() = *std::move(earlier);
    return response;
  }
  if (!absl::IsNotFound(earlier.status())) return earlier.status();
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::Parse(request.tenant_id()));
  MTP_RETURN_IF_ERROR(CheckSpec(request.spec()));
  MTP_RETURN_IF_ERROR(CheckLimit(Resolved(request.spec()), options_.min_memory_limit_mib));
  MTP_RETURN_IF_ERROR(
      CheckAllowedEnvironment(request.spec(), v1::TenantSpec(), options_.environment_names));
  MTP_RETURN_IF_ERROR(CheckSecrets(request.secrets(), /*required=*/!request.validate_only()));
  absl::MutexLock lock(&placing_);
  return kv::WhileAborted([&] { return TryProvision(caller, name, request, hash); });
}

absl::StatusOr<v1::ProvisionTenantResponse> Tenants::TryProvision(
    const std::string& caller, const TenantName& name, const v1::ProvisionTenantRequest& request,
    const std::string& request_hash) {
  Newcomer newcomer{name, request.spec(), request.secrets(), "", request.kept_data()};
  newcomer.secrets.clear_gateway_token();
  kv::Txn txn;
  v1::ProvisionTenantResponse response;
  MTP_ASSIGN_OR_RETURN(*response.mutable_placement(),
                       Place(newcomer, request.validate_only() ? nullptr : &txn));
  if (request.validate_only()) return response;

  operations::NewOperation operation;
  operation.kind = "provision";
  operation.target = name.Resource();
  operation.host = response.placement().host();
  operation.created_by = caller;
  operation.request_id = request.request_id();
  operation.request_hash = request_hash;
  operation.facts[kKeptDataFact] = absl::StrCat(static_cast<int>(request.kept_data()));
  operation.locks.push_back(TenantLock(name.value()));
  MTP_ASSIGN_OR_RETURN(*response.mutable_operation(), engine_->Create(operation, std::move(txn)));
  return response;
}

absl::StatusOr<v1::PlacementDecision> Tenants::Place(const Newcomer& newcomer, kv::Txn* txn) {
  const TenantName& name = newcomer.name;
  std::string fingerprint;
  if (!newcomer.secrets.telegram_token().empty()) {
    MTP_ASSIGN_OR_RETURN(const std::string key, FleetKey());
    fingerprint = BotFingerprint(key, newcomer.secrets.telegram_token());
  }
  MTP_RETURN_IF_ERROR(CheckFree(name, fingerprint));
  v1::TenantSpec spec = newcomer.spec;
  spec.set_run_policy(v1::RUN_POLICY_RUN);
  const v1::TenantSpec resolved = Resolved(spec);
  MTP_ASSIGN_OR_RETURN(const scheduler::Decision decision, Decide(newcomer, resolved));
  if (txn == nullptr) return ToProto(decision);

  MTP_ASSIGN_OR_RETURN(const auto host, tables_.hosts.Get(*decision.host));
  state::v1::TenantRecord tenant;
  tenant.set_name(name.value());
  *tenant.mutable_spec() = spec;
  *tenant.mutable_resolved() = resolved;
  tenant.set_host(*decision.host);
  tenant.set_epoch(NextEpoch(tables_, name.value()));
  tenant.set_port(decision.port);
  tenant.set_bot_fingerprint(fingerprint);
  tenant.set_env_prefix(name.EnvPrefix());
  *tenant.mutable_create_time() = ToTimestamp(clock_->Now());
  v1::TenantSecrets secrets = newcomer.secrets;
  if (secrets.gateway_token().empty()) {
    secrets.set_gateway_token(absl::BytesToHexString(random_->Bytes(32)));
  }
  MTP_RETURN_IF_ERROR(
      TakeClaims(tables_, tenant, host, name.EnvPrefixKey(),
                 SealTenantSecrets(*box_, secrets, tables_.secrets.Key(name.value())), *txn));
  return ToProto(decision);
}

absl::StatusOr<v1::PlacementDecision> Tenants::PlaceElsewhere(
    const kv::Row<state::v1::TenantRecord>& tenant, const std::string& host, kv::Txn* txn) {
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::Parse(tenant.id));
  const v1::TenantSpec& resolved = tenant.value.resolved();
  const Newcomer newcomer{name, tenant.value.spec(), {}, host, {}};
  MTP_ASSIGN_OR_RETURN(const scheduler::Decision decision, Decide(newcomer, resolved));
  if (*decision.host == tenant.value.host()) {
    return absl::FailedPreconditionError(
        absl::StrCat("tenant ", tenant.id, " is on host ", *decision.host, " already"));
  }
  if (txn == nullptr) return ToProto(decision);
  MTP_ASSIGN_OR_RETURN(const auto row, tables_.hosts.Get(*decision.host));
  state::v1::TenantRecord after = tenant.value;
  after.set_host(*decision.host);
  after.set_port(decision.port);
  after.set_epoch(NextEpoch(tables_, tenant.id));
  after.set_leased(false);
  // The host that is asked for now is where it belongs.
  if (!host.empty() && !after.spec().host().empty()) {
    after.mutable_spec()->set_host(host);
    after.mutable_resolved()->set_host(host);
  }
  after.mutable_spec()->set_run_policy(v1::RUN_POLICY_RUN);
  after.mutable_resolved()->set_run_policy(v1::RUN_POLICY_RUN);
  MTP_RETURN_IF_ERROR(MoveClaims(tables_, tenant, after, row, *txn));
  return ToProto(decision);
}

v1::TenantSpec Tenants::Resolved(const v1::TenantSpec& spec) const {
  return Resolve(spec, options_.default_reservation_mib, options_.default_image);
}

absl::StatusOr<scheduler::Decision> Tenants::Decide(const Newcomer& newcomer,
                                                    const v1::TenantSpec& resolved) const {
  const TenantName& name = newcomer.name;
  std::string pinned = newcomer.host.empty() ? resolved.host() : newcomer.host;
  if (newcomer.kept_data.has_value()) {
    MTP_ASSIGN_OR_RETURN(const std::string kept_on, HostOfKeptData(name, *newcomer.kept_data));
    if (!kept_on.empty()) {
      if (!pinned.empty() && pinned != kept_on) {
        return absl::FailedPreconditionError(absl::StrCat("the kept data of ", name.value(),
                                                          " is on host ", kept_on, ", not on ",
                                                          pinned, "; leave --host out"));
      }
      pinned = kept_on;
    }
  }
  if (!pinned.empty() && !tables_.hosts.Get(pinned).ok()) {
    return absl::NotFoundError(
        absl::StrCat("there is no host \"", pinned, "\"; `mtp-cli host list` shows all"));
  }
  MTP_ASSIGN_OR_RETURN(const auto views, HostViews(tables_, observations_->Get()));
  const scheduler::Request wanted = ToSchedulerRequest(name, resolved, pinned, options_.policy);
  scheduler::Decision decision = scheduler::Place(views, wanted);
  if (!decision.host) return NoRoom(name, wanted, decision);
  return decision;
}

absl::Status Tenants::CheckFree(const TenantName& name, const std::string& bot_fingerprint) const {
  if (const auto row = tables_.tenants.Get(name.value()); row.ok()) {
    const std::string kind = TransitionKind(tables_, name.value());
    return absl::AlreadyExistsError(
        absl::StrCat("there is already a tenant \"", name.value(), "\" on host ", row->value.host(),
                     kind.empty() ? "" : absl::StrCat(" (", kind, " is under way)")));
  }
  if (const auto row = tables_.env_prefixes.Get(name.EnvPrefixKey()); row.ok()) {
    return absl::AlreadyExistsError(
        absl::StrCat("\"", name.value(), "\" would have the same env prefix (", name.EnvPrefixKey(),
                     ") as tenant \"", row->value.tenant(), "\"; choose another name"));
  }
  if (bot_fingerprint.empty()) return absl::OkStatus();
  return CheckBotFree(tables_, name.value(), bot_fingerprint);
}

absl::StatusOr<std::string> Tenants::HostOfKeptData(const TenantName& name,
                                                    v1::KeptData choice) const {
  std::vector<std::string> hosts;
  for (const auto& [host, seen] : observations_->Get()) {
    if (seen.kept_data.count(name.value()) > 0) hosts.push_back(host);
  }
  if (hosts.empty()) {
    if (choice != v1::KEPT_DATA_USE) return std::string();
    return absl::FailedPreconditionError(
        absl::StrCat("there is no kept data of \"", name.value(), "\" on any connected host"));
  }
  if (choice == v1::KEPT_DATA_UNSPECIFIED) {
    return absl::FailedPreconditionError(absl::StrCat(
        "host ", absl::StrJoin(hosts, ", "), " has data that an earlier tenant \"", name.value(),
        "\" left. Add --use-kept-data to go on with it, or --set-aside-kept-data to rename it and "
        "begin empty"));
  }
  if (choice == v1::KEPT_DATA_USE && hosts.size() > 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("data of \"", name.value(), "\" was kept on several hosts (",
                     absl::StrJoin(hosts, ", "), "); rename all but one folder under data/ there"));
  }
  return hosts.front();
}

// The key of fingerprints, sealed in the store so that a copy of the store alone does not tell
// whose bots these are.
absl::StatusOr<std::string> Tenants::FleetKey() {
  auto entry = store_->Get(kFleetKeyKey);
  if (absl::IsNotFound(entry.status())) {
    const SecretString fresh(random_->Bytes(32));
    kv::Txn txn;
    txn.RequireAbsent(kFleetKeyKey);
    txn.Put(kFleetKeyKey, box_->Seal(fresh.Reveal(), kFleetKeyKey));
    MTP_RETURN_IF_ERROR(store_->Commit(txn).status());
    entry = store_->Get(kFleetKeyKey);
  }
  if (!entry.ok()) return entry.status();
  MTP_ASSIGN_OR_RETURN(const SecretString key, box_->Open(entry->value, kFleetKeyKey));
  return std::string(key.Reveal());
}

absl::StatusOr<v1::Capacity> Tenants::Capacity(int64_t reservation_mib) const {
  if (reservation_mib < 0)
    return absl::InvalidArgumentError("memory reservation: must not be negative");
  if (reservation_mib == 0) reservation_mib = options_.default_reservation_mib;
  MTP_ASSIGN_OR_RETURN(const auto views, HostViews(tables_, observations_->Get()));
  const scheduler::CapacityReport report =
      scheduler::Capacity(views, reservation_mib, options_.policy);
  v1::Capacity capacity;
  capacity.set_more_tenants(report.more_tenants);
  capacity.set_memory_reservation_mib(reservation_mib);
  for (const scheduler::HostRoom& room : report.hosts) {
    auto* host = capacity.add_hosts();
    host->set_host(room.host);
    host->set_more_tenants(room.more_tenants);
    host->set_free_mib(room.free_mib);
    host->set_reason(room.reason);
  }
  capacity.set_survives_largest_host_loss(report.survives_largest_host_loss);
  capacity.set_largest_host(report.largest_host);
  for (const std::string& tenant : report.stranded_tenants) capacity.add_stranded_tenants(tenant);
  if (report.hosts.empty()) {
    capacity.set_advice("No host has joined yet; begin with `mtp-cli host token NAME`.");
  } else if (report.more_tenants == 0) {
    capacity.set_advice("The fleet is full: add a host now.");
  } else if (!report.survives_largest_host_loss) {
    capacity.set_advice(absl::StrCat("The loss of host ", report.largest_host, " would leave ",
                                     report.stranded_tenants.size(),
                                     " tenants without room: the next host is due."));
  } else if (report.more_tenants <= 3) {
    capacity.set_advice("Room for few more tenants: plan the next host.");
  } else {
    capacity.set_advice("There is room.");
  }
  return capacity;
}

}  // namespace mtp
