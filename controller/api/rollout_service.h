// Thin handlers of RolloutService.
#pragma once

#include "controller/api/gate.h"
#include "controller/rollouts/rollouts.h"
#include "mtp/v1/rollout.grpc.pb.h"

namespace mtp {

// Thread-safe. The arguments must outlive it.
class RolloutServiceImpl final : public v1::RolloutService::CallbackService {
 public:
  RolloutServiceImpl(const Gate* gate, const kv::Store* store, Rollouts* rollouts)
      : gate_(gate), store_(store), rollouts_(rollouts) {}

  grpc::ServerUnaryReactor* CreateRollout(grpc::CallbackServerContext* context,
                                          const v1::CreateRolloutRequest* request,
                                          v1::Rollout* response) override;
  grpc::ServerUnaryReactor* GetRollout(grpc::CallbackServerContext* context,
                                       const v1::GetRolloutRequest* request,
                                       v1::Rollout* response) override;
  grpc::ServerUnaryReactor* ListRollouts(grpc::CallbackServerContext* context,
                                         const v1::ListRolloutsRequest* request,
                                         v1::ListRolloutsResponse* response) override;
  grpc::ServerWriteReactor<v1::Rollout>* WatchRollout(
      grpc::CallbackServerContext* context, const v1::WatchRolloutRequest* request) override;
  grpc::ServerUnaryReactor* PauseRollout(grpc::CallbackServerContext* context,
                                         const v1::PauseRolloutRequest* request,
                                         v1::Rollout* response) override;
  grpc::ServerUnaryReactor* ResumeRollout(grpc::CallbackServerContext* context,
                                          const v1::ResumeRolloutRequest* request,
                                          v1::Rollout* response) override;
  grpc::ServerUnaryReactor* AbortRollout(grpc::CallbackServerContext* context,
                                         const v1::AbortRolloutRequest* request,
                                         v1::Rollout* response) override;

 private:
  template <typename Request>
  grpc::ServerUnaryReactor* Change(
      grpc::CallbackServerContext* context, const char* method, const Request* request,
      v1::Rollout* response, absl::StatusOr<v1::Rollout> (Rollouts::*change)(const std::string&));

  const Gate* const gate_;
  const kv::Store* const store_;
  Rollouts* const rollouts_;
};

}  // namespace mtp
