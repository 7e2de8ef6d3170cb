// Verify: a backup is read back whole, compared with its manifest, and thrown away again.
#include "agent/tenants/fetch.h"
#include "agent/tenants/repository_script.h"
#include "agent/tenants/scripts.h"
#include "common/base/status.h"

namespace mtp {
namespace {

class VerifyScript final : public RepositoryScript {
 public:
  VerifyScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : RepositoryScript(tools, request) {
    Add([this](PhaseContext& context) { return WaitForSlot(context); });
    Add([this](PhaseContext& context) { return Judge(Fetch(context), context); });
  }
  ~VerifyScript() override { tools_->restores->Remove(name_.value()).IgnoreError(); }
  std::string DoneMessage() const override { return "verified"; }

 private:
  absl::Status Fetch(PhaseContext& context) {
    MTP_ASSIGN_OR_RETURN(const auto repository, OpenRepository());
    return FetchBackup(*tools_, *repository, name_, request_.verify().backup(), context);
  }
};

}  // namespace

std::unique_ptr<ActionScript> NewVerifyScript(TenantTools* tools,
                                              const v1::EnsureActionRequest& request) {
  return std::make_unique<VerifyScript>(tools, request);
}

}  // namespace mtp
