#include "tests/unit/cli/fake_controller.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include "tests/unit/cli/fake_controller_services.h"

namespace mtp::cli {

Services::Services() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(static_cast<v1::TenantService::Service*>(this));
  builder.RegisterService(static_cast<v1::HostService::Service*>(this));
  builder.RegisterService(static_cast<v1::FleetService::Service*>(this));
  builder.RegisterService(static_cast<v1::OperationService::Service*>(this));
  builder.RegisterService(static_cast<v1::BackupService::Service*>(this));
  builder.RegisterService(static_cast<v1::RolloutService::Service*>(this));
  server_ = builder.BuildAndStart();
}

Services::~Services() {
  server_->Shutdown(absl::ToChronoTime(absl::Now()));
  server_->Wait();
}

std::string Services::address() const { return absl::StrCat("127.0.0.1:", port_); }

grpc::Status Services::Answer() {
  ++calls;
  if (refusals.empty()) return grpc::Status::OK;
  const grpc::Status refusal = refusals.front();
  refusals.pop_front();
  return refusal;
}

grpc::Status Services::Accept(v1::Operation* operation) {
  absl::MutexLock lock(&mutex_);
  *operation = accepted;
  return Answer();
}

grpc::Status Services::ProvisionTenant(Context*, const v1::ProvisionTenantRequest* request,
                                       v1::ProvisionTenantResponse* response) {
  absl::MutexLock lock(&mutex_);
  provisions.push_back(*request);
  *response->mutable_placement() = placement;
  if (!request->validate_only()) *response->mutable_operation() = accepted;
  return Answer();
}

