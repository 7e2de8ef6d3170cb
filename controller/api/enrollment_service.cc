#include "controller/api/enrollment_service.h"

#include <absl/strings/str_cat.h>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/tls/peer.h"

namespace mtp {
namespace {

constexpr int kMaxRefusalsPerMinute = 10;
constexpr size_t kMaxAddresses = 10'000;
constexpr int kMaxInFlight = 32;

}  // namespace

EnrollmentServiceImpl::EnrollmentServiceImpl(JoinTokens* tokens, AuditLog* audit,
                                             const Clock* clock, Executor* executor)
    : tokens_(tokens),
      audit_(audit),
      clock_(clock),
      executor_(executor),
      minute_began_(clock->Monotonic()) {}

grpc::ServerUnaryReactor* EnrollmentServiceImpl::Join(grpc::CallbackServerContext* context,
                                                      const v1::JoinRequest* request,
                                                      v1::JoinResponse* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  std::string address = tls::PeerAddress(context->peer());
  if (TooManyRefusals(address)) {
    reactor->Finish(ToGrpc(absl::ResourceExhaustedError(
        "too many refused attempts from this address; wait a minute")));
    return reactor;
  }
  if (in_flight_.fetch_add(1) >= kMaxInFlight) {
    in_flight_.fetch_sub(1);
    reactor->Finish(
        ToGrpc(absl::ResourceExhaustedError("too many hosts join at this moment; try again soon")));
    return reactor;
  }
  executor_->Post([this, address = std::move(address), request, response, reactor] {
    const absl::Status outcome = Handle(address, *request, response);
    in_flight_.fetch_sub(1);
    reactor->Finish(ToGrpc(outcome));
  });
  return reactor;
}

absl::Status EnrollmentServiceImpl::Handle(const std::string& address,
                                           const v1::JoinRequest& request,
                                           v1::JoinResponse* response) {
  auto joined = tokens_->Redeem(request);
  const bool named = HostName::Parse(request.host_id()).ok();
  v1::AuditEntry entry;
  entry.set_actor(joined.ok() ? "agent/" + request.host_id() : "anonymous");
  entry.set_method("mtp.v1.EnrollmentService/Join");
  if (named) entry.set_target("hosts/" + request.host_id());
  entry.set_code(static_cast<int>(joined.status().code()));
  entry.set_message(joined.ok() ? "joined" : std::string(joined.status().message()));
  entry.set_peer(address);
  const absl::Status audited = audit_->Record(std::move(entry));
  if (joined.ok()) {
    *response = *std::move(joined);
    return audited;
  }
  CountRefusal(address);
  if (absl::IsPermissionDenied(joined.status())) {
    return absl::PermissionDeniedError(
        "the token is not valid for this host: unknown, used, expired or another host's. Make a "
        "new one with "
        "`mtp-cli host token`");
  }
  return joined.status();
}

bool EnrollmentServiceImpl::TooManyRefusals(const std::string& address) {
  absl::MutexLock lock(&mutex_);
  if (clock_->Monotonic() - minute_began_ > absl::Minutes(1)) {
    minute_began_ = clock_->Monotonic();
    refusals_.clear();
  }
  const auto it = refusals_.find(address);
  return it != refusals_.end() && it->second >= kMaxRefusalsPerMinute;
}

void EnrollmentServiceImpl::CountRefusal(const std::string& address) {
  absl::MutexLock lock(&mutex_);
  if (refusals_.size() < kMaxAddresses || refusals_.count(address) > 0) ++refusals_[address];
}

}  // namespace mtp
