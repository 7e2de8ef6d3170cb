#include "tests/unit/cli/fake_controller.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

namespace mtp::cli {

FakeController::FakeController() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(static_cast<v1::TenantService::Service*>(this));
  builder.RegisterService(static_cast<v1::HostService::Service*>(this));
  builder.RegisterService(static_cast<v1::FleetService::Service*>(this));
  builder.RegisterService(static_cast<v1::OperationService::Service*>(this));
  server_ = builder.BuildAndStart();
}

FakeController::~FakeController() {
  server_->Shutdown(absl::ToChronoTime(absl::Now()));
  server_->Wait();
}

std::string FakeController::address() const { return absl::StrCat("127.0.0.1:", port_); }

grpc::Status FakeController::Answer() {
  ++calls;
  if (refusals.empty()) return grpc::Status::OK;
  const grpc::Status refusal = refusals.front();
  refusals.pop_front();
  return refusal;
}

grpc::Status FakeController::Accept(v1::Operation* operation) {
  absl::MutexLock lock(&mutex_);
  *operation = accepted;
  return Answer();
}

grpc::Status FakeController::ProvisionTenant(Context*, const v1::ProvisionTenantRequest* request,
                                             v1::ProvisionTenantResponse* response) {
  absl::MutexLock lock(&mutex_);
  provisions.push_back(*request);
  *response->mutable_placement() = placement;
  if (!request->validate_only()) *response->mutable_operation() = accepted;
  return Answer();
}

grpc::Status FakeController::RemoveTenant(Context*, const v1::RemoveTenantRequest* request,
                                          v1::Operation* operation) {
  {
    absl::MutexLock lock(&mutex_);
    removes.push_back(*request);
  }
  return Accept(operation);
}

grpc::Status FakeController::StartTenant(Context*, const v1::StartTenantRequest*,
                                         v1::Operation* operation) {
  return Accept(operation);
}

grpc::Status FakeController::StopTenant(Context*, const v1::StopTenantRequest*,
                                        v1::Operation* operation) {
  return Accept(operation);
}

grpc::Status FakeController::RestartTenant(Context*, const v1::RestartTenantRequest*,
                                           v1::Operation* operation) {
  return Accept(operation);
}

grpc::Status FakeController::StreamTenantLogs(Context*, const v1::StreamTenantLogsRequest* request,
                                              grpc::ServerWriter<v1::LogChunk>* writer) {
  absl::MutexLock lock(&mutex_);
  logs.push_back(*request);
  for (const v1::LogChunk& chunk : log) writer->Write(chunk);
  return Answer();
}

grpc::Status FakeController::ExecTenant(Context*, const v1::ExecTenantRequest* request,
                                        grpc::ServerWriter<v1::ExecOutput>* writer) {
  absl::MutexLock lock(&mutex_);
  execs.push_back(*request);
  for (const v1::ExecOutput& output : exec_output) writer->Write(output);
  return Answer();
}

grpc::Status FakeController::CallTenantGateway(Context*,
                                               const v1::CallTenantGatewayRequest* request,
                                               v1::CallTenantGatewayResponse* response) {
  absl::MutexLock lock(&mutex_);
  gateway_calls.push_back(*request);
  response->set_payload_json(gateway_answer);
  return Answer();
}

grpc::Status FakeController::CreateJoinToken(Context*, const v1::CreateJoinTokenRequest* request,
                                             v1::CreateJoinTokenResponse* response) {
  absl::MutexLock lock(&mutex_);
  tokens.push_back(*request);
  response->set_token(absl::StrCat("join-token-", tokens.size()));
  response->mutable_expire_time()->set_seconds(1'767'229'200);
  response->set_command("mtp-agent join -");
  return Answer();
}

grpc::Status FakeController::GetFleetStatus(Context*, const v1::GetFleetStatusRequest*,
                                            v1::FleetStatus* status) {
  absl::MutexLock lock(&mutex_);
  *status = fleet;
  return Answer();
}

grpc::Status FakeController::AddOperator(Context*, const v1::AddOperatorRequest* request,
                                         v1::AddOperatorResponse* response) {
  absl::MutexLock lock(&mutex_);
  added_operators.push_back(*request);
  response->mutable_operator_()->set_name(request->operator_id());
  response->mutable_operator_()->set_role(request->role());
  response->set_certificate_pem("certificate\n");
  response->set_ca_pem("authority\n");
  return Answer();
}

grpc::Status FakeController::WatchOperation(Context* context, const v1::WatchOperationRequest*,
                                            grpc::ServerWriter<v1::Operation>* writer) {
  OperationStream stream;
  {
    absl::MutexLock lock(&mutex_);
    ++calls;
    if (streams.empty()) return {grpc::StatusCode::INTERNAL, "the test has no stream for this"};
    stream = streams.front();
    streams.pop_front();
  }
  for (const v1::Operation& operation : stream.operations) writer->Write(operation);
  while (stream.hang && !context->IsCancelled()) absl::SleepFor(absl::Milliseconds(2));
  return stream.status;
}

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
