// The one call that is served without a client certificate, on its own listener.
#pragma once

#include <absl/synchronization/mutex.h>

#include <atomic>
#include <map>
#include <string>

#include "common/base/clock.h"
#include "common/base/executor.h"
#include "controller/api/audit_log.h"
#include "controller/pki/join_tokens.h"
#include "mtp/v1/enrollment.grpc.pb.h"

namespace mtp {

// Anybody may connect here, so all that a stranger can make it do is bounded: 32 requests at a
// time, 10 refusals a minute from one address (then RESOURCE_EXHAUSTED, before anything is read or
// written). A refused caller hears one sentence for all reasons; the audit log has the true one.
// Thread-safe. The arguments must outlive it.
class EnrollmentServiceImpl final : public v1::EnrollmentService::CallbackService {
 public:
  EnrollmentServiceImpl(JoinTokens* tokens, AuditLog* audit, const Clock* clock,
                        Executor* executor);

  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* context,
                                 const v1::JoinRequest* request,
                                 v1::JoinResponse* response) override;

 private:
  absl::Status Handle(const std::string& address, const v1::JoinRequest& request,
                      v1::JoinResponse* response);
  bool TooManyRefusals(const std::string& address);
  void CountRefusal(const std::string& address);

  JoinTokens* const tokens_;
  AuditLog* const audit_;
  const Clock* const clock_;
  Executor* const executor_;
  std::atomic<int> in_flight_{0};
  absl::Mutex mutex_;
  absl::Duration minute_began_ ABSL_GUARDED_BY(mutex_);
  // Of the current minute; at most 10,000 addresses.
  std::map<std::string, int> refusals_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp
