#include "agent/tenants/reconcile.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "agent/backup/archive.h"
#include "agent/compose/render.h"
#include "agent/tenants/leased.h"
#include "common/base/status.h"
#include "common/base/ulid.h"

namespace mtp {
namespace {

// The engine brings its containers back by itself; only what is left then is ours to start.
constexpr absl::Duration kAfterEngineUp = absl::Seconds(3);
constexpr absl::Duration kInterval = absl::Minutes(1);
constexpr absl::Duration kFirstBackoff = absl::Minutes(1);
constexpr absl::Duration kMaxBackoff = absl::Minutes(30);

constexpr absl::Duration kStopGrace = absl::Seconds(30);

}  // namespace

Reconciler::Reconciler(TenantTools* tools, Actions* actions, Board* board, Executor* executor,
                       Random* random)
    : tools_(tools), actions_(actions), board_(board), executor_(executor), random_(random) {}

absl::Status Reconciler::Begin() {
  MTP_RETURN_IF_ERROR(tools_->folder->Prepare());
  MTP_RETURN_IF_ERROR(SweepUnfinishedArchives(tools_->folder->BackupsPath()));
  MTP_RETURN_IF_ERROR(tools_->restores->Sweep());
  MTP_RETURN_IF_ERROR(tools_->writer->WriteAll());
  PublishKeptData();
  return actions_->Resume();
}

void Reconciler::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
}

void Reconciler::OnEngineUp() { ScheduleLook(kAfterEngineUp); }

void Reconciler::OnLeaseBack() {
  if (const auto tenants = tools_->journal->Tenants(); tenants.ok()) {
    absl::MutexLock lock(&mutex_);
    for (const auto& record : *tenants) {
      if (IsLeased(record)) attempts_.erase(record.name());
    }
  }
  ScheduleLook(absl::ZeroDuration());
}

void Reconciler::ScheduleLook(absl::Duration delay) {
  uint64_t timer = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return;
    // Only the newest timer counts: an engine that flaps does not add up looks.
    timer = ++timer_;
  }
  executor_->PostAfter(delay, [this, timer] {
    {
      absl::MutexLock lock(&mutex_);
      if (stopped_ || timer != timer_) return;
    }
    LookOnce();
    ScheduleLook(kInterval);
  });
}

// MTP pauses a tenant for a moment only; a pause that lasts was left by an agent that was killed in
// it, or is somebody's by hand, and the client waits.
void Reconciler::Thaw(const TenantName& name) {
  tools_->log.Warning(absl::StrCat("tenant ", name.value(), " is paused; letting it go on"));
  const absl::Status thawed = tools_->engine->Unpause(name.Container());
  if (!thawed.ok()) tools_->log.Error(std::string(thawed.message()));
}

bool Reconciler::HasFallenOut(const TenantName& name) {
  auto details = tools_->engine->InspectContainer(name.Container());
  if (absl::IsNotFound(details.status())) return true;
  if (!details.ok()) return false;
  switch (details->state) {
    case ContainerState::kCreated:
    case ContainerState::kExited:
    case ContainerState::kDead:
      return true;
    case ContainerState::kPaused:
      Thaw(name);
      return false;
    case ContainerState::kRunning:
    case ContainerState::kRestarting:  // the engine brings it back, or it is parked
    case ContainerState::kRemoving:
    case ContainerState::kUnknown:
      return false;
  }
  return false;
}

// Read afresh: an action that began and ended meanwhile may have said so.
bool Reconciler::IsOnProbation(const TenantName& name) {
  const auto record = tools_->journal->Tenant(name);
  return record.ok() && record->probation();
}

void Reconciler::LookOnce() {
  auto tenants = tools_->journal->Tenants();
  if (!tenants.ok()) {
    tools_->log.Error(absl::StrCat("the journal cannot be read: ", tenants.status().message()));
    return;
  }
  // Once a minute at least: an operator's hand in the folder is put right.
  absl::Status written = tools_->writer->WriteAll();
  if (!written.ok()) tools_->log.Error(std::string(written.message()));
  PublishKeptData();
  tools_->drills->RemoveLeftovers(
      [this](const std::string& tenant) { return actions_->IsBusy(tenant); }, tools_->log);
  const absl::Status swept = tools_->restores->SweepQuarantine(tools_->clock->Now());
  if (!swept.ok()) tools_->log.Error(std::string(swept.message()));
  for (const auto& record : *tenants) {
    if (record.run_policy() == v1::RUN_POLICY_STOP || !record.parked_reason().empty() ||
        actions_->IsBusy(record.name())) {
      continue;
    }
    auto name = TenantName::Parse(record.name());
    if (!name.ok()) continue;
    if (HasFallenOut(*name)) {
      // Nothing acts in the middle of an update: the end is for its operation to see. One that may
      // fail over waits for the lease.
      if (!IsOnProbation(*name) && MayStartLeased(*tools_, record).ok()) Recover(record);
    } else {
      KeepLease(record, *name);
      absl::MutexLock lock(&mutex_);
      attempts_.erase(record.name());
    }
  }
}

