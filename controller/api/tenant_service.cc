#include "controller/api/tenant_service.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>

#include "common/base/names.h"
#include "common/base/status.h"
#include "controller/api/pages.h"
#include "controller/api/pass_through.h"
#include "controller/state/fleet.h"
#include "mtp/v1/agent.grpc.pb.h"

namespace mtp {
namespace {

constexpr absl::Duration kGatewayTimeout = absl::Seconds(60);

// By its names alone, of a request that was accepted: these are known then.
std::string ChangesOf(const v1::UpdateTenantRequest& request) {
  return absl::StrCat(request.validate_only() ? "dry run: " : "",
                      absl::StrJoin(request.update_mask().paths(), ", "));
}

}  // namespace

TenantServiceImpl::TenantServiceImpl(const Gate* gate, Tenants* tenants,
                                     failover::Failovers* failovers, const kv::Store* store,
                                     const Observations* observations,
                                     const AgentSessions* sessions, const Gate* gateways)
    : gate_(gate),
      gateways_(gateways == nullptr ? gate : gateways),
      tenants_(tenants),
      failovers_(failovers),
      tables_(store),
      observations_(observations),
      sessions_(sessions) {}

absl::StatusOr<std::shared_ptr<grpc::Channel>> TenantServiceImpl::ChannelTo(
    const std::string& resource) const {
  absl::string_view rest = resource;
  if (absl::ConsumePrefix(&rest, "admins/")) {
    MTP_ASSIGN_OR_RETURN(const HostName host, HostName::Parse(rest));
    return sessions_->ConnectedChannel(host.value());
  }
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::ParseResource(resource));
  auto row = tables_.tenants.Get(name.value());
  if (absl::IsNotFound(row.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no tenant \"", name.value(), "\"; `mtp-cli status` lists all"));
  }
  if (!row.ok()) return row.status();
  return sessions_->ConnectedChannel(row->value.host());
}

