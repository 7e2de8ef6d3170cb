#include "agent/tenants/scripts.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "agent/openclaw/probe.h"
#include "agent/tenants/actions.h"
#include "agent/tenants/fetch.h"
#include "agent/tenants/repository_script.h"
#include "common/base/durations.h"
#include "common/base/environment.h"
#include "common/base/image_reference.h"
#include "common/base/status.h"
#include "common/restic/restic_command.h"

namespace mtp {
namespace {

constexpr size_t kMaxKeyLength = 200;
constexpr int kFirstTenantPort = 18801;
constexpr int kMaxForgotten = 1000;
constexpr absl::Duration kMaxIdleWait = absl::Minutes(30);
constexpr absl::Duration kMaxSoak = absl::Hours(24);

bool IsPlainWord(absl::string_view text, absl::string_view more) {
  return !text.empty() && text.size() <= kMaxKeyLength &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  more.find(c) != absl::string_view::npos;
         });
}

absl::Status CheckMemoryLimit(int64_t limit_mib) {
  if (limit_mib >= 16 && limit_mib <= (1 << 20)) return absl::OkStatus();
  return absl::InvalidArgumentError("the memory limit must be from 16 to 1048576 MiB");
}

// What a container is made of: ApplyTenant and ReconfigureTenantAction.
template <typename Making>
absl::Status CheckMaking(const Making& making) {
  if (!v1::FailoverPolicy_IsValid(making.spec().failover_policy())) {
    return absl::InvalidArgumentError("the failover policy is none that this agent knows");
  }
  MTP_RETURN_IF_ERROR(CheckImageReference(making.spec().image()));
  if (making.port() < kFirstTenantPort || making.port() > 65535) {
    return absl::InvalidArgumentError("the port must be from 18801 to 65535");
  }
  MTP_RETURN_IF_ERROR(CheckMemoryLimit(making.spec().memory_limit_mib()));
  MTP_RETURN_IF_ERROR(CheckEnvironment(making.spec().environment()));
  if (making.secrets().gateway_token().empty()) {
    return absl::InvalidArgumentError("the gateway token is missing");
  }
  return absl::OkStatus();
}

absl::Status CheckPull(const v1::EnsureActionRequest& request) {
  if (!request.tenant().empty() || request.epoch() != 0) {
    return absl::InvalidArgumentError("an image belongs to the host: leave tenant and epoch unset");
  }
  return CheckImageReference(request.pull().image());
}

absl::Status CheckDuration(const google::protobuf::Duration& given, absl::Duration most,
                           absl::string_view what) {
  const absl::Duration duration = FromDuration(given);
  if (duration >= absl::ZeroDuration() && duration <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " must be from 0 to ", absl::FormatDuration(most)));
}

absl::Status CheckDrill(const v1::DrillBackupAction& drill) {
  MTP_RETURN_IF_ERROR(CheckReference(drill.backup(), drill.repository()));
  MTP_RETURN_IF_ERROR(CheckImageReference(drill.spec().image()));
  return CheckMemoryLimit(drill.spec().memory_limit_mib());
}

// A policy that this agent does not know is nothing that it could keep to.
absl::Status CheckFailover(const v1::SetFailoverAction& action) {
  if (v1::FailoverPolicy_IsValid(action.policy())) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "the failover policy is none that this agent knows. Bring the agent to the controller's "
      "version");
}

