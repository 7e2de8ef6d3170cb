#include "agent/tenants/lease_watch.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "agent/tenants/leased.h"
#include "common/base/names.h"

namespace mtp {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);
// OpenClaw's drain takes longer; what it does not end by then is in its last backup or lost, as
// when the guard had ended it.
constexpr absl::Duration kMaxGrace = absl::Seconds(10);
constexpr absl::Duration kMinGrace = absl::Seconds(1);

}  // namespace

LeaseWatch::LeaseWatch(TenantTools* tools, Lease* lease, Executor* executor,
                       std::function<void()> on_lease_back)
    : tools_(tools), lease_(lease), executor_(executor), on_lease_back_(std::move(on_lease_back)) {}

void LeaseWatch::Start() {
  executor_->Post([this] { LookOnce(); });
  ScheduleLook();
}

void LeaseWatch::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
}

void LeaseWatch::ScheduleLook() {
  executor_->PostAfter(kInterval, [this] {
    {
      absl::MutexLock lock(&mutex_);
      if (stopped_) return;
    }
    LookOnce();
    ScheduleLook();
  });
}

void LeaseWatch::LookOnce() {
  const auto tenants = tools_->journal->Tenants();
  if (!tenants.ok()) return;  // the guard does not need the journal
  for (const auto& record : *tenants) {
    if (IsLeased(record) && lease_->MustStop(record.name(), record.epoch())) End(record);
  }
  const bool good = lease_->IsGood();
  {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(good_, good) || !good) return;
  }
  if (std::any_of(tenants->begin(), tenants->end(), IsLeased)) on_lease_back_();
}

void LeaseWatch::End(const state::v1::AgentTenantRecord& record) {
  const auto name = TenantName::Parse(record.name());
  if (!name.ok()) return;
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_ || !ending_.insert(record.name()).second) return;
  }
  executor_->Post([this, name = *name] {
    const auto details = tools_->engine->InspectContainer(name.Container());
    if (details.ok() && details->HasProcesses()) {
      tools_->log.Warning(absl::StrCat("tenant ", name.value(),
                                       " may fail over and has no lease any more; stopping it"));
      const absl::Duration grace = std::clamp(lease_->Left(), kMinGrace, kMaxGrace);
      const absl::Status stopped = tools_->engine->Stop(name.Container(), grace, std::stop_token());
      if (!stopped.ok()) tools_->log.Error(std::string(stopped.message()));
    }
    absl::MutexLock lock(&mutex_);
    ending_.erase(name.value());
  });
}

}  // namespace mtp
