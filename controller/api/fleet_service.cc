#include "controller/api/fleet_service.h"

#include "common/base/names.h"
#include "common/base/status.h"
#include "controller/api/pass_through.h"
#include "controller/state/fleet.h"

namespace mtp {
namespace {

constexpr char kWatchMethod[] = "mtp.v1.FleetService/WatchFleetStatus";

}  // namespace

FleetServiceImpl::FleetServiceImpl(const Gate* gate, kv::Store* store, Observations* observations,
                                   Tenants* tenants, Operators* operators, Rotations* rotations,
                                   const AuditLog* audit, const Clock* clock, std::string fleet)
    : gate_(gate),
      store_(store),
      tables_(store),
      observations_(observations),
      tenants_(tenants),
      operators_(operators),
      rotations_(rotations),
      audit_(audit),
      clock_(clock),
      fleet_(std::move(fleet)),
      watch_(FleetWatch::Create(store, observations, gate->executor(), clock,
                                [this](const std::string& tenant) { return Status(tenant); })) {}

absl::StatusOr<v1::FleetStatus> FleetServiceImpl::Status(const std::string& tenant) const {
  auto status = ToFleetStatus(tables_, observations_->Get(), clock_->Now(), tenant);
  if (status.ok()) status->set_fleet(fleet_);
  return status;
}

grpc::ServerUnaryReactor* FleetServiceImpl::GetFleetStatus(grpc::CallbackServerContext* context,
                                                           const v1::GetFleetStatusRequest* request,
                                                           v1::FleetStatus* response) {
  return gate_->Unary<v1::GetFleetStatusRequest, v1::FleetStatus>(
      context, "mtp.v1.FleetService/GetFleetStatus", request, response,
      [this](const Caller&, const v1::GetFleetStatusRequest& r, v1::FleetStatus* out, AuditNote&) {
        return Fill(Status(r.tenant()), out);
      });
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* FleetServiceImpl::WatchFleetStatus(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  auto admitted = gate_->AdmitStream(context, kWatchMethod);
  if (!admitted.ok()) return new RefusedStream<grpc::ByteBuffer>(admitted.status());
  v1::WatchFleetStatusRequest parsed;
  grpc::ByteBuffer bytes = *request;
  if (!grpc::SerializationTraits<v1::WatchFleetStatusRequest>::Deserialize(&bytes, &parsed).ok()) {
    return new RefusedStream<grpc::ByteBuffer>(
        absl::InvalidArgumentError("the request cannot be read"));
  }
  FleetWatch::Watcher watcher;
  watcher.tenant = parsed.tenant();
  watcher.may_read = [this, who = admitted->caller] {
    return gate_->StillAllowed(who, kWatchMethod);
  };
  watcher.place = std::move(admitted->place);
  return watch_->Add(std::move(watcher));
}

grpc::ServerUnaryReactor* FleetServiceImpl::GetCapacity(grpc::CallbackServerContext* context,
                                                        const v1::GetCapacityRequest* request,
                                                        v1::Capacity* response) {
  return gate_->Unary<v1::GetCapacityRequest, v1::Capacity>(
      context, "mtp.v1.FleetService/GetCapacity", request, response,
      [this](const Caller&, const v1::GetCapacityRequest& r, v1::Capacity* out, AuditNote&) {
        return Fill(tenants_->Capacity(r.memory_reservation_mib()), out);
      });
}

grpc::ServerUnaryReactor* FleetServiceImpl::ListAuditEntries(
    grpc::CallbackServerContext* context, const v1::ListAuditEntriesRequest* request,
    v1::ListAuditEntriesResponse* response) {
  return gate_->Unary<v1::ListAuditEntriesRequest, v1::ListAuditEntriesResponse>(
      context, "mtp.v1.FleetService/ListAuditEntries", request, response,
      [this](const Caller&, const v1::ListAuditEntriesRequest& r, v1::ListAuditEntriesResponse* out,
             AuditNote&) { return Fill(audit_->List(r), out); });
}

grpc::ServerUnaryReactor* FleetServiceImpl::ListOperators(grpc::CallbackServerContext* context,
                                                          const v1::ListOperatorsRequest* request,
                                                          v1::ListOperatorsResponse* response) {
  return gate_->Unary<v1::ListOperatorsRequest, v1::ListOperatorsResponse>(
      context, "mtp.v1.FleetService/ListOperators", request, response,
      [this](const Caller&, const v1::ListOperatorsRequest&, v1::ListOperatorsResponse* out,
             AuditNote&) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(const auto operators, operators_->List());
        for (const v1::Operator& one : operators) *out->add_operators() = one;
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* FleetServiceImpl::AddOperator(grpc::CallbackServerContext* context,
                                                        const v1::AddOperatorRequest* request,
                                                        v1::AddOperatorResponse* response) {
  return gate_->Unary<v1::AddOperatorRequest, v1::AddOperatorResponse>(
      context, "mtp.v1.FleetService/AddOperator", request, response,
      [this](const Caller&, const v1::AddOperatorRequest& r, v1::AddOperatorResponse* out,
             AuditNote& note) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(const OperatorName name, OperatorName::Parse(r.operator_id()));
        note.target = "operators/" + name.value();
        note.message = "role " + v1::Role_Name(r.role());
        return Fill(operators_->Add(name, r.role(), r.csr_pem()), out);
      });
}

grpc::ServerUnaryReactor* FleetServiceImpl::RemoveOperator(grpc::CallbackServerContext* context,
                                                           const v1::RemoveOperatorRequest* request,
                                                           v1::RemoveOperatorResponse* response) {
  return gate_->Unary<v1::RemoveOperatorRequest, v1::RemoveOperatorResponse>(
      context, "mtp.v1.FleetService/RemoveOperator", request, response,
      [this](const Caller&, const v1::RemoveOperatorRequest& r, v1::RemoveOperatorResponse*,
             AuditNote& note) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(const OperatorName name, OperatorName::Parse(r.operator_id()));
        note.target = "operators/" + name.value();
        return operators_->Remove(name);
      });
}

grpc::ServerUnaryReactor* FleetServiceImpl::RenewCertificate(
    grpc::CallbackServerContext* context, const v1::RenewCertificateRequest* request,
    v1::RenewCertificateResponse* response) {
  return gate_->Unary<v1::RenewCertificateRequest, v1::RenewCertificateResponse>(
      context, "mtp.v1.FleetService/RenewCertificate", request, response,
      [this](const Caller& caller, const v1::RenewCertificateRequest& r,
             v1::RenewCertificateResponse* out, AuditNote& note) {
        const std::string& name = caller.peer.identity.name;
        note.target = "operators/" + name;
        return Fill(operators_->Renew(name, caller.peer.serial, r.csr_pem()), out);
      });
}

grpc::ServerUnaryReactor* FleetServiceImpl::GetAuthority(grpc::CallbackServerContext* context,
                                                         const v1::GetAuthorityRequest* request,
                                                         v1::Authority* response) {
  return gate_->Unary<v1::GetAuthorityRequest, v1::Authority>(
      context, "mtp.v1.FleetService/GetAuthority", request, response,
      [this](const Caller&, const v1::GetAuthorityRequest&, v1::Authority* out, AuditNote&) {
        return Fill(rotations_->Get(), out);
      });
}

grpc::ServerUnaryReactor* FleetServiceImpl::RotateAuthority(
    grpc::CallbackServerContext* context, const v1::RotateAuthorityRequest* request,
    v1::Operation* response) {
  return gate_->Unary<v1::RotateAuthorityRequest, v1::Operation>(
      context, "mtp.v1.FleetService/RotateAuthority", request, response,
      [this](const Caller& caller, const v1::RotateAuthorityRequest& r, v1::Operation* out,
             AuditNote& note) {
        note.target = "authority";
        const absl::Status status = Fill(rotations_->Begin(caller.Name(), r), out);
        note.operation = out->name();
        return status;
      });
}

}  // namespace mtp
