// What every handler goes through: who calls, may they, and a line in the audit log.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "common/base/executor.h"
#include "common/base/status.h"
#include "controller/api/audit_log.h"
#include "controller/api/authorizer.h"
#include "controller/api/stream_places.h"

namespace mtp {

// What a handler tells the audit log of its call. Never a secret.
struct AuditNote {
  std::string target;     // resource name
  std::string operation;  // that came of it
  std::string message;    // one line; the outcome's sentence when empty
};

// A stream that may begin. The place is held until the stream's end.
struct AdmittedStream {
  Caller caller;
  std::shared_ptr<void> place;
};

// Thread-safe. The arguments must outlive it.
class Gate {
 public:
  struct Limits {
    // Unary calls that wait or are carried out; RESOURCE_EXHAUSTED beyond.
    int max_calls = 512;
    // Streams in all, and of one caller; RESOURCE_EXHAUSTED beyond.
    int max_streams = 1024;
    int max_streams_per_caller = 256;
  };

  Gate(const Authorizer* authorizer, AuditLog* audit, Executor* executor)
      : Gate(authorizer, audit, executor, Limits()) {}
  Gate(const Authorizer* authorizer, AuditLog* audit, Executor* executor, Limits limits)
      : authorizer_(authorizer),
        audit_(audit),
        executor_(executor),
        max_calls_(limits.max_calls),
        streams_(limits.max_streams, limits.max_streams_per_caller) {}

  // Who calls, when they may. Refusals are audited.
  absl::StatusOr<Caller> Admit(grpc::CallbackServerContext* context,
                               absl::string_view method) const;
  // The same for a stream, when there is a place for it.
  absl::StatusOr<AdmittedStream> AdmitStream(grpc::CallbackServerContext* context,
                                             absl::string_view method) const;
  // Whether a stream that was admitted may go on: false once the operator was removed.
  bool StillAllowed(const Caller& caller, absl::string_view method) const {
    return authorizer_->Authorize(caller.peer, method).ok();
  }
  // Audits the outcome of a call that mutates; nothing for others. A mutation that cannot be
  // audited (full disk) is reported as failed, although it took place: the status says so.
  absl::Status Close(grpc::CallbackServerContext* context, const Caller& caller,
                     absl::string_view method, const AuditNote& note,
                     const absl::Status& outcome) const;

  // A whole unary call on the executor.
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Unary(
      grpc::CallbackServerContext* context, const char* method, const Request* request,
      Response* response,
      std::function<absl::Status(const Caller&, const Request&, Response*, AuditNote&)> handle)
      const {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    if (calls_.fetch_add(1) >= max_calls_) {
      calls_.fetch_sub(1);
      reactor->Finish(ToGrpc(absl::ResourceExhaustedError(
          "the controller has too many calls to answer at this moment; try again soon")));
      return reactor;
    }
    executor_->Post(
        [this, context, method, request, response, reactor, handle = std::move(handle)] {
          const absl::Status outcome =
              CarryOut(context, method, [&](const Caller& caller, AuditNote& note) {
                return handle(caller, *request, response, note);
              });
          calls_.fetch_sub(1);
          reactor->Finish(ToGrpc(outcome));
        });
    return reactor;
  }

  Executor* executor() const { return executor_; }

 private:
  // Admits, handles and audits.
  absl::Status CarryOut(grpc::CallbackServerContext* context, absl::string_view method,
                        const std::function<absl::Status(const Caller&, AuditNote&)>& handle) const;

  const Authorizer* const authorizer_;
  AuditLog* const audit_;
  Executor* const executor_;
  const int max_calls_;
  mutable std::atomic<int> calls_{0};
  mutable StreamPlaces streams_;
};

// Copies a StatusOr's value to a response.
template <typename Response>
absl::Status Fill(absl::StatusOr<Response> value, Response* response) {
  if (!value.ok()) return value.status();
  *response = *std::move(value);
  return absl::OkStatus();
}

}  // namespace mtp
