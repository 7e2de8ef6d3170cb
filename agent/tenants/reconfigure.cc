// Reconfigure: other secrets, environment and port publishing for a tenant that is on this host.
// Order: the journal, then a new container. Killed in between, the old container runs on with the
// old settings until the action goes on; Compose makes a new one whatever was done before, since it
// compares what the container was made of.
//
// Of a tenant that is not meant to run the container goes: a stopped one keeps the secrets that it
// was made with in the engine's files.
#include <absl/strings/str_cat.h>
#include <google/protobuf/util/message_differencer.h>

#include "agent/compose/render.h"
#include "agent/lease/lease.h"
#include "agent/tenants/scripts.h"
#include "agent/tenants/starting.h"
#include "agent/tenants/stopping.h"
#include "common/base/environment.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// Which container there was before anything was changed: its id, or one of the words below.
constexpr char kContainerBefore[] = "container_before";
constexpr char kNoContainer[] = "none";
// There once the journal has the settings.
constexpr char kTakenIn[] = "taken_in";
// The tenant has these settings already; its container is left alone.
constexpr char kUnchanged[] = "unchanged";

class ReconfigureScript final : public StartingScript {
 public:
  ReconfigureScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : StartingScript(tools, *TenantName::Parse(request.tenant())), request_(request) {
    // Before anything is changed: one that may not be started now is left as it is.
    if (Runs()) Add([this](PhaseContext& context) { return EnsureImage(context); });
    Add([this](PhaseContext& context) { return PhaseResult::Of(RememberBefore(context)); });
    Add([this](PhaseContext& context) { return PhaseResult::Of(TakeIn(context)); });
    if (Runs()) {
      Add([this](PhaseContext& context) { return WaitForSlot(context); });
      Add([this](PhaseContext& context) { return StopFormer(context); });
      Add([this](PhaseContext& context) { return BringUp(context); });
      Add([this](PhaseContext& context) { return WaitUntilReady(context); });
    } else {
      Add([this](PhaseContext&) { return PhaseResult::Of(tools_->writer->WriteAll()); });
      Add([this](PhaseContext& context) { return StopContainer(*tools_, name_, context); });
      Add([this](PhaseContext& context) { return PhaseResult::Of(TakeAway(context)); });
    }
  }
  std::string DoneMessage() const override {
    return Runs() ? "ready" : "changed; its next start has it";
  }

 private:
  const v1::ReconfigureTenantAction& Asked() const { return request_.reconfigure(); }
  bool Runs() const { return Asked().spec().run_policy() != v1::RUN_POLICY_STOP; }

  absl::StatusOr<bool> IsUnchanged() {
    using google::protobuf::util::MessageDifferencer;
    MTP_ASSIGN_OR_RETURN(const auto record, tools_->journal->Tenant(name_));
    MTP_ASSIGN_OR_RETURN(const auto former, tools_->journal->Secrets(name_));
    MTP_ASSIGN_OR_RETURN(const auto asked, tools_->journal->ActionSecrets(request_.key()));
    return SameEnvironment(record.spec().environment(), Asked().spec().environment()) &&
           record.spec().port_unpublished() == Asked().spec().port_unpublished() &&
           MessageDifferencer::Equals(former, asked);
  }

  // On the disk before the first change: whoever asked sees that the tenant may not be as it was.
  absl::Status RememberBefore(PhaseContext& context) {
    MTP_RETURN_IF_ERROR(tools_->journal->Tenant(name_).status());
    if (context.result->count(kContainerBefore) > 0) return absl::OkStatus();
    MTP_ASSIGN_OR_RETURN(const bool unchanged, IsUnchanged());
    const auto details = tools_->engine->InspectContainer(name_.Container());
    if (!details.ok() && !absl::IsNotFound(details.status())) return details.status();
    const std::string before = details.ok() ? details->id : kNoContainer;
    (*context.result)[kContainerBefore] = unchanged ? kUnchanged : before;
    return context.save_result();
  }

  absl::Status TakeIn(PhaseContext& context) {
    context.progress("taking the settings in");
    MTP_ASSIGN_OR_RETURN(auto secrets, tools_->journal->ActionSecrets(request_.key()));
    Journal::TenantChange change;
    change.epoch = request_.epoch();
    change.spec = Asked().spec();
    change.port = Asked().port();
    change.secrets = std::move(secrets);
    change.probation = Asked().probation() && Runs();
    change.stopped = !Runs();
    change.subnets = tools_->writer->settings().subnets.size();
    MTP_RETURN_IF_ERROR(tools_->journal->PutTenant(name_, change).status());
    (*context.result)[kTakenIn] = "true";
    if (tools_->refresh) tools_->refresh(name_.value());
    return absl::OkStatus();
  }

  // Compose would stop it too, but without an eye on a drain that has nothing left to wait for.
  PhaseResult StopFormer(PhaseContext& context) {
    const auto details = tools_->engine->InspectContainer(name_.Container());
    if (absl::IsNotFound(details.status())) return PhaseResult::Done();
    if (!details.ok()) return PhaseResult::Failed(details.status());
    if (details->id != (*context.result)[kContainerBefore]) return PhaseResult::Done();
    return StopContainer(*tools_, name_, context);
  }

  absl::Status TakeAway(PhaseContext& context) {
    context.progress("removing the container with the former settings");
    MTP_RETURN_IF_ERROR(
        Annotate(tools_->compose->RemoveOne({name_.value(), RenderServiceStub(name_.value())},
                                            absl::Seconds(kStopGraceSeconds), context.cancel),
                 "removing the container"));
    // Of a container that is gone, so a file that cannot be written now costs nothing.
    if (tools_->lease != nullptr) tools_->lease->Release(name_.value()).IgnoreError();
    return ProveStopped(*tools_, name_);
  }

  const v1::EnsureActionRequest request_;
};

}  // namespace

std::unique_ptr<ActionScript> NewReconfigureScript(TenantTools* tools,
                                                   const v1::EnsureActionRequest& request) {
  return std::make_unique<ReconfigureScript>(tools, request);
}

}  // namespace mtp
