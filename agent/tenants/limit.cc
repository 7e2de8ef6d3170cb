// Limit: another memory limit for a tenant, without a restart. Order: the journal, the project
// folder, the running container. The container keeps the config hash that Compose gave it, so the
// next `compose up` of the service makes a new one: only a start, restart or apply does that.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "agent/compose/service_text.h"
#include "agent/tenants/scripts.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kBefore[] = "memory_limit_before_mib";
constexpr char kLimit[] = "memory_limit_mib";

class LimitScript final : public ActionScript {
 public:
  LimitScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : tools_(tools),
        name_(*TenantName::Parse(request.tenant())),
        limit_mib_(request.limit().memory_limit_mib()) {
    Add([this](PhaseContext& context) { return PhaseResult::Of(RememberBefore(context)); });
    Add([this](PhaseContext& context) { return OrPutBack(CheckUse(), context); });
    Add([this](PhaseContext& context) { return OrPutBack(Write(limit_mib_), context); });
    Add([this](PhaseContext& context) { return OrPutBack(SetOnContainer(), context); });
    Add([this](PhaseContext& context) {
      (*context.result)[kLimit] = absl::StrCat(limit_mib_);
      if (tools_->refresh) tools_->refresh(name_.value());
      return PhaseResult::Done();
    });
  }
  std::string DoneMessage() const override {
    return absl::StrCat("the memory limit is ", limit_mib_, " MiB");
  }

 private:
  // What a failure puts back, also one after the agent was killed.
  absl::Status RememberBefore(PhaseContext& context) {
    MTP_ASSIGN_OR_RETURN(const auto record, tools_->journal->Tenant(name_));
    if (context.result->count(kBefore) > 0) return absl::OkStatus();
    (*context.result)[kBefore] = absl::StrCat(record.spec().memory_limit_mib());
    return context.save_result();
  }

  // The kernel would have to reclaim what is in use, and kills when it cannot.
  absl::Status CheckUse() {
    auto details = tools_->engine->InspectContainer(name_.Container());
    if (absl::IsNotFound(details.status())) return absl::OkStatus();
    if (!details.ok()) return details.status();
    if (!details->HasProcesses()) return absl::OkStatus();
    auto memory = tools_->cgroups->Memory(details->pid);
    if (!memory.ok()) return absl::OkStatus();  // it ended meanwhile, or the engine decides
    const int64_t used_mib = memory->used_bytes >> 20;
    if (used_mib < limit_mib_) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(name_.value(), " uses ", used_mib, " MiB now, so its limit cannot be ",
                     limit_mib_, " MiB; choose more, or stop it first"));
  }

  absl::Status Write(int64_t limit_mib) {
    MTP_RETURN_IF_ERROR(tools_->journal->SetMemoryLimit(name_, limit_mib));
    return tools_->writer->WriteAll();
  }

  // Both limits in one call: the engine and the kernel then find the order in which they may change
  // (cgroup v1 refuses a limit above the one of memory and swap together).
  absl::Status SetOnContainer() {
    MemoryLimits limits;
    limits.memory_bytes = limit_mib_ << 20;
    limits.memory_swap_bytes = SwapLimitMib(limit_mib_) << 20;
    const absl::Status set = tools_->engine->UpdateMemoryLimits(name_.Container(), limits);
    return absl::IsNotFound(set) ? absl::OkStatus() : set;
  }

  // A failure leaves nothing changed. An engine that is away is tried again instead.
  PhaseResult OrPutBack(const absl::Status& status, PhaseContext& context) {
    if (status.ok() || absl::IsUnavailable(status)) return PhaseResult::Of(status);
    int64_t before_mib = 0;
    if (absl::SimpleAtoi((*context.result)[kBefore], &before_mib) && before_mib != limit_mib_) {
      const absl::Status back = Write(before_mib);
      if (!back.ok()) tools_->log.Error(std::string(back.message()));
    }
    return PhaseResult::Failed(status);
  }

  TenantTools* const tools_;
  const TenantName name_;
  const int64_t limit_mib_;
};

}  // namespace

std::unique_ptr<ActionScript> NewLimitScript(TenantTools* tools,
                                             const v1::EnsureActionRequest& request) {
  return std::make_unique<LimitScript>(tools, request);
}

}  // namespace mtp