absl::Status CheckForget(const std::string& tenant, const v1::ForgetBackupsAction& forget) {
  MTP_RETURN_IF_ERROR(CheckAccess(ToAccess(forget.repository())));
  if (forget.backup_ids().empty() || forget.backup_ids_size() > kMaxForgotten) {
    return absl::InvalidArgumentError("1 to 1000 backups can be removed at once");
  }
  for (const std::string& id : forget.backup_ids()) {
    MTP_RETURN_IF_ERROR(CheckIdentity({.fleet = forget.fleet(), .tenant = tenant, .backup = id}));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckActionRequest(const v1::EnsureActionRequest& request) {
  if (!IsPlainWord(request.key(), "/_.-") || absl::StrContains(request.key(), "..")) {
    return absl::InvalidArgumentError("the action's key must be `<operation>/<step>`");
  }
  if (request.has_pull()) return CheckPull(request);
  MTP_RETURN_IF_ERROR(TenantName::Parse(request.tenant()).status());
  if (request.epoch() < 1) return absl::InvalidArgumentError("the epoch must be at least 1");
  switch (request.action_case()) {
    case v1::EnsureActionRequest::kApply:
      return CheckMaking(request.apply());
    case v1::EnsureActionRequest::kBackup:
      if (!IsPlainWord(request.backup().backup_id(), "_-")) {
        return absl::InvalidArgumentError("the backup's id has letters, digits, _ and - only");
      }
      return absl::OkStatus();
    case v1::EnsureActionRequest::kSnapshot:
      MTP_RETURN_IF_ERROR(CheckAccess(ToAccess(request.snapshot().repository())));
      return CheckIdentity({.fleet = request.snapshot().fleet(),
                            .tenant = request.tenant(),
                            .backup = request.snapshot().backup_id()});
    case v1::EnsureActionRequest::kVerify:
      return CheckReference(request.verify().backup(), request.verify().repository());
    case v1::EnsureActionRequest::kRestore:
      return CheckReference(request.restore().backup(), request.restore().repository());
    case v1::EnsureActionRequest::kDrill:
      return CheckDrill(request.drill());
    case v1::EnsureActionRequest::kForget:
      return CheckForget(request.tenant(), request.forget());
    case v1::EnsureActionRequest::kStop:
      return CheckDuration(request.stop().idle_wait(), kMaxIdleWait, "the wait for an idle moment");
    case v1::EnsureActionRequest::kSoak:
      if (static_cast<size_t>(request.soak().failing_before_size()) > kMaxFailing) {
        return absl::InvalidArgumentError("too many parts failed before");
      }
      return CheckDuration(request.soak().duration(), kMaxSoak, "the soak");
    case v1::EnsureActionRequest::kStart:
    case v1::EnsureActionRequest::kRestart:
    case v1::EnsureActionRequest::kRemove:
      return absl::OkStatus();
    case v1::EnsureActionRequest::kLimit:
      return CheckMemoryLimit(request.limit().memory_limit_mib());
    case v1::EnsureActionRequest::kCheck:
      return CheckAccess(ToAccess(request.check().repository()));
    case v1::EnsureActionRequest::kSetFailover:
      return CheckFailover(request.set_failover());
    case v1::EnsureActionRequest::kReconfigure:
      return CheckMaking(request.reconfigure());
    case v1::EnsureActionRequest::kPull:
    case v1::EnsureActionRequest::ACTION_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "the action is none that this agent knows. Bring the agent to the controller's version");
}

std::unique_ptr<ActionScript> NewScript(TenantTools* tools,
                                        const v1::EnsureActionRequest& request) {
  switch (request.action_case()) {
    case v1::EnsureActionRequest::kApply:
      return NewApplyScript(tools, request);
    case v1::EnsureActionRequest::kStart:
      return NewStartScript(tools, request);
    case v1::EnsureActionRequest::kStop:
      return absl::StartsWith(request.key(), kParkKeyPrefix) ? NewParkScript(tools, request)
                                                             : NewStopScript(tools, request);
    case v1::EnsureActionRequest::kLimit:
      return NewLimitScript(tools, request);
    case v1::EnsureActionRequest::kRestart:
      return NewRestartScript(tools, request);
    case v1::EnsureActionRequest::kBackup:
      return NewBackupScript(tools, request);
    case v1::EnsureActionRequest::kRemove:
      return NewRemoveScript(tools, request);
    case v1::EnsureActionRequest::kSnapshot:
      return NewSnapshotScript(tools, request);
    case v1::EnsureActionRequest::kVerify:
      return NewVerifyScript(tools, request);
    case v1::EnsureActionRequest::kRestore:
      return NewRestoreScript(tools, request);
    case v1::EnsureActionRequest::kDrill:
      return NewDrillScript(tools, request);
    case v1::EnsureActionRequest::kForget:
      return NewForgetScript(tools, request);
    case v1::EnsureActionRequest::kPull:
      return NewPullScript(tools, request);
    case v1::EnsureActionRequest::kSoak:
      return NewSoakScript(tools, request);
    case v1::EnsureActionRequest::kCheck:
      return NewCheckScript(tools, request);
    case v1::EnsureActionRequest::kSetFailover:
      return NewSetFailoverScript(tools, request);
    case v1::EnsureActionRequest::kReconfigure:
      return NewReconfigureScript(tools, request);
    case v1::EnsureActionRequest::ACTION_NOT_SET:
      break;
  }
  return nullptr;
}

}  // namespace mtp
