// Pull: an image is on this host. About the host alone, so that one pull serves all its tenants,
// before any of them is stopped.
#include "agent/tenants/images.h"
#include "agent/tenants/scripts.h"

namespace mtp {
namespace {

class PullScript final : public ActionScript {
 public:
  PullScript(TenantTools* tools, const v1::PullImageAction& pull)
      : tools_(tools), image_(pull.image()), refresh_(pull.refresh()) {
    Add([this](PhaseContext& context) { return BringImage(*tools_, image_, refresh_, context); });
    Add([this](PhaseContext& context) { return Pin(context); });
  }
  std::string DoneMessage() const override { return "on this host"; }

 private:
  PhaseResult Pin(PhaseContext& context) {
    const auto details = tools_->engine->InspectImage(image_);
    if (!details.ok()) return PhaseResult::Failed(details.status());
    (*context.result)["image_id"] = details->id;
    (*context.result)["pinned"] = PinnedReference(image_, *details);
    return PhaseResult::Done();
  }

  TenantTools* const tools_;
  const std::string image_;
  const bool refresh_;
};

}  // namespace

std::unique_ptr<ActionScript> NewPullScript(TenantTools* tools,
                                            const v1::EnsureActionRequest& request) {
  return std::make_unique<PullScript>(tools, request.pull());
}

}  // namespace mtp
