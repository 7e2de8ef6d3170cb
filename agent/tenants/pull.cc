// Pull: an image is on this host. About the host alone, so that one pull serves all its tenants,
// before any of them is stopped.
#include <absl/strings/str_cat.h>

#include "agent/tenants/images.h"
#include "agent/tenants/scripts.h"

namespace mtp {
namespace {

class PullScript final : public ActionScript {
 public:
  PullScript(TenantTools* tools, const v1::PullImageAction& pull)
      : tools_(tools), image_(pull.image()), refresh_(pull.refresh()) {
    Add([this](PhaseContext& context) { return Resolve(context); });
    Add([this](PhaseContext& context) { return BringImage(*tools_, reference_, context); });
    Add([this](PhaseContext& context) { return Pin(context); });
  }
  std::string DoneMessage() const override { return "on this host"; }

 private:
  PhaseResult Resolve(PhaseContext& context) {
    reference_ = image_;
    if (!refresh_) return PhaseResult::Done();
    context.progress(absl::StrCat("asking the registry for image ", image_));
    auto reference = ReferenceInRegistry(*tools_->engine, image_, context.stop);
    if (!reference.ok()) return PhaseResult::Failed(reference.status());
    reference_ = *std::move(reference);
    return PhaseResult::Done();
  }

  PhaseResult Pin(PhaseContext& context) {
    const auto details = tools_->engine->InspectImage(reference_);
    if (!details.ok()) return PhaseResult::Failed(details.status());
    (*context.result)["image_id"] = details->id;
    (*context.result)["pinned"] = PinnedReference(reference_, *details);
    return PhaseResult::Done();
  }

  TenantTools* const tools_;
  const std::string image_;
  const bool refresh_;
  std::string reference_;  // What is pulled, inspected and pinned.
};

}  // namespace

std::unique_ptr<ActionScript> NewPullScript(TenantTools* tools,
                                            const v1::EnsureActionRequest& request) {
  return std::make_unique<PullScript>(tools, request.pull());
}

}  // namespace mtp
