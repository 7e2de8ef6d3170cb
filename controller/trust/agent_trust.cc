#include "controller/trust/agent_trust.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>

#include "common/base/status.h"
#include "mtp/v1/agent.grpc.pb.h"

namespace mtp {
namespace {

constexpr std::chrono::seconds kDeadline{10};

}  // namespace

grpc::Status AgentTrust::Call(const std::shared_ptr<grpc::Channel>& channel,
                              const v1::ReplaceTrustRequest& request, v1::HostTrust* trust) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return {grpc::StatusCode::CANCELLED, "the controller is ending"};
    call_ = &context;
  }
  grpc::Status status = v1::AgentService::NewStub(channel)->ReplaceTrust(&context, request, trust);
  absl::MutexLock lock(&mutex_);
  call_ = nullptr;
  return status;
}

void AgentTrust::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
  if (call_ != nullptr) call_->TryCancel();
}

absl::StatusOr<v1::HostTrust> AgentTrust::Replace(const std::string& host,
                                                  const v1::ReplaceTrustRequest& request) {
  MTP_ASSIGN_OR_RETURN(const auto channel, sessions_->ConnectedChannel(host));
  v1::HostTrust trust;
  const grpc::Status status = Call(channel, request, &trust);
  if (status.ok()) return trust;
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return absl::UnimplementedError(
        absl::StrCat("the agent of host ", host, " is too old for it; update mtp-agent there"));
  }
  return Annotate(FromGrpc(status), absl::StrCat("host ", host));
}

absl::Status AgentTrust::Shows(const std::string& host, const std::string& serial) {
  MTP_ASSIGN_OR_RETURN(const auto channel, channels_->New(host, serial));
  v1::HostTrust trust;
  const grpc::Status status = Call(channel, v1::ReplaceTrustRequest(), &trust);
  if (status.ok()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      "host ", host, " does not show its new certificate yet: ", status.error_message()));
}

}  // namespace mtp
