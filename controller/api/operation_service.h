// Thin handlers of OperationService.
#pragma once

#include "controller/api/gate.h"
#include "controller/operations/engine.h"
#include "controller/state/tables.h"
#include "mtp/v1/operation.grpc.pb.h"

namespace mtp {

// Thread-safe. The arguments must outlive it.
class OperationServiceImpl final : public v1::OperationService::CallbackService {
 public:
  OperationServiceImpl(const Gate* gate, kv::Store* store, operations::Engine* engine);

  grpc::ServerUnaryReactor* GetOperation(grpc::CallbackServerContext* context,
                                         const v1::GetOperationRequest* request,
                                         v1::Operation* response) override;
  grpc::ServerUnaryReactor* ListOperations(grpc::CallbackServerContext* context,
                                           const v1::ListOperationsRequest* request,
                                           v1::ListOperationsResponse* response) override;
  grpc::ServerUnaryReactor* CancelOperation(grpc::CallbackServerContext* context,
                                            const v1::CancelOperationRequest* request,
                                            v1::Operation* response) override;
  grpc::ServerWriteReactor<v1::Operation>* WatchOperation(
      grpc::CallbackServerContext* context, const v1::WatchOperationRequest* request) override;

 private:
  absl::StatusOr<v1::Operation> Find(const std::string& resource) const;

  const Gate* const gate_;
  kv::Store* const store_;
  const Tables tables_;
  operations::Engine* const engine_;
};

}  // namespace mtp
