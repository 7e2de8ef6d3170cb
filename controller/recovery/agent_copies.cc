#include "controller/recovery/agent_copies.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>

#include "common/base/status.h"
#include "mtp/v1/agent.grpc.pb.h"

namespace mtp {
namespace {

constexpr std::chrono::minutes kDeadline{10};

}  // namespace

absl::Status AgentCopies::Send(const std::string& host, const v1::StoreStateRequest& request) {
  MTP_ASSIGN_OR_RETURN(const auto channel, sessions_->ConnectedChannel(host));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return absl::CancelledError("the controller is ending");
    call_ = &context;
  }
  v1::StoreStateResponse response;
  const grpc::Status status =
      v1::AgentService::NewStub(channel)->StoreState(&context, request, &response);
  absl::MutexLock lock(&mutex_);
  call_ = nullptr;
  return Annotate(FromGrpc(status), absl::StrCat("host ", host));
}

void AgentCopies::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
  if (call_ != nullptr) call_->TryCancel();
}

}  // namespace mtp
