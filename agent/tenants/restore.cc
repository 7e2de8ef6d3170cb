// Restore: a backup that has been read back and compared takes the place of the tenant's data,
// which is kept aside. The tenant works on until the backup is whole on this host's disk.
#include <absl/strings/str_cat.h>

#include "agent/tenants/fetch.h"
#include "agent/tenants/repository_script.h"
#include "agent/tenants/scripts.h"
#include "agent/tenants/stopping.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// Names the unpacked folder, so that a resumed action knows whether it is in place already.
constexpr char kUnpacked[] = "unpacked";
constexpr char kKeptKey[] = "previous_data";

class RestoreScript final : public RepositoryScript {
 public:
  RestoreScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : RepositoryScript(tools, request) {
    Add([this](PhaseContext& context) { return WaitForSlot(context); });
    Add([this](PhaseContext& context) { return Fetch(context); });
    Add([this](PhaseContext& context) { return Stop(context); });
    Add([this](PhaseContext& context) { return PutInPlace(context); });
  }
  ~RestoreScript() override { tools_->restores->Remove(name_.value()).IgnoreError(); }
  std::string DoneMessage() const override {
    return kept_.empty() ? "restored"
                         : absl::StrCat("restored; the previous data is kept for a day in data/",
                                        kept_, " on this host");
  }

 private:
  bool IsInPlace(const PhaseContext& context) const {
    const auto unpacked = context.result->find(kUnpacked);
    return unpacked != context.result->end() &&
           tools_->restores->IsInPlace(name_.value(), unpacked->second);
  }

  PhaseResult Fetch(PhaseContext& context) {
    if (IsInPlace(context)) return PhaseResult::Done();
    return Judge(Unpack(context), context);
  }

  absl::Status Unpack(PhaseContext& context) {
    MTP_ASSIGN_OR_RETURN(const auto repository, OpenRepository());
    MTP_RETURN_IF_ERROR(
        FetchBackup(*tools_, *repository, name_, request_.restore().backup(), context));
    MTP_RETURN_IF_ERROR(tools_->restores->TakeOwnership(name_.value()));
    context.progress("writing the backup to this host's disk");
    return tools_->restores->Sync(name_.value());
  }

  // Also a container that the journal does not know: nothing may write into the folder that leaves.
  PhaseResult Stop(PhaseContext& context) {
    if (IsInPlace(context)) return PhaseResult::Done();
    auto known = tools_->journal->Tenant(name_);
    if (known.ok()) {
      absl::Status policy = tools_->journal->SetRunPolicy(name_, v1::RUN_POLICY_STOP);
      if (!policy.ok()) return PhaseResult::Failed(policy);
    } else if (!absl::IsNotFound(known.status())) {
      return PhaseResult::Failed(known.status());
    }
    const PhaseResult stopped = StopContainer(*tools_, name_, context);
    if (stopped.kind != PhaseResult::Kind::kDone) return stopped;
    return PhaseResult::Of(ProveStopped(*tools_, name_));
  }

  PhaseResult PutInPlace(PhaseContext& context) {
    auto& result = *context.result;
    kept_ = result[kKeptKey];
    if (IsInPlace(context)) return PhaseResult::Done();
    auto unpacked = tools_->restores->Unpacked(name_.value());
    if (!unpacked.ok()) return PhaseResult::Failed(unpacked.status());
    result[kUnpacked] = *unpacked;
    kept_.clear();
    if (tools_->data->Exists(name_.value())) {
      kept_ = RestoreFolders::KeptPath(name_.value(), tools_->clock->Now());
    }
    result[kKeptKey] = kept_;
    absl::Status saved = context.save_result();
    if (!saved.ok()) return PhaseResult::Failed(saved);
    context.progress("putting the backup in the place of the data");
    absl::Status placed = tools_->restores->PutInPlace(name_.value(), kept_).status();
    if (!placed.ok()) return PhaseResult::Failed(placed);
    if (tools_->refresh) tools_->refresh(name_.value());
    if (tools_->kept_data_changed) tools_->kept_data_changed();
    return PhaseResult::Done();
  }

  std::string kept_;
};

}  // namespace

std::unique_ptr<ActionScript> NewRestoreScript(TenantTools* tools,
                                               const v1::EnsureActionRequest& request) {
  return std::make_unique<RestoreScript>(tools, request);
}

}  // namespace mtp
