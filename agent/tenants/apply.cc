// Apply: a tenant exists on this host as the controller asked for it, runs and is ready.
#include <absl/strings/str_cat.h>

#include "agent/compose/config_template.h"
#include "agent/tenants/config_check.h"
#include "agent/tenants/scripts.h"
#include "agent/tenants/starting.h"
#include "common/base/status.h"

namespace mtp {
namespace {

class ApplyScript final : public StartingScript {
 public:
  ApplyScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : StartingScript(tools, *TenantName::Parse(request.tenant())), request_(request) {
    Add([this](PhaseContext& context) { return TakeIn(context); });
    Add([this](PhaseContext& context) { return EnsureImage(context); });
    // With the slot: a new configuration is then checked once, and the rest finds it accepted.
    Add([this](PhaseContext& context) { return WaitForSlot(context); });
    Add([this](PhaseContext& context) { return MakeData(context); });
    Add([this](PhaseContext& context) { return BringUp(context); });
    Add([this](PhaseContext& context) { return WaitUntilReady(context); });
  }

 private:
  // The data of an earlier tenant of this name is used, set aside, or a reason to refuse; it never
  // becomes a new client's by accident.
  absl::Status SettleKeptData() {
    const std::string& name = name_.value();
    if (!tools_->data->Exists(name)) return absl::OkStatus();
    switch (request_.apply().kept_data()) {
      case v1::KEPT_DATA_USE:
        return absl::OkStatus();
      case v1::KEPT_DATA_SET_ASIDE:
        return tools_->data->SetAside(name, tools_->clock->Now()).status();
      default:
        return absl::FailedPreconditionError(
            absl::StrCat("this host keeps data of an earlier tenant ", name, " (data/", name,
                         "). Say whether to use it or to set it aside"));
    }
  }

  PhaseResult TakeIn(PhaseContext& context) {
    context.progress("taking the tenant in");
    auto known = tools_->journal->Tenant(name_);
    if (absl::IsNotFound(known.status())) {
      absl::Status settled = SettleKeptData();
      if (!settled.ok()) return PhaseResult::Failed(settled);
    } else if (!known.ok()) {
      return PhaseResult::Failed(known.status());
    }
    auto secrets = tools_->journal->ActionSecrets(request_.key());
    if (!secrets.ok()) return PhaseResult::Failed(secrets.status());
    Journal::TenantChange change;
    change.epoch = request_.epoch();
    change.spec = request_.apply().spec();
    change.port = request_.apply().port();
    change.secrets = *std::move(secrets);
    change.probation = request_.apply().probation();
    change.subnets = tools_->writer->settings().subnets.size();
    auto record = tools_->journal->PutTenant(name_, change);
    if (record.ok()) {
      if (tools_->refresh) tools_->refresh(name_.value());
      if (tools_->kept_data_changed) tools_->kept_data_changed();
    }
    return PhaseResult::Of(record.status());
  }

  PhaseResult MakeData(PhaseContext& context) {
    context.progress("preparing the data folder");
    absl::Status made = tools_->data->Make(name_.value());
    if (!made.ok()) return PhaseResult::Failed(Annotate(made, "preparing the data folder"));
    auto secrets = tools_->journal->Secrets(name_);
    if (!secrets.ok()) return PhaseResult::Failed(secrets.status());
    auto text = tools_->folder->ConfigTemplate();
    if (!text.ok()) return PhaseResult::Failed(text.status());
    auto config = RenderConfig(*text, TemplateConditions(request_.apply().spec(), *secrets));
    if (!config.ok()) return PhaseResult::Failed(config.status());
    absl::Status accepted =
        CheckConfig(*tools_, name_.value(), request_.apply().spec().image(), *config, context);
    if (!accepted.ok()) return PhaseResult::Failed(accepted);
    return PhaseResult::Of(tools_->data->InstallConfig(name_.value(), *config).status());
  }

  const v1::EnsureActionRequest request_;
};

}  // namespace

std::unique_ptr<ActionScript> NewApplyScript(TenantTools* tools,
                                             const v1::EnsureActionRequest& request) {
  return std::make_unique<ApplyScript>(tools, request);
}

}  // namespace mtp