grpc::ServerUnaryReactor* TenantServiceImpl::GetTenant(grpc::CallbackServerContext* context,
                                                       const v1::GetTenantRequest* request,
                                                       v1::Tenant* response) {
  return gate_->Unary<v1::GetTenantRequest, v1::Tenant>(
      context, "mtp.v1.TenantService/GetTenant", request, response,
      [this](const Caller&, const v1::GetTenantRequest& r, v1::Tenant* out,
             AuditNote&) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::ParseResource(r.name()));
        auto row = tables_.tenants.Get(name.value());
        if (absl::IsNotFound(row.status())) {
          return absl::NotFoundError(absl::StrCat("there is no tenant \"", name.value(), "\""));
        }
        if (!row.ok()) return row.status();
        *out = ToTenant(*row, TransitionKind(tables_, row->id),
                        observations_->GetHost(row->value.host()));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* TenantServiceImpl::ListTenants(grpc::CallbackServerContext* context,
                                                         const v1::ListTenantsRequest* request,
                                                         v1::ListTenantsResponse* response) {
  return gate_->Unary<v1::ListTenantsRequest, v1::ListTenantsResponse>(
      context, "mtp.v1.TenantService/ListTenants", request, response,
      [this](const Caller&, const v1::ListTenantsRequest& r, v1::ListTenantsResponse* out,
             AuditNote&) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(auto rows, tables_.tenants.List());
        if (!r.host().empty()) {
          rows.erase(std::remove_if(rows.begin(), rows.end(),
                                    [&](const auto& row) { return row.value.host() != r.host(); }),
                     rows.end());
        }
        using Row = kv::Row<state::v1::TenantRecord>;
        MTP_ASSIGN_OR_RETURN(const Page<Row> page,
                             PageOf(rows, r.page_size(), 100, r.page_token(), Order::kAscending,
                                    [](const Row& row) -> const std::string& { return row.id; }));
        for (const Row* row : page.items) {
          *out->add_tenants() = ToTenant(*row, TransitionKind(tables_, row->id),
                                         observations_->GetHost(row->value.host()));
        }
        out->set_next_page_token(page.next_token);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* TenantServiceImpl::ProvisionTenant(
    grpc::CallbackServerContext* context, const v1::ProvisionTenantRequest* request,
    v1::ProvisionTenantResponse* response) {
  return gate_->Unary<v1::ProvisionTenantRequest, v1::ProvisionTenantResponse>(
      context, "mtp.v1.TenantService/ProvisionTenant", request, response,
      [this](const Caller& caller, const v1::ProvisionTenantRequest& r,
             v1::ProvisionTenantResponse* out, AuditNote& note) -> absl::Status {
        // A bad name is not repeated in the log: it may be anything.
        if (TenantName::Parse(r.tenant_id()).ok()) note.target = "tenants/" + r.tenant_id();
        if (r.validate_only()) note.message = "dry run";
        MTP_RETURN_IF_ERROR(Fill(tenants_->Provision(caller.Name(), r), out));
        note.operation = out->operation().name();
        return absl::OkStatus();
      });
}

template <typename Request>
grpc::ServerUnaryReactor* TenantServiceImpl::Change(
    grpc::CallbackServerContext* context, const char* method, const Request* request,
    v1::Operation* response,
    absl::StatusOr<v1::Operation> (Tenants::*change)(const std::string&, const Request&),
    std::string (*say)(const Request&)) {
  return gate_->Unary<Request, v1::Operation>(
      context, method, request, response,
      // Not `this`: with sanitizers GCC 12 takes another object for it in a call by ->*.
      [tenants = tenants_, change, say](const Caller& caller, const Request& r, v1::Operation* out,
                                        AuditNote& note) {
        // A bad name is not repeated in the log: it may be anything.
        if (TenantName::ParseResource(r.name()).ok()) note.target = r.name();
        const absl::Status status = Fill((tenants->*change)(caller.Name(), r), out);
        note.operation = out->name();
        if (status.ok() && say != nullptr) note.message = say(r);
        return status;
      });
}

grpc::ServerUnaryReactor* TenantServiceImpl::RemoveTenant(grpc::CallbackServerContext* context,
                                                          const v1::RemoveTenantRequest* request,
                                                          v1::Operation* response) {
  return Change(context, "mtp.v1.TenantService/RemoveTenant", request, response, &Tenants::Remove);
}

grpc::ServerUnaryReactor* TenantServiceImpl::UpdateTenant(grpc::CallbackServerContext* context,
                                                          const v1::UpdateTenantRequest* request,
                                                          v1::Operation* response) {
  return Change(context, "mtp.v1.TenantService/UpdateTenant", request, response, &Tenants::Update,
                ChangesOf);
}

grpc::ServerUnaryReactor* TenantServiceImpl::StartTenant(grpc::CallbackServerContext* context,
                                                         const v1::StartTenantRequest* request,
                                                         v1::Operation* response) {
  return Change(context, "mtp.v1.TenantService/StartTenant", request, response, &Tenants::Start);
}

grpc::ServerUnaryReactor* TenantServiceImpl::StopTenant(grpc::CallbackServerContext* context,
                                                        const v1::StopTenantRequest* request,
                                                        v1::Operation* response) {
  return Change(context, "mtp.v1.TenantService/StopTenant", request, response, &Tenants::Stop);
}

grpc::ServerUnaryReactor* TenantServiceImpl::RestartTenant(grpc::CallbackServerContext* context,
                                                           const v1::RestartTenantRequest* request,
                                                           v1::Operation* response) {
  return Change(context, "mtp.v1.TenantService/RestartTenant", request, response,
                &Tenants::Restart);
}

grpc::ServerUnaryReactor* TenantServiceImpl::FailOverTenant(
    grpc::CallbackServerContext* context, const v1::FailOverTenantRequest* request,
    v1::Operation* response) {
  return gate_->Unary<v1::FailOverTenantRequest, v1::Operation>(
      context, "mtp.v1.TenantService/FailOverTenant", request, response,
      [this](const Caller& caller, const v1::FailOverTenantRequest& r, v1::Operation* out,
             AuditNote& note) -> absl::Status {
        if (TenantName::ParseResource(r.name()).ok()) note.target = r.name();
        if (r.validate_only()) note.message = "dry run";
        if (r.accept_two_copies()) note.message = "accepted that two copies may run";
        MTP_RETURN_IF_ERROR(Fill(failovers_->FailOver(caller.Name(), r), out));
        note.operation = out->name();
        return absl::OkStatus();
      });
}

grpc::ServerWriteReactor<v1::LogChunk>* TenantServiceImpl::StreamTenantLogs(
    grpc::CallbackServerContext* context, const v1::StreamTenantLogsRequest* request) {
  auto admitted = gate_->AdmitStream(context, "mtp.v1.TenantService/StreamTenantLogs");
  if (!admitted.ok()) return new RefusedStream<v1::LogChunk>(admitted.status());
  auto channel = ChannelTo(request->name());
  if (!channel.ok()) return new RefusedStream<v1::LogChunk>(channel.status());
  const auto stub = std::make_shared<v1::AgentService::Stub>(*channel);
  return new PassThrough<v1::StreamTenantLogsRequest, v1::LogChunk>(
      *channel, std::move(admitted->place), *request,
      [stub](grpc::ClientContext* call, const v1::StreamTenantLogsRequest* r,
             grpc::ClientReadReactor<v1::LogChunk>* reactor) {
        stub->async()->StreamLogs(call, r, reactor);
      });
}

grpc::ServerWriteReactor<v1::ExecOutput>* TenantServiceImpl::ExecTenant(
    grpc::CallbackServerContext* context, const v1::ExecTenantRequest* request) {
  constexpr char kMethod[] = "mtp.v1.TenantService/ExecTenant";
  auto admitted = gate_->AdmitStream(context, kMethod);
  if (!admitted.ok()) return new RefusedStream<v1::ExecOutput>(admitted.status());
  auto channel = ChannelTo(request->name());
  AuditNote note;
  if (channel.ok()) note.target = request->name();
  // The arguments may hold a secret: only the program is named.
  if (request->command_size() > 0)
    note.message = absl::StrCat("exec ", request->command(0).substr(0, 100));
  const absl::Status outcome =
      gate_->Close(context, admitted->caller, kMethod, note, channel.status());
  if (!outcome.ok()) return new RefusedStream<v1::ExecOutput>(outcome);
  const auto stub = std::make_shared<v1::AgentService::Stub>(*channel);
  return new PassThrough<v1::ExecTenantRequest, v1::ExecOutput>(
      *channel, std::move(admitted->place), *request,
      [stub](grpc::ClientContext* call, const v1::ExecTenantRequest* r,
             grpc::ClientReadReactor<v1::ExecOutput>* reactor) {
        stub->async()->Exec(call, r, reactor);
      });
}

grpc::ServerUnaryReactor* TenantServiceImpl::CallTenantGateway(
    grpc::CallbackServerContext* context, const v1::CallTenantGatewayRequest* request,
    v1::CallTenantGatewayResponse* response) {
  return gateways_->Unary<v1::CallTenantGatewayRequest, v1::CallTenantGatewayResponse>(
      context, "mtp.v1.TenantService/CallTenantGateway", request, response,
      [this](const Caller&, const v1::CallTenantGatewayRequest& r,
             v1::CallTenantGatewayResponse* out, AuditNote& note) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(const auto channel, ChannelTo(r.name()));
        note.target = r.name();
        note.message = absl::StrCat("gateway method ", r.method().substr(0, 100));
        grpc::ClientContext call;
        call.set_deadline(absl::ToChronoTime(absl::Now() + kGatewayTimeout));
        return FromGrpc(v1::AgentService::NewStub(channel)->CallGateway(&call, r, out));
      });
}

}  // namespace mtp
