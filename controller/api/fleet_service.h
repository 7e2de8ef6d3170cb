// Thin handlers of FleetService.
#pragma once

#include "common/base/clock.h"
#include "controller/api/fleet_watch.h"
#include "controller/api/gate.h"
#include "controller/pki/operators.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"
#include "controller/tenants/tenants.h"
#include "controller/trust/rotation.h"
#include "mtp/v1/fleet.grpc.pb.h"

namespace mtp {

// The status goes to its watchers in bytes that were made once for all of them.
using FleetServiceBase =
    v1::FleetService::WithRawCallbackMethod_WatchFleetStatus<v1::FleetService::CallbackService>;

// Thread-safe. The arguments must outlive it.
class FleetServiceImpl final : public FleetServiceBase {
 public:
  FleetServiceImpl(const Gate* gate, kv::Store* store, Observations* observations, Tenants* tenants,
                   Operators* operators, Rotations* rotations, const AuditLog* audit,
                   const Clock* clock, std::string fleet);

  grpc::ServerUnaryReactor* GetFleetStatus(grpc::CallbackServerContext* context,
                                           const v1::GetFleetStatusRequest* request,
                                           v1::FleetStatus* response) override;
  using FleetServiceBase::WatchFleetStatus;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchFleetStatus(
      grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* GetCapacity(grpc::CallbackServerContext* context,
                                        const v1::GetCapacityRequest* request,
                                        v1::Capacity* response) override;
  grpc::ServerUnaryReactor* ListAuditEntries(grpc::CallbackServerContext* context,
                                             const v1::ListAuditEntriesRequest* request,
                                             v1::ListAuditEntriesResponse* response) override;
  grpc::ServerUnaryReactor* ListOperators(grpc::CallbackServerContext* context,
                                          const v1::ListOperatorsRequest* request,
                                          v1::ListOperatorsResponse* response) override;
  grpc::ServerUnaryReactor* AddOperator(grpc::CallbackServerContext* context,
                                        const v1::AddOperatorRequest* request,
                                        v1::AddOperatorResponse* response) override;
  grpc::ServerUnaryReactor* RemoveOperator(grpc::CallbackServerContext* context,
                                           const v1::RemoveOperatorRequest* request,
                                           v1::RemoveOperatorResponse* response) override;
  grpc::ServerUnaryReactor* RenewCertificate(grpc::CallbackServerContext* context,
                                             const v1::RenewCertificateRequest* request,
                                             v1::RenewCertificateResponse* response) override;
  grpc::ServerUnaryReactor* GetAuthority(grpc::CallbackServerContext* context,
                                         const v1::GetAuthorityRequest* request,
                                         v1::Authority* response) override;
  grpc::ServerUnaryReactor* RotateAuthority(grpc::CallbackServerContext* context,
                                            const v1::RotateAuthorityRequest* request,
                                            v1::Operation* response) override;

 private:
  absl::StatusOr<v1::FleetStatus> Status(const std::string& tenant) const;

  const Gate* const gate_;
  kv::Store* const store_;
  const Tables tables_;
  Observations* const observations_;
  Tenants* const tenants_;
  Operators* const operators_;
  Rotations* const rotations_;
  const AuditLog* const audit_;
  const Clock* const clock_;
  const std::string fleet_;
  const std::shared_ptr<FleetWatch> watch_;
};

}  // namespace mtp
