// What every handler goes through: who calls, may they, and a line in the audit log.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <string>

#include "common/base/executor.h"
#include "common/base/status.h"
#include "controller/api/audit_log.h"
#include "controller/api/authorizer.h"

namespace mtp {

// What a handler tells the audit log of its call. Never a secret.
struct AuditNote {
  std::string target;     // resource name
  std::string operation;  // that came of it
  std::string message;    // one line; the outcome's sentence when empty
};

// Thread-safe. The arguments must outlive it.
class Gate {
 public:
  Gate(const Authorizer* authorizer, AuditLog* audit, Executor* executor)
      : authorizer_(authorizer), audit_(audit), executor_(executor) {}

  // Who calls, when they may. Refusals are audited.
  absl::StatusOr<Caller> Admit(grpc::CallbackServerContext* context,
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
    executor_->Post(
        [this, context, method, request, response, reactor, handle = std::move(handle)] {
          auto caller = Admit(context, method);
          if (!caller.ok()) {
            reactor->Finish(ToGrpc(caller.status()));
            return;
          }
          AuditNote note;
          const absl::Status outcome = handle(*caller, *request, response, note);
          reactor->Finish(ToGrpc(Close(context, *caller, method, note, outcome)));
        });
    return reactor;
  }

  Executor* executor() const { return executor_; }

 private:
  const Authorizer* const authorizer_;
  AuditLog* const audit_;
  Executor* const executor_;
};

// Copies a StatusOr's value to a response.
template <typename Response>
absl::Status Fill(absl::StatusOr<Response> value, Response* response) {
  if (!value.ok()) return value.status();
  *response = *std::move(value);
  return absl::OkStatus();
}

}  // namespace mtp
