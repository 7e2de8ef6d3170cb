// Thin handlers of TenantService.
#pragma once

#include "controller/api/gate.h"
#include "controller/failover/failovers.h"
#include "controller/hosts/agent_sessions.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"
#include "controller/tenants/tenants.h"
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp {

// Thread-safe. The arguments must outlive it.
class TenantServiceImpl final : public v1::TenantService::CallbackService {
 public:
  // Calls of gateways, which may take a minute each, go through `gateways`, so that they never hold
  // up others; null means `gate`.
  TenantServiceImpl(const Gate* gate, Tenants* tenants, failover::Failovers* failovers,
                    const kv::Store* store, const Observations* observations,
                    const AgentSessions* sessions, const Gate* gateways = nullptr);

  grpc::ServerUnaryReactor* GetTenant(grpc::CallbackServerContext* context,
                                      const v1::GetTenantRequest* request,
                                      v1::Tenant* response) override;
  grpc::ServerUnaryReactor* ListTenants(grpc::CallbackServerContext* context,
                                        const v1::ListTenantsRequest* request,
                                        v1::ListTenantsResponse* response) override;
  grpc::ServerUnaryReactor* ProvisionTenant(grpc::CallbackServerContext* context,
                                            const v1::ProvisionTenantRequest* request,
                                            v1::ProvisionTenantResponse* response) override;
  grpc::ServerUnaryReactor* RemoveTenant(grpc::CallbackServerContext* context,
                                         const v1::RemoveTenantRequest* request,
                                         v1::Operation* response) override;
  grpc::ServerUnaryReactor* UpdateTenant(grpc::CallbackServerContext* context,
                                         const v1::UpdateTenantRequest* request,
                                         v1::Operation* response) override;
  grpc::ServerUnaryReactor* StartTenant(grpc::CallbackServerContext* context,
                                        const v1::StartTenantRequest* request,
                                        v1::Operation* response) override;
  grpc::ServerUnaryReactor* StopTenant(grpc::CallbackServerContext* context,
                                       const v1::StopTenantRequest* request,
                                       v1::Operation* response) override;
  grpc::ServerUnaryReactor* RestartTenant(grpc::CallbackServerContext* context,
                                          const v1::RestartTenantRequest* request,
                                          v1::Operation* response) override;
  grpc::ServerUnaryReactor* FailOverTenant(grpc::CallbackServerContext* context,
                                           const v1::FailOverTenantRequest* request,
                                           v1::Operation* response) override;
  grpc::ServerWriteReactor<v1::LogChunk>* StreamTenantLogs(
      grpc::CallbackServerContext* context, const v1::StreamTenantLogsRequest* request) override;
  grpc::ServerWriteReactor<v1::ExecOutput>* ExecTenant(
      grpc::CallbackServerContext* context, const v1::ExecTenantRequest* request) override;
  grpc::ServerUnaryReactor* CallTenantGateway(grpc::CallbackServerContext* context,
                                              const v1::CallTenantGatewayRequest* request,
                                              v1::CallTenantGatewayResponse* response) override;

 private:
  // A call that changes one tenant by name and answers with the operation. `say`: what the audit
  // log says of one that is accepted.
  template <typename Request>
  grpc::ServerUnaryReactor* Change(
      grpc::CallbackServerContext* context, const char* method, const Request* request,
      v1::Operation* response,
      absl::StatusOr<v1::Operation> (Tenants::*change)(const std::string&, const Request&),
      std::string (*say)(const Request&) = nullptr);
  // Channel to the host of `tenants/acme` or `admins/h1`.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> ChannelTo(const std::string& resource) const;

  const Gate* const gate_;
  const Gate* const gateways_;
  Tenants* const tenants_;
  failover::Failovers* const failovers_;
  const Tables tables_;
  const Observations* const observations_;
  const AgentSessions* const sessions_;
};

}  // namespace mtp
