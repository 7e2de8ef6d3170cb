// Park: a tenant that ends again and again is stopped until an operator starts it. It is the
// agent's own action: a StopTenantAction whose key begins with kParkKeyPrefix. Killed in the middle
// it goes on as every action; the controller's actions come first.
#include <absl/strings/str_cat.h>

#include "agent/compose/render.h"
#include "agent/tenants/crash_history.h"
#include "agent/tenants/last_log.h"
#include "agent/tenants/redaction.h"
#include "agent/tenants/scripts.h"
#include "agent/tenants/stopping.h"

namespace mtp {
namespace {

// It was not ready, so there is no turn to wait for.
constexpr absl::Duration kParkGrace = absl::Seconds(30);
constexpr int kParkedLines = 20;
constexpr size_t kParkedLineBytes = 500;

std::string Reason(const ContainerDetails& details) {
  std::string how = absl::StrCat("with exit code ", details.exit_code);
  if (details.oom_killed) how = "killed by the kernel for lack of memory";
  if (!details.error.empty()) how = absl::StrCat("with the engine's words: ", details.error);
  return absl::StrCat("it ended ", kCrashLoopEnds, " times within ",
                      absl::ToInt64Minutes(kCrashLoopWindow),
                      " minutes without staying ready, the last time ", how);
}

class ParkScript final : public ActionScript {
 public:
  ParkScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : tools_(tools), name_(*TenantName::Parse(request.tenant())) {
    Add([this](PhaseContext&) { return PhaseResult::Of(Remember()); });
    Add([this](PhaseContext& context) {
      return PhaseResult::Of(tools_->compose->StopOne(
          {name_.value(), RenderServiceStub(name_.value())}, kParkGrace, context.cancel));
    });
    Add([this](PhaseContext&) { return PhaseResult::Of(ProveStopped(*tools_, name_)); });
  }
  std::string DoneMessage() const override { return "parked"; }

 private:
  // Before the stop, so that nobody takes it for one that fell out.
  absl::Status Remember() {
    auto record = tools_->journal->Tenant(name_);
    if (!record.ok()) return record.status();
    // A resumed action: what is journaled is from the moment itself.
    if (!record->parked_reason().empty()) return absl::OkStatus();
    auto details = tools_->engine->InspectContainer(name_.Container());
    if (!details.ok()) return details.status();
    auto secrets = tools_->journal->Secrets(name_);
    if (!secrets.ok()) return secrets.status();
    const std::string log = ReadLastLog(*tools_->engine, name_.Container(), kParkedLines * 2);
    return tools_->journal->Park(name_, Reason(*details),
                                 LastLineList(log, *secrets, kParkedLines, kParkedLineBytes));
  }

  TenantTools* const tools_;
  const TenantName name_;
};

}  // namespace

std::unique_ptr<ActionScript> NewParkScript(TenantTools* tools,
                                            const v1::EnsureActionRequest& request) {
  return std::make_unique<ParkScript>(tools, request);
}

}  // namespace mtp
