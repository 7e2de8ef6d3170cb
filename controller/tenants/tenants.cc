#include "controller/tenants/tenants.h"

#include <absl/strings/str_cat.h>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/kv/while_aborted.h"
#include "controller/state/fleet.h"
#include "controller/tenants/claims.h"
#include "controller/tenants/kinds.h"
#include "controller/tenants/request_hash.h"
#include "controller/tenants/validation.h"

namespace mtp {
Tenants::Tenants(kv::Store* store, operations::Engine* engine, const Observations* observations,
                 const SecretBox* box, const Clock* clock, Random* random, Options options)
    : store_(store),
      tables_(store),
      engine_(engine),
      observations_(observations),
      box_(box),
      clock_(clock),
      random_(random),
      options_(std::move(options)) {}

absl::StatusOr<kv::Row<state::v1::TenantRecord>> Tenants::Find(const std::string& resource) const {
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::ParseResource(resource));
  auto row = tables_.tenants.Get(name.value());
  if (absl::IsNotFound(row.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no tenant \"", name.value(), "\"; `mtp-cli status` lists all"));
  }
  return row;
}

absl::StatusOr<kv::Row<state::v1::TenantRecord>> Tenants::FindUnchanged(
    const std::string& resource, const std::string& etag) const {
  auto row = Find(resource);
  if (row.ok() && !etag.empty() && etag != Etag(row->revision)) {
    return absl::AbortedError(
        absl::StrCat("tenant ", row->id, " was changed meanwhile; look again"));
  }
  return row;
}

absl::StatusOr<v1::Operation> Tenants::Remove(const std::string& caller,
                                              const v1::RemoveTenantRequest& request) {
  MTP_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  const std::string hash = RequestHash(request);
  auto earlier = engine_->FindRequest(caller, request.request_id(), hash);
  if (!absl::IsNotFound(earlier.status())) return earlier;
  return kv::WhileAborted([&]() -> absl::StatusOr<v1::Operation> {
    MTP_ASSIGN_OR_RETURN(const auto row, FindUnchanged(request.name(), request.etag()));
    operations::NewOperation operation;
    operation.kind = "remove";
    operation.target = request.name();
    operation.host = row.value.host();
    operation.created_by = caller;
    operation.request_id = request.request_id();
    operation.request_hash = hash;
    operation.facts[kKeepDataFact] = request.keep_data() ? "true" : "false";
    operation.facts[kWasRunningFact] =
        row.value.spec().run_policy() == v1::RUN_POLICY_STOP ? "false" : "true";
    if (options_.removal_repository) {
      MTP_ASSIGN_OR_RETURN(const std::string repository, options_.removal_repository(row.id));
      if (!repository.empty()) operation.facts[kRepositoryFact] = repository;
    }
    operation.locks.push_back(TenantLock(row.id));
    if (request.validate_only()) {
      v1::Operation preview;
      preview.set_kind(operation.kind);
      preview.set_target(operation.target);
      preview.set_host(operation.host);
      preview.set_message(operation.facts[kRepositoryFact].empty()
                              ? "its final backup is an archive on its host"
                              : absl::StrCat("its final backup goes into repository ",
                                             operation.facts[kRepositoryFact]));
      return preview;
    }
    kv::Txn txn;
    txn.RequireRevision(tables_.tenants.Key(row.id), row.revision);
    return engine_->Create(operation, txn);
  });
}

absl::StatusOr<v1::Operation> Tenants::CreateRunOperation(
    const std::string& caller, const std::string& kind, const std::string& resource,
    const std::string& request_id, const std::string& request_hash, bool validate_only,
    v1::RunPolicy policy) {
  MTP_RETURN_IF_ERROR(CheckRequestId(request_id));
  auto earlier = engine_->FindRequest(caller, request_id, request_hash);
  if (!absl::IsNotFound(earlier.status())) return earlier;
  return kv::WhileAborted([&]() -> absl::StatusOr<v1::Operation> {
    MTP_ASSIGN_OR_RETURN(auto row, Find(resource));
    if (validate_only) {
      v1::Operation preview;
      preview.set_kind(kind);
      preview.set_target(resource);
      preview.set_host(row.value.host());
      return preview;
    }
    row.value.mutable_spec()->set_run_policy(policy);
    row.value.mutable_resolved()->set_run_policy(policy);
    operations::NewOperation operation;
    operation.kind = kind;
    operation.target = resource;
    operation.host = row.value.host();
    operation.created_by = caller;
    operation.request_id = request_id;
    operation.request_hash = request_hash;
    operation.locks.push_back(TenantLock(row.id));
    kv::Txn txn;
    txn.RequireRevision(tables_.tenants.Key(row.id), row.revision);
    tables_.tenants.Put(txn, row.id, row.value);
    return engine_->Create(operation, txn);
  });
}

absl::StatusOr<v1::Operation> Tenants::Start(const std::string& caller,
                                             const v1::StartTenantRequest& request) {
  return CreateRunOperation(caller, "start", request.name(), request.request_id(),
                            RequestHash(request), request.validate_only(), v1::RUN_POLICY_RUN);
}

absl::StatusOr<v1::Operation> Tenants::Stop(const std::string& caller,
                                            const v1::StopTenantRequest& request) {
  return CreateRunOperation(caller, "stop", request.name(), request.request_id(),
                            RequestHash(request), request.validate_only(), v1::RUN_POLICY_STOP);
}

absl::StatusOr<v1::Operation> Tenants::Restart(const std::string& caller,
                                               const v1::RestartTenantRequest& request) {
  return CreateRunOperation(caller, "restart", request.name(), request.request_id(),
                            RequestHash(request), request.validate_only(), v1::RUN_POLICY_RUN);
}

}  // namespace mtp
