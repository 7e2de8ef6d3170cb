// Remove: the tenant leaves this host; what is not there is removed already.
#include <absl/strings/str_cat.h>

#include "agent/compose/render.h"
#include "agent/lease/lease.h"
#include "agent/tenants/scripts.h"
#include "agent/tenants/stopping.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// A tenant that is to be kept whole is stopped by an action of its own before; what still runs here
// is a start that failed.
constexpr absl::Duration kRemoveGrace = absl::Seconds(30);

class RemoveScript final : public ActionScript {
 public:
  RemoveScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : tools_(tools),
        name_(*TenantName::Parse(request.tenant())),
        keep_data_(request.remove().keep_data()) {
    Add([this](PhaseContext& context) { return RemoveContainer(context); });
    Add([this](PhaseContext& context) { return RemoveData(context); });
    Add([this](PhaseContext& context) { return Forget(context); });
  }
  std::string DoneMessage() const override {
    return keep_data_ ? "removed; its data is kept" : "removed";
  }

 private:
  PhaseResult RemoveContainer(PhaseContext& context) {
    auto known = tools_->journal->Tenant(name_);
    if (known.ok()) {
      absl::Status policy = tools_->journal->SetRunPolicy(name_, v1::RUN_POLICY_STOP);
      if (!policy.ok()) return PhaseResult::Failed(policy);
    }
    context.progress("removing the container");
    absl::Status removed = tools_->compose->RemoveOne(
        {name_.value(), RenderServiceStub(name_.value())}, kRemoveGrace, context.cancel);
    if (!removed.ok()) return PhaseResult::Failed(Annotate(removed, "removing the container"));
    return PhaseResult::Of(ProveStopped(*tools_, name_));
  }

  PhaseResult RemoveData(PhaseContext& context) {
    if (keep_data_) return PhaseResult::Done();
    // Data without a tenant was kept on purpose by an earlier removal: it is not this tenant's.
    auto known = tools_->journal->Tenant(name_);
    if (absl::IsNotFound(known.status())) return PhaseResult::Done();
    if (!known.ok()) return PhaseResult::Failed(known.status());
    context.progress("removing the data");
    return PhaseResult::Of(Annotate(tools_->data->Remove(name_.value()), "removing the data"));
  }

  PhaseResult Forget(PhaseContext& context) {
    context.progress("removing the tenant from the project's files");
    absl::Status forgotten = tools_->journal->RemoveTenant(name_);
    if (!forgotten.ok()) return PhaseResult::Failed(forgotten);
    absl::Status written = tools_->writer->WriteAll();
    if (!written.ok()) return PhaseResult::Failed(written);
    // Of a container that is gone, so a file that cannot be written now costs nothing but a line.
    if (tools_->lease != nullptr) tools_->lease->Release(name_.value()).IgnoreError();
    if (tools_->forget) tools_->forget(name_.value());
    if (tools_->kept_data_changed) tools_->kept_data_changed();
    return PhaseResult::Done();
  }

  TenantTools* const tools_;
  const TenantName name_;
  const bool keep_data_;
};

}  // namespace

std::unique_ptr<ActionScript> NewRemoveScript(TenantTools* tools,
                                              const v1::EnsureActionRequest& request) {
  return std::make_unique<RemoveScript>(tools, request);
}

}  // namespace mtp