void Reconciler::KeepLease(const state::v1::AgentTenantRecord& record, const TenantName& name) {
  if (!IsLeased(record)) return;
  const auto details = tools_->engine->InspectContainer(name.Container());
  if (!details.ok()) return;
  const absl::Status settled = SettleLease(*tools_, record, *details);
  if (!settled.ok()) tools_->log.Error(std::string(settled.message()));
}

void Reconciler::Recover(const state::v1::AgentTenantRecord& record) {
  const absl::Duration now = tools_->clock->Monotonic();
  {
    absl::MutexLock lock(&mutex_);
    Attempts& attempts = attempts_[record.name()];
    if (attempts.count > 0 && now < attempts.not_before) return;
    const absl::Duration backoff =
        std::min(kMaxBackoff, kFirstBackoff * (int64_t{1} << std::min(attempts.count, 8)));
    ++attempts.count;
    attempts.not_before = now + backoff;
  }
  tools_->log.Warning(absl::StrCat("tenant ", record.name(), " should run and does not; starting"));
  v1::EnsureActionRequest request;
  request.set_key(absl::StrCat(kRecoveryKeyPrefix, NewUlid(*tools_->clock, *random_)));
  request.set_tenant(record.name());
  request.set_epoch(record.epoch());
  request.mutable_start();
  auto begun = actions_->Ensure(request);
  if (!begun.ok()) {
    tools_->log.Warning(absl::StrCat("starting ", record.name(), ": ", begun.status().message()));
  }
}

void Reconciler::Park(const std::string& tenant) {
  executor_->Post([this, tenant] {
    auto name = TenantName::Parse(tenant);
    auto record = name.ok() ? tools_->journal->Tenant(*name) : name.status();
    if (!record.ok() || record->probation() || record->run_policy() == v1::RUN_POLICY_STOP ||
        actions_->IsBusy(tenant)) {
      return;
    }
    v1::EnsureActionRequest request;
    request.set_key(absl::StrCat(kParkKeyPrefix, NewUlid(*tools_->clock, *random_)));
    request.set_tenant(tenant);
    request.set_epoch(record->epoch());
    request.mutable_stop();
    auto begun = actions_->Ensure(request);
    if (!begun.ok()) {
      tools_->log.Warning(absl::StrCat("parking ", tenant, ": ", begun.status().message()));
    }
  });
}

// Whether its end, again and again, is what the start failed of.
bool Reconciler::KeepsEnding(const TenantName& name) {
  auto details = tools_->engine->InspectContainer(name.Container());
  return details.ok() && (details->state == ContainerState::kRestarting ||
                          details->restart_count >= tools_->ready_limits.restarts);
}

void Reconciler::OnRecovery(const v1::Action& action) {
  if (action.state() != v1::ACTION_STATE_FAILED || absl::StartsWith(action.key(), kParkKeyPrefix)) {
    return;
  }
  auto name = TenantName::Parse(action.tenant());
  if (!name.ok() || !tools_->journal->Tenant(*name).ok()) return;
  executor_->Post([this, name = *name] {
    if (actions_->IsBusy(name.value()) || KeepsEnding(name)) return;
    tools_->log.Warning(
        absl::StrCat("tenant ", name.value(), " does not come up; stopped until the next attempt"));
    tools_->compose
        ->StopOne({name.value(), RenderServiceStub(name.value())}, kStopGrace, /*cancel=*/nullptr)
        .IgnoreError();
  });
}

void Reconciler::PublishKeptData() {
  v1::KeptDataList kept;
  for (const std::string& name : tools_->data->List()) {
    auto parsed = TenantName::Parse(name);
    if (parsed.ok() && absl::IsNotFound(tools_->journal->Tenant(*parsed).status())) {
      kept.add_tenants(name);
    }
  }
  board_->SetKeptData(kept);
}

}  // namespace mtp
