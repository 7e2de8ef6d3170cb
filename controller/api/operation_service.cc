#include "controller/api/operation_service.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>

#include "common/base/status.h"
#include "common/base/ulid.h"
#include "controller/api/pages.h"
#include "controller/api/pass_through.h"
#include "controller/api/stream_until_end.h"
#include "controller/state/fleet.h"

namespace mtp {
namespace {

bool HasEnded(const v1::Operation& operation) {
  return operation.state() == v1::OPERATION_STATE_SUCCEEDED ||
         operation.state() == v1::OPERATION_STATE_FAILED ||
         operation.state() == v1::OPERATION_STATE_CANCELLED;
}

absl::StatusOr<std::string> ParseId(absl::string_view resource) {
  if (!absl::ConsumePrefix(&resource, "operations/") || !IsUlid(resource)) {
    return absl::InvalidArgumentError(
        "an operation is named operations/ and 26 letters and digits; see `mtp-cli op list`");
  }
  return std::string(resource);
}

v1::Operation Shown(const kv::Entry& entry) {
  state::v1::OperationRecord record;
  v1::Operation operation;
  if (record.ParseFromString(entry.value)) operation = record.operation();
  operation.set_etag(Etag(entry.mod_revision));
  return operation;
}

}  // namespace

OperationServiceImpl::OperationServiceImpl(const Gate* gate, kv::Store* store,
                                           operations::Engine* engine)
    : gate_(gate), store_(store), tables_(store), engine_(engine) {}

absl::StatusOr<v1::Operation> OperationServiceImpl::Find(const std::string& resource) const {
  MTP_ASSIGN_OR_RETURN(const std::string id, ParseId(resource));
  auto operation = engine_->Get(id);
  if (absl::IsNotFound(operation.status())) {
    return absl::NotFoundError(absl::StrCat("there is no operation ", id, " (any more)"));
  }
  return operation;
}

grpc::ServerUnaryReactor* OperationServiceImpl::GetOperation(grpc::CallbackServerContext* context,
                                                             const v1::GetOperationRequest* request,
                                                             v1::Operation* response) {
  return gate_->Unary<v1::GetOperationRequest, v1::Operation>(
      context, "mtp.v1.OperationService/GetOperation", request, response,
      [this](const Caller&, const v1::GetOperationRequest& r, v1::Operation* out, AuditNote&) {
        return Fill(Find(r.name()), out);
      });
}

grpc::ServerUnaryReactor* OperationServiceImpl::ListOperations(
    grpc::CallbackServerContext* context, const v1::ListOperationsRequest* request,
    v1::ListOperationsResponse* response) {
  return gate_->Unary<v1::ListOperationsRequest, v1::ListOperationsResponse>(
      context, "mtp.v1.OperationService/ListOperations", request, response,
      [this](const Caller&, const v1::ListOperationsRequest& r, v1::ListOperationsResponse* out,
             AuditNote&) -> absl::Status {
        std::vector<v1::Operation> operations;
        for (const kv::Entry& entry : store_->List(tables_.operations.prefix())) {
          v1::Operation operation = Shown(entry);
          if (!r.target().empty() && operation.target() != r.target()) continue;
          if (r.active_only() && HasEnded(operation)) continue;
          operations.push_back(std::move(operation));
        }
        std::reverse(operations.begin(), operations.end());
        MTP_ASSIGN_OR_RETURN(
            const Page<v1::Operation> page,
            PageOf(operations, r.page_size(), 50, r.page_token(), Order::kDescending,
                   [](const v1::Operation& o) -> const std::string& { return o.name(); }));
        for (const v1::Operation* operation : page.items) *out->add_operations() = *operation;
        out->set_next_page_token(page.next_token);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* OperationServiceImpl::CancelOperation(
    grpc::CallbackServerContext* context, const v1::CancelOperationRequest* request,
    v1::Operation* response) {
  return gate_->Unary<v1::CancelOperationRequest, v1::Operation>(
      context, "mtp.v1.OperationService/CancelOperation", request, response,
      [this](const Caller&, const v1::CancelOperationRequest& r, v1::Operation* out,
             AuditNote& note) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(const v1::Operation operation, Find(r.name()));
        note.target = operation.target();
        note.operation = operation.name();
        MTP_ASSIGN_OR_RETURN(const std::string id, ParseId(r.name()));
        return Fill(engine_->Cancel(id), out);
      });
}

grpc::ServerWriteReactor<v1::Operation>* OperationServiceImpl::WatchOperation(
    grpc::CallbackServerContext* context, const v1::WatchOperationRequest* request) {
  auto admitted = gate_->AdmitStream(context, "mtp.v1.OperationService/WatchOperation");
  if (!admitted.ok()) return new RefusedStream<v1::Operation>(admitted.status());
  return StreamUntilEnd<v1::Operation>(
      *gate_, std::move(admitted->place), *store_,
      {[&] { return Find(request->name()); },
       [&](int64_t after, const std::function<void(v1::Operation)>& show) {
         return store_->WatchPrefix(tables_.operations.Key(*ParseId(request->name())), after,
                                    [show](const std::vector<kv::Event>& events) {
                                      for (const kv::Event& event : events) {
                                        if (event.kind == kv::Event::Kind::kPut)
                                          show(Shown(event.entry));
                                      }
                                    });
       },
       HasEnded});
}

}  // namespace mtp
