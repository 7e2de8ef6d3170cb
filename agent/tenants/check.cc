// Check: one tenant's part of a repository, by restic's own means: whether its structure is whole
// and, when asked for, all of its data.
#include <absl/strings/str_cat.h>

#include "agent/tenants/repository_script.h"
#include "agent/tenants/scripts.h"
#include "common/base/status.h"

namespace mtp {
namespace {

class CheckScript final : public RepositoryScript {
 public:
  CheckScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : RepositoryScript(tools, request) {
    Add([this](PhaseContext& context) { return WaitForSlot(context); });
    Add([this](PhaseContext& context) { return Judge(Check(context), context); });
  }
  std::string DoneMessage() const override { return "checked"; }

 private:
  absl::Status Check(PhaseContext& context) {
    MTP_ASSIGN_OR_RETURN(const auto repository, OpenRepository());
    const bool read_data = request_.check().read_data();
    context.progress(read_data ? "reading all data of the repository"
                               : "checking the repository's structure");
    MTP_RETURN_IF_ERROR(repository->Check(read_data, context.cancel));
    MTP_ASSIGN_OR_RETURN(const RepositoryStats stats, repository->Stats(context.cancel));
    (*context.result)["snapshots"] = absl::StrCat(stats.snapshots);
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<ActionScript> NewCheckScript(TenantTools* tools,
                                             const v1::EnsureActionRequest& request) {
  return std::make_unique<CheckScript>(tools, request);
}

}  // namespace mtp
