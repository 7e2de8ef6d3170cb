// What can be asked of tenants: checks, decides, and creates the operation. Handlers call nothing
// else.
#pragma once

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/names.h"
#include "common/base/random.h"
#include "common/base/secret_box.h"
#include "controller/operations/engine.h"
#include "controller/scheduler/scheduler.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"
#include "mtp/v1/fleet.pb.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

// A tenant that is to be placed.
struct Newcomer {
  TenantName name;
  // As asked for. It is meant to run, whatever its run policy says.
  v1::TenantSpec spec;
  // An empty gateway token means a new one.
  v1::TenantSecrets secrets;
  // Only this host (short name); empty means the spec's.
  std::string host;
  // What to do with data that a host keeps under that name; unset when that decides nothing.
  std::optional<v1::KeptData> kept_data;
};

// Thread-safe. Errors are those that tenant.proto names. The arguments must outlive it.
class Tenants {
 public:
  struct Options {
    // Image of tenants that name none. Default: the public image's main tag.
    std::string default_image = "ghcr.io/openclaw/openclaw:main";
    // Reservation of tenants that name none; an idle OpenClaw measures 790-880 MiB. Default 1024.
    int64_t default_reservation_mib = 1024;
    // Least memory limit of a tenant, MiB; what OpenClaw needs is up to the settings. Default 16.
    int64_t min_memory_limit_mib = 16;
    // Names of the variables that a tenant's environment may have. Default: time zone and language.
    std::vector<std::string> environment_names = {"TZ", "LANG", "LC_ALL"};
    scheduler::Policy policy = scheduler::Policy::kBinpack;
    // Short name of the repository for the final backup of a tenant that is removed; empty while
    // there is none. Null means none.
    std::function<absl::StatusOr<std::string>(const std::string& tenant)> removal_repository;
  };

  Tenants(kv::Store* store, operations::Engine* engine, const Observations* observations,
          const SecretBox* box, const Clock* clock, Random* random, Options options);

  // `caller` is the identity's name, `operator/alice`; request ids are the caller's own.
  absl::StatusOr<v1::ProvisionTenantResponse> Provision(const std::string& caller,
                                                        const v1::ProvisionTenantRequest& request);
  absl::StatusOr<v1::Operation> Remove(const std::string& caller,
                                       const v1::RemoveTenantRequest& request);
  absl::StatusOr<v1::Operation> Update(const std::string& caller,
                                       const v1::UpdateTenantRequest& request);
  absl::StatusOr<v1::Operation> Start(const std::string& caller,
                                      const v1::StartTenantRequest& request);
  absl::StatusOr<v1::Operation> Stop(const std::string& caller,
                                     const v1::StopTenantRequest& request);
  absl::StatusOr<v1::Operation> Restart(const std::string& caller,
                                        const v1::RestartTenantRequest& request);

  // Decides where a new tenant goes and adds to `txn` all that makes it exist there: record, next
  // epoch, reservation, claims, sealed secrets. Without `txn` it only decides; a bot is then not
  // needed. ALREADY_EXISTS when name, env prefix or bot are taken, NOT_FOUND for an unknown host,
  // RESOURCE_EXHAUSTED when no host has room, FAILED_PRECONDITION when there is no host or kept
  // data is in the way. ABORTED, here or by the commit of `txn`, when the world changed meanwhile:
  // call it again.
  absl::StatusOr<v1::PlacementDecision> Place(const Newcomer& newcomer, kv::Txn* txn);

  // Decides where a placed tenant goes instead, other than its host, and adds to `txn` all that
  // makes it be there, meant to run, with the next epoch; it reserves on both hosts then
  // (MoveClaims). Without `txn` it only decides. `host`: only this one; empty means any. Errors as
  // Place.
  absl::StatusOr<v1::PlacementDecision> PlaceElsewhere(
      const kv::Row<state::v1::TenantRecord>& tenant, const std::string& host, kv::Txn* txn);

  // The spec with the fleet's defaults filled in.
  v1::TenantSpec Resolved(const v1::TenantSpec& spec) const;

  absl::StatusOr<v1::Capacity> Capacity(int64_t reservation_mib) const;

 private:
  // NOT_FOUND with where to look.
  absl::StatusOr<kv::Row<state::v1::TenantRecord>> Find(const std::string& resource) const;
  // ABORTED when `etag` is given and another one now.
  absl::StatusOr<kv::Row<state::v1::TenantRecord>> FindUnchanged(const std::string& resource,
                                                                 const std::string& etag) const;
  // One try of Update on the tenant as it was read; ABORTED when the world changed meanwhile.
  absl::StatusOr<v1::Operation> TryUpdate(const std::string& caller,
                                          const kv::Row<state::v1::TenantRecord>& row,
                                          const v1::UpdateTenantRequest& request,
                                          const std::string& request_hash);
  // The same for what takes a new container (reconfigure.cc).
  absl::StatusOr<v1::Operation> TryReconfigure(const std::string& caller,
                                               const kv::Row<state::v1::TenantRecord>& row,
                                               const v1::UpdateTenantRequest& request,
                                               const std::string& request_hash);
  absl::StatusOr<v1::ProvisionTenantResponse> TryProvision(
      const std::string& caller, const TenantName& name, const v1::ProvisionTenantRequest& request,
      const std::string& request_hash);
  absl::StatusOr<scheduler::Decision> Decide(const Newcomer& newcomer,
                                             const v1::TenantSpec& resolved) const;
  absl::Status CheckFree(const TenantName& name, const std::string& bot_fingerprint) const;
  // The host that keeps data of that name, when the request wants it; FAILED_PRECONDITION when the
  // request is silent.
  absl::StatusOr<std::string> HostOfKeptData(const TenantName& name, v1::KeptData choice) const;
  absl::StatusOr<std::string> FleetKey();
  absl::StatusOr<v1::Operation> CreateRunOperation(const std::string& caller,
                                                   const std::string& kind,
                                                   const std::string& resource,
                                                   const std::string& request_id,
                                                   const std::string& request_hash,
                                                   bool validate_only, v1::RunPolicy policy);

  kv::Store* const store_;
  const Tables tables_;
  operations::Engine* const engine_;
  const Observations* const observations_;
  const SecretBox* const box_;
  const Clock* const clock_;
  Random* const random_;
  const Options options_;
  // Decisions one after another: the transaction would refuse a stale one anyway, this only saves
  // the repetition.
  absl::Mutex placing_;
};

}  // namespace mtp
