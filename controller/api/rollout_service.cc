#include "controller/api/rollout_service.h"

#include <absl/strings/str_cat.h>

#include "common/base/status.h"
#include "controller/api/pages.h"
#include "controller/api/pass_through.h"
#include "controller/api/stream_until_end.h"
#include "controller/rollouts/waves.h"

namespace mtp {
namespace {

constexpr int kDefaultPage = 50;

}  // namespace

template <typename Request>
grpc::ServerUnaryReactor* RolloutServiceImpl::Change(
    grpc::CallbackServerContext* context, const char* method, const Request* request,
    v1::Rollout* response, absl::StatusOr<v1::Rollout> (Rollouts::*change)(const std::string&)) {
  return gate_->Unary<Request, v1::Rollout>(
      context, method, request, response,
      // Not `this`: with sanitizers GCC 12 takes another object for it in a call by ->*.
      [rollouts = rollouts_, change](const Caller&, const Request& r, v1::Rollout* out,
                                     AuditNote& note) -> absl::Status {
        MTP_RETURN_IF_ERROR(Fill((rollouts->*change)(r.name()), out));
        note.target = out->name();
        note.operation = out->operation();
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* RolloutServiceImpl::CreateRollout(grpc::CallbackServerContext* context,
                                                            const v1::CreateRolloutRequest* request,
                                                            v1::Rollout* response) {
  return gate_->Unary<v1::CreateRolloutRequest, v1::Rollout>(
      context, "mtp.v1.RolloutService/CreateRollout", request, response,
      [this](const Caller& caller, const v1::CreateRolloutRequest& r, v1::Rollout* out,
             AuditNote& note) -> absl::Status {
        MTP_RETURN_IF_ERROR(Fill(rollouts_->Create(caller.Name(), r), out));
        note.target = out->name();
        note.operation = out->operation();
        note.message =
            r.validate_only() ? "dry run" : absl::StrCat(out->tenants_size(), " tenants");
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* RolloutServiceImpl::GetRollout(grpc::CallbackServerContext* context,
                                                         const v1::GetRolloutRequest* request,
                                                         v1::Rollout* response) {
  return gate_->Unary<v1::GetRolloutRequest, v1::Rollout>(
      context, "mtp.v1.RolloutService/GetRollout", request, response,
      [this](const Caller&, const v1::GetRolloutRequest& r, v1::Rollout* out, AuditNote&) {
        return Fill(rollouts_->Get(r.name()), out);
      });
}

grpc::ServerUnaryReactor* RolloutServiceImpl::ListRollouts(grpc::CallbackServerContext* context,
                                                           const v1::ListRolloutsRequest* request,
                                                           v1::ListRolloutsResponse* response) {
  return gate_->Unary<v1::ListRolloutsRequest, v1::ListRolloutsResponse>(
      context, "mtp.v1.RolloutService/ListRollouts", request, response,
      [this](const Caller&, const v1::ListRolloutsRequest& r, v1::ListRolloutsResponse* out,
             AuditNote&) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(const std::vector<v1::Rollout> rollouts, rollouts_->List());
        MTP_ASSIGN_OR_RETURN(
            const Page<v1::Rollout> page,
            PageOf(rollouts, r.page_size(), kDefaultPage, r.page_token(), Order::kDescending,
                   [](const v1::Rollout& one) -> const std::string& { return one.name(); }));
        for (const v1::Rollout* rollout : page.items) *out->add_rollouts() = *rollout;
        out->set_next_page_token(page.next_token);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* RolloutServiceImpl::PauseRollout(grpc::CallbackServerContext* context,
                                                           const v1::PauseRolloutRequest* request,
                                                           v1::Rollout* response) {
  return Change(context, "mtp.v1.RolloutService/PauseRollout", request, response, &Rollouts::Pause);
}

grpc::ServerUnaryReactor* RolloutServiceImpl::ResumeRollout(grpc::CallbackServerContext* context,
                                                            const v1::ResumeRolloutRequest* request,
                                                            v1::Rollout* response) {
  return Change(context, "mtp.v1.RolloutService/ResumeRollout", request, response,
                &Rollouts::Resume);
}

grpc::ServerUnaryReactor* RolloutServiceImpl::AbortRollout(grpc::CallbackServerContext* context,
                                                           const v1::AbortRolloutRequest* request,
                                                           v1::Rollout* response) {
  return Change(context, "mtp.v1.RolloutService/AbortRollout", request, response, &Rollouts::Abort);
}

grpc::ServerWriteReactor<v1::Rollout>* RolloutServiceImpl::WatchRollout(
    grpc::CallbackServerContext* context, const v1::WatchRolloutRequest* request) {
  auto admitted = gate_->AdmitStream(context, "mtp.v1.RolloutService/WatchRollout");
  if (!admitted.ok()) return new RefusedStream<v1::Rollout>(admitted.status());
  return StreamUntilEnd<v1::Rollout>(*gate_, std::move(admitted->place), *store_,
                                     {[&] { return rollouts_->Get(request->name()); },
                                      [&](int64_t after, std::function<void(v1::Rollout)> show) {
                                        return rollouts_->Watch(request->name(), after,
                                                                std::move(show));
                                      },
                                      HasEnded});
}

}  // namespace mtp
