// Verify: a backup is read back whole, compared with its manifest, and thrown away again.
#include "agent/tenants/fetch.h"
#include "agent/tenants/scripts.h"
#include "common/base/status.h"

namespace mtp {
namespace {

class VerifyScript final : public ActionScript {
 public:
  VerifyScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : tools_(tools),
        request_(request),
        name_(*TenantName::Parse(request.tenant())),
        ticket_(tools->backups, name_.value()),
        patience_(tools->clock) {
    Add([this](PhaseContext& context) { return WaitForBackupSlot(ticket_, context); });
    Add([this](PhaseContext& context) {
      return patience_.Judge(
          FetchBackup(*tools_, request_.key(), name_, request_.verify().backup(), context),
          context);
    });
  }
  ~VerifyScript() override { tools_->restores->Remove(name_.value()).IgnoreError(); }
  std::string DoneMessage() const override { return "verified"; }

 private:
  TenantTools* const tools_;
  const v1::EnsureActionRequest request_;
  const TenantName name_;
  StartTicket ticket_;
  RepositoryPatience patience_;
};

}  // namespace

std::unique_ptr<ActionScript> NewVerifyScript(TenantTools* tools,
                                              const v1::EnsureActionRequest& request) {
  return std::make_unique<VerifyScript>(tools, request);
}

}  // namespace mtp
