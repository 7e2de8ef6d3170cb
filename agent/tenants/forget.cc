// Forget: named backups of a tenant leave its repository, and then the data that only they used.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>

#include "agent/tenants/repository_script.h"
#include "agent/tenants/scripts.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// Facts of the result. `removed` is there as soon as none of the backups is in the repository any
// more, also when the action fails later; `found` is how many an earlier life of it had seen.
constexpr char kRemoved[] = "removed";
constexpr char kFreedBytes[] = "freed_bytes";
constexpr char kFound[] = "found";

int64_t NumberIn(const std::string& text) {
  int64_t number = 0;
  return absl::SimpleAtoi(text, &number) ? number : 0;
}

class ForgetScript final : public RepositoryScript {
 public:
  ForgetScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : RepositoryScript(tools, request) {
    Add([this](PhaseContext& context) { return WaitForSlot(context); });
    Add([this](PhaseContext& context) { return Judge(Forget(context), context); });
    Add([this](PhaseContext& context) { return Judge(Prune(context), context); });
  }
  std::string DoneMessage() const override { return "removed"; }

 private:
  absl::Status Forget(PhaseContext& context) {
    MTP_ASSIGN_OR_RETURN(const auto repository, OpenRepository());
    context.progress("looking the backups up in their repository");
    auto listed = repository->List(request_.forget().fleet(), request_.tenant(), context.cancel);
    is_there_ = !absl::IsNotFound(listed.status());
    if (!is_there_) listed = std::vector<RepositorySnapshot>();
    MTP_RETURN_IF_ERROR(listed.status());
    const std::vector<std::string> snapshots = Chosen(*listed);
    auto& result = *context.result;
    const int64_t found = std::max({static_cast<int64_t>(snapshots.size()),
                                    NumberIn(result[kFound]), NumberIn(result[kRemoved])});
    result.erase(kRemoved);
    result[kFound] = absl::StrCat(found);
    MTP_RETURN_IF_ERROR(context.save_result());
    context.progress(absl::StrCat("removing ", snapshots.size(), " backups"));
    if (!snapshots.empty()) MTP_RETURN_IF_ERROR(repository->Forget(snapshots, context.cancel));
    result.erase(kFound);
    result[kRemoved] = absl::StrCat(found);
    return context.save_result();
  }

  std::vector<std::string> Chosen(const std::vector<RepositorySnapshot>& listed) const {
    const std::set<std::string> wanted(request_.forget().backup_ids().begin(),
                                       request_.forget().backup_ids().end());
    std::vector<std::string> chosen;
    for (const RepositorySnapshot& snapshot : listed) {
      // The list is the tenant's and the fleet's; what is removed is held to it once more.
      if (snapshot.identity.tenant == request_.tenant() &&
          snapshot.identity.fleet == request_.forget().fleet() &&
          wanted.count(snapshot.identity.backup) > 0) {
        chosen.push_back(snapshot.id);
      }
    }
    return chosen;
  }

  // Also when nothing was found: an earlier life may have ended before it.
  absl::Status Prune(PhaseContext& context) {
    int64_t freed = 0;
    if (is_there_) {
      MTP_ASSIGN_OR_RETURN(const auto repository, OpenRepository());
      context.progress("removing the data that only they used");
      MTP_ASSIGN_OR_RETURN(freed, repository->Prune(/*dry_run=*/false, context.cancel));
    }
    (*context.result)[kFreedBytes] = absl::StrCat(freed);
    return absl::OkStatus();
  }

  bool is_there_ = false;
};

}  // namespace

std::unique_ptr<ActionScript> NewForgetScript(TenantTools* tools,
                                              const v1::EnsureActionRequest& request) {
  return std::make_unique<ForgetScript>(tools, request);
}

}  // namespace mtp
