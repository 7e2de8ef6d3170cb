// Thin handlers of HostService.
#pragma once

#include "controller/api/gate.h"
#include "controller/failover/host_removals.h"
#include "controller/pki/join_tokens.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"
#include "mtp/v1/host.grpc.pb.h"

namespace mtp {

// Thread-safe. The arguments must outlive it.
class HostServiceImpl final : public v1::HostService::CallbackService {
 public:
  HostServiceImpl(const Gate* gate, kv::Store* store, const Observations* observations,
                  JoinTokens* tokens, failover::HostRemovals* removals);

  grpc::ServerUnaryReactor* GetHost(grpc::CallbackServerContext* context,
                                    const v1::GetHostRequest* request, v1::Host* response) override;
  grpc::ServerUnaryReactor* ListHosts(grpc::CallbackServerContext* context,
                                      const v1::ListHostsRequest* request,
                                      v1::ListHostsResponse* response) override;
  grpc::ServerUnaryReactor* CordonHost(grpc::CallbackServerContext* context,
                                       const v1::CordonHostRequest* request,
                                       v1::Host* response) override;
  grpc::ServerUnaryReactor* UncordonHost(grpc::CallbackServerContext* context,
                                         const v1::UncordonHostRequest* request,
                                         v1::Host* response) override;
  grpc::ServerUnaryReactor* SetHostLabels(grpc::CallbackServerContext* context,
                                          const v1::SetHostLabelsRequest* request,
                                          v1::Host* response) override;
  grpc::ServerUnaryReactor* RemoveHost(grpc::CallbackServerContext* context,
                                       const v1::RemoveHostRequest* request,
                                       v1::RemoveHostResponse* response) override;
  grpc::ServerUnaryReactor* CreateJoinToken(grpc::CallbackServerContext* context,
                                            const v1::CreateJoinTokenRequest* request,
                                            v1::CreateJoinTokenResponse* response) override;

 private:
  absl::StatusOr<kv::Row<state::v1::HostRecord>> Find(const std::string& resource) const;
  v1::Host Show(const kv::Row<state::v1::HostRecord>& row) const;
  // Reads, changes and commits, again when somebody was faster.
  absl::Status Change(const std::string& resource, const std::string& etag,
                      const std::function<void(state::v1::HostRecord&)>& change, bool validate_only,
                      v1::Host* response);

  const Gate* const gate_;
  kv::Store* const store_;
  const Tables tables_;
  const Observations* const observations_;
  JoinTokens* const tokens_;
  failover::HostRemovals* const removals_;
};

}  // namespace mtp