grpc::Status Services::RemoveTenant(Context*, const v1::RemoveTenantRequest* request,
                                    v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    removes.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status Services::UpdateTenant(Context*, const v1::UpdateTenantRequest* request,
                                    v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    updates.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status Services::StartTenant(Context*, const v1::StartTenantRequest*,
                                   v1::Operation* operation) {
  return Accept(operation);
}

grpc::Status Services::StopTenant(Context*, const v1::StopTenantRequest*,
                                  v1::Operation* operation) {
  return Accept(operation);
}

grpc::Status Services::RestartTenant(Context*, const v1::RestartTenantRequest*,
                                     v1::Operation* operation) {
  return Accept(operation);
}

grpc::Status Services::FailOverTenant(Context*, const v1::FailOverTenantRequest* request,
                                      v1::Operation* operation) {
  absl::MutexLock lock(&mutex_);
  failovers.push_back(*request);
  *operation = request->validate_only() ? failover_plan : accepted;
  return Answer();
}

grpc::Status Services::StreamTenantLogs(Context*, const v1::StreamTenantLogsRequest* request,
                                        grpc::ServerWriter<v1::LogChunk>* writer) {
  absl::MutexLock lock(&mutex_);
  logs.push_back(*request);
  for (const v1::LogChunk& chunk : log) writer->Write(chunk);
  return Answer();
}

grpc::Status Services::ExecTenant(Context*, const v1::ExecTenantRequest* request,
                                  grpc::ServerWriter<v1::ExecOutput>* writer) {
  absl::MutexLock lock(&mutex_);
  execs.push_back(*request);
  for (const v1::ExecOutput& output : exec_output) writer->Write(output);
  return Answer();
}

grpc::Status Services::CallTenantGateway(Context*, const v1::CallTenantGatewayRequest* request,
                                         v1::CallTenantGatewayResponse* response) {
  absl::MutexLock lock(&mutex_);
  gateway_calls.push_back(*request);
  response->set_payload_json(gateway_answer);
  return Answer();
}

grpc::Status Services::RemoveHost(Context*, const v1::RemoveHostRequest* request,
                                  v1::RemoveHostResponse* response) {
  absl::MutexLock lock(&mutex_);
  host_removals.push_back(*request);
  *response = with_host;
  return Answer();
}

grpc::Status Services::CreateJoinToken(Context*, const v1::CreateJoinTokenRequest* request,
                                       v1::CreateJoinTokenResponse* response) {
  absl::MutexLock lock(&mutex_);
  tokens.push_back(*request);
  response->set_token(absl::StrCat("join-token-", tokens.size()));
  response->mutable_expire_time()->set_seconds(1'767'229'200);
  response->set_command("mtp-agent join -");
  return Answer();
}

grpc::Status Services::GetFleetStatus(Context*, const v1::GetFleetStatusRequest*,
                                      v1::FleetStatus* status) {
  absl::MutexLock lock(&mutex_);
  *status = fleet;
  return Answer();
}

grpc::Status Services::AddOperator(Context*, const v1::AddOperatorRequest* request,
                                   v1::AddOperatorResponse* response) {
  absl::MutexLock lock(&mutex_);
  added_operators.push_back(*request);
  response->mutable_operator_()->set_name(request->operator_id());
  response->mutable_operator_()->set_role(request->role());
  response->set_certificate_pem("certificate\n");
  response->set_ca_pem("authority\n");
  return Answer();
}

grpc::Status Services::RenewCertificate(Context*, const v1::RenewCertificateRequest* request,
                                        v1::RenewCertificateResponse* response) {
  absl::MutexLock lock(&mutex_);
  renewals.push_back(*request);
  if (renew == nullptr) return {grpc::StatusCode::UNIMPLEMENTED, ""};
  *response = renew(*request);
  return grpc::Status::OK;
}

grpc::Status Services::GetAuthority(Context*, const v1::GetAuthorityRequest*,
                                    v1::Authority* response) {
  absl::MutexLock lock(&mutex_);
  *response = authority;
  return Answer();
}

grpc::Status Services::RotateAuthority(Context*, const v1::RotateAuthorityRequest* request,
                                       v1::Operation* response) {
  {
    absl::MutexLock lock(&mutex_);
    rotations.push_back(*request);
  }
  return Accept(response);
}

grpc::Status Services::GetOperation(Context*, const v1::GetOperationRequest*,
                                    v1::Operation* response) {
  absl::MutexLock lock(&mutex_);
  *response = going_on;
  return Answer();
}

grpc::Status Services::CancelOperation(Context*, const v1::CancelOperationRequest* request,
                                       v1::Operation* response) {
  {
    absl::MutexLock lock(&mutex_);
    cancelled.push_back(*request);
  }
  return Accept(response);
}

grpc::Status Services::AnswerRollout(const std::string& call, v1::Rollout* response) {
  absl::MutexLock lock(&mutex_);
  rollout_calls.push_back(call);
  *response = rollout;
  return Answer();
}

grpc::Status Services::CreateRollout(Context*, const v1::CreateRolloutRequest* request,
                                     v1::Rollout* response) {
  absl::MutexLock lock(&mutex_);
  created_rollouts.push_back(*request);
  *response = request->validate_only() ? rollout_plan : rollout;
  return Answer();
}

grpc::Status Services::GetRollout(Context*, const v1::GetRolloutRequest* request,
                                  v1::Rollout* response) {
  return AnswerRollout("get " + request->name(), response);
}

grpc::Status Services::ListRollouts(Context*, const v1::ListRolloutsRequest*,
                                    v1::ListRolloutsResponse* response) {
  absl::MutexLock lock(&mutex_);
  for (const v1::Rollout& one : rollouts) *response->add_rollouts() = one;
  return Answer();
}

grpc::Status Services::PauseRollout(Context*, const v1::PauseRolloutRequest* request,
                                    v1::Rollout* response) {
  return AnswerRollout("pause " + request->name(), response);
}

grpc::Status Services::ResumeRollout(Context*, const v1::ResumeRolloutRequest* request,
                                     v1::Rollout* response) {
  return AnswerRollout("resume " + request->name(), response);
}

grpc::Status Services::AbortRollout(Context*, const v1::AbortRolloutRequest* request,
                                    v1::Rollout* response) {
  return AnswerRollout("abort " + request->name(), response);
}

grpc::Status Services::WatchRollout(Context* context, const v1::WatchRolloutRequest*,
                                    grpc::ServerWriter<v1::Rollout>* writer) {
  RolloutStream stream;
  {
    absl::MutexLock lock(&mutex_);
    if (rollout_streams.empty()) return {grpc::StatusCode::INTERNAL, "no stream is left"};
    stream = rollout_streams.front();
    rollout_streams.pop_front();
  }
  for (const v1::Rollout& one : stream.rollouts) writer->Write(one);
  while (stream.hang && !context->IsCancelled()) absl::SleepFor(absl::Milliseconds(5));
  return stream.status;
}

grpc::Status Services::WatchOperation(Context* context, const v1::WatchOperationRequest* request,
                                      grpc::ServerWriter<v1::Operation>* writer) {
  OperationStream stream;
  {
    absl::MutexLock lock(&mutex_);
    ++calls;
    watched.push_back(request->name());
    if (streams.empty()) return {grpc::StatusCode::INTERNAL, "the test has no stream for this"};
    stream = streams.front();
    streams.pop_front();
  }
  for (const v1::Operation& operation : stream.operations) writer->Write(operation);
  while (stream.hang && !context->IsCancelled()) absl::SleepFor(absl::Milliseconds(2));
  return stream.status;
}

grpc::Status Services::GetTenant(Context*, const v1::GetTenantRequest* request,
                                 v1::Tenant* tenant) {
  absl::MutexLock lock(&mutex_);
  for (const v1::Tenant& one : fleet.tenants()) {
    if (one.name() != request->name()) continue;
    *tenant = one;
    return Answer();
  }
  return {grpc::StatusCode::NOT_FOUND, "there is no such tenant"};
}

grpc::Status Services::ListTenants(Context*, const v1::ListTenantsRequest*,
                                   v1::ListTenantsResponse* response) {
  absl::MutexLock lock(&mutex_);
  *response->mutable_tenants() = fleet.tenants();
  return Answer();
}

FakeController::FakeController() = default;

FakeController::~FakeController() = default;

std::unique_ptr<FakeController> FakeController::Start() { return std::make_unique<Services>(); }

v1::Operation MakeOperation(const std::string& kind, const std::string& target,
                            v1::OperationState state) {
  v1::Operation operation;
  operation.set_name("operations/01ARZ3NDEKTSV4RRFFQ69G5FAV");
  operation.set_kind(kind);
  operation.set_target(target);
  operation.set_state(state);
  return operation;
}

}  // namespace mtp::cli
