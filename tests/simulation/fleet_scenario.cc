#include "tests/simulation/fleet_scenario.h"

#include <algorithm>

#include "common/base/status.h"
#include "controller/backups/policies.h"
#include "controller/backups/repositories.h"

namespace mtp::simulation {

FleetScenario::FleetScenario(const SeedOptions& options)
    : Scenario(options),
      subject_(DrawSubject()),
      engines_(&clock_, &random_, options.plant),
      fleet_judge_(disk_.get(), &judge_, &agents_, &engines_),
      update_judge_(&judge_, &engines_),
      restore_judge_(&judge_, &engines_),
      schedule_judge_(disk_.get(), &clock_, &judge_, &agents_, &engines_) {
  fleet_judge_.SetBox(&box_);
  AddHosts();
  if (subject_ == Subject::kBackups || random_.Chance(750)) AddRepository();
  DrawWeights();
  Listen();
  if (subject_ != Subject::kNone) Settle();
  // What a restore leaves behind when it fails has to be seen.
  if (subject_ == Subject::kBackups) {
    faults_.failing_action = std::max<uint64_t>(faults_.failing_action, 128);
  }
}

void FleetScenario::AddHosts() {
  const uint64_t least = subject_ == Subject::kNone ? 1 : 6;
  const uint64_t most = random_.Chance(500) ? 8 : 24;
  kv::Txn txn;
  for (const std::string& host : agents_.Hosts()) {
    const int64_t mib = 512 * static_cast<int64_t>(least + random_.Below(most));
    allocatable_mib_[host] = mib;
    state::v1::HostRecord record;
    record.set_name(host);
    record.set_allocatable_mib(mib);
    record.set_memory_total_mib(mib + 1024);
    Tables(disk_.get()).hosts.Put(txn, host, record);
  }
  fleet_judge_.SetRoom(allocatable_mib_);
  if (!disk_->Commit(txn).ok()) judge_.Violation("the hosts could not be written");
}

void FleetScenario::AddRepository() {
  v1::AddRepositoryRequest request;
  request.set_repository_id("main");
  request.set_url("/srv/main");
  if (!Repositories(disk_.get(), &box_, &clock_, &random_).Add(request).ok()) {
    judge_.Violation("the repository could not be added");
  }
  fleet_judge_.SetHasRepository();
  if (random_.Chance(300)) SetPolicy();
}

void FleetScenario::SetPolicy() {
  scheduled_ = true;
  v1::SetBackupPolicyRequest request;
  v1::BackupPolicy& policy = *request.mutable_policy();
  const int64_t hours = random_.Chance(500) ? 24 : 6;
  policy.mutable_interval()->set_seconds(hours * 3600);
  policy.mutable_drill_interval()->set_seconds(random_.Chance(500) ? 24 * 3600 : 0);
  if (random_.Chance(500)) {
    policy.set_keep_last(1 + static_cast<int32_t>(random_.Below(2)));
    policy.set_keep_days(1);
  }
  const Repositories repositories(disk_.get(), &box_, &clock_, &random_);
  if (!Policies(disk_.get(), &repositories, &clock_).Set(request).ok()) {
    judge_.Violation("the policy could not be set");
  }
  schedule_judge_.SetPolicy(policy);
  downtime_ = absl::Hours(6) + Within(absl::Hours(100));
  calm_ = absl::Minutes(45);
}

std::vector<FleetScenario::Ask> FleetScenario::AsksAbout(Subject subject) {
  switch (subject) {
    case Subject::kNone:
      return {};
    case Subject::kSettings:
      return {Ask::kSet, Ask::kReconfigure};
    case Subject::kBackups:
      // Twice as many restores: they end in many ways.
      return {Ask::kBackup, Ask::kVerify, Ask::kDrill, Ask::kPrune, Ask::kRestore, Ask::kRestore};
    case Subject::kRollouts:
      return {Ask::kRollout};
  }
  return {};
}

void FleetScenario::DrawWeights() {
  for (uint64_t& weight : weights_) {
    weight = random_.Chance(500) ? 0 : uint64_t{1} << random_.Below(3);
  }
  weights_[static_cast<size_t>(Ask::kProvision)] = 2 + random_.Below(8);
  // A restore needs a backup, and few end otherwise than well.
  uint64_t& restores = weights_[static_cast<size_t>(Ask::kRestore)];
  uint64_t& backups = weights_[static_cast<size_t>(Ask::kBackup)];
  if (restores > 0) backups = std::max(backups, restores *= 4);
  // About two of three.
  const std::vector<Ask> asks = AsksAbout(subject_);
  for (const Ask ask : asks) weights_[static_cast<size_t>(ask)] += 60 / asks.size();
  // A rollout takes its tenants one after another.
  if (weights_[static_cast<size_t>(Ask::kRollout)] > 0) calm_ = absl::Minutes(90);
}

void FleetScenario::Listen() {
  judge_.on_operation = [this](const std::string& id, const state::v1::OperationRecord* before,
                               const state::v1::OperationRecord& after) {
    update_judge_.OnOperation(id, before, after);
    restore_judge_.OnOperation(id, before, after);
    schedule_judge_.OnOperation(id, before, after);
  };
  agents_.refusal = [this](const std::string& host, const v1::EnsureActionRequest& request) {
    return engines_.Refusal(host, request);
  };
  agents_.on_effect = [this](const std::string& host, const v1::EnsureActionRequest& request,
                             v1::ActionState state,
                             v1::Action& action) { OnEffect(host, request, state, action); };
  agents_.on_reachable = [this](const std::string& host, bool reachable) {
    if (!ControllerLives()) return;
    Observe(host, reachable);
    if (!reachable) return;
    // As the controller does when a host's stream is back.
    for (const kv::Entry& entry : disk_->List("/operations/")) {
      controller_->engine().Wake(entry.key.substr(sizeof("/operations/") - 1));
    }
  };
}

void FleetScenario::OnEffect(const std::string& host, const v1::EnsureActionRequest& request,
                             v1::ActionState state, v1::Action& action) {
  if (state == v1::ACTION_STATE_FAILED || state == v1::ACTION_STATE_CANCELLED) {
    engines_.Affect(host, request, state, action);
    return;
  }
  const std::string id = request.key().substr(0, request.key().find('/'));
  const state::v1::OperationRecord* const record = judge_.Find(id);
  if (record == nullptr) {
    judge_.Violation(absl::StrCat(request.key(), " belongs to no operation"));
    return;
  }
  const std::string& tenant = request.tenant();
  fleet_judge_.BeforeEffect(host, request, record->operation().kind());
  const TenantView before = engines_.View(host, tenant);
  engines_.Affect(host, request, state, action);
  const TenantView after = engines_.View(host, tenant);
  update_judge_.OnAction(id, *record, request, before, after);
  restore_judge_.OnAction(id, *record, request, state == v1::ACTION_STATE_DONE, before, after);
  fleet_judge_.AfterEffect(host, request);
  if (ControllerLives() && !SameButWords(before, after)) {
    Observe(host, agents_.IsReachable(host));
  }
}

std::vector<operations::Kind> FleetScenario::MakeKinds(const StepWorld& steps) {
  FleetLife::Options options;
  options.clock = &clock_;
  options.random = &random_;
  options.box = &box_;
  if (random_.Chance(500)) options.policy = scheduler::Policy::kSpread;
  life_ = std::make_unique<FleetLife>(steps, options);
  for (const std::string& host : agents_.Hosts()) Observe(host, agents_.IsReachable(host));
  return life_->Kinds();
}

void FleetScenario::OnBoot() {
  if (!ControllerLives() || !scheduled_ || calm_ended_) return;
  if (!life_->StartSchedule()) judge_.Violation("the schedule could not be started");
}

void FleetScenario::OnDowntimeEnds() {
  schedule_judge_.OnDowntimeEnds();
  for (const auto& [tenant, missed] : schedule_judge_.missed()) {
    if (plant_ == Plant::kMissedRunEach) RunEachMissed(tenant, missed.times);
    if (plant_ == Plant::kMissedNotRun) {
      (void)disk_->Commit(kv::Txn().Delete(absl::StrCat("/schedules/", tenant)));
    }
  }
}

void FleetScenario::RunEachMissed(const std::string& tenant, int times) {
  const auto again = [this, tenant](int left) {
    executor_.PostAfter(absl::Seconds(5), [this, tenant, left] { RunEachMissed(tenant, left); });
  };
  if (times == 0 || quiet_) return;
  if (!ControllerLives()) return again(times);
  v1::CreateBackupRequest request;
  request.set_tenant(absl::StrCat("tenants/", tenant));
  request.set_request_id(absl::StrCat("missed-", tenant, "-", times));
  const auto begun = life_->backups().CreateFor("scheduled", kScheduleCaller, request);
  again(begun.ok() ? times - 1 : times);
}

void FleetScenario::OnCalmEnds() {
  calm_ended_ = true;
  if (life_ != nullptr) life_->StopSchedule();
}

void FleetScenario::Observe(const std::string& host, bool reachable) {
  life_->observations().Update(host, [&](HostObservation& seen) {
    seen.connected = reachable;
    seen.status.set_state(v1::HOST_STATE_READY);
    seen.status.set_allocatable_mib(allocatable_mib_[host]);
    seen.status.set_memory_total_mib(allocatable_mib_[host] + 1024);
    seen.status.set_disk_free_mib(100'000);
    if (!reachable) return;
    seen.tenants.clear();
    const auto engine = engines_.containers().find(host);
    if (engine == engines_.containers().end()) return;
    for (const auto& [tenant, container] : engine->second) {
      v1::TenantStatus& status = seen.tenants[tenant];
      status.set_state(container.running ? v1::TENANT_STATE_RUNNING : v1::TENANT_STATE_STOPPED);
      status.set_image_id(ImageId(container.image));
    }
  });
}

void FleetScenario::Conclude() {
  judge_.Conclude({}, agents_);
  fleet_judge_.Conclude();
  schedule_judge_.Conclude();
}

void FleetScenario::CountSeen(std::map<std::string, int64_t>& seen) const {
  judge_.CountSucceeded(seen);
  seen["update brought back"] += update_judge_.brought_back();
  seen["restore taken back"] += restore_judge_.taken_back();
  seen["restored data stayed after a failure"] += restore_judge_.kept_in_place();
  seen["missed backups caught up"] += schedule_judge_.caught_up();
}

}  // namespace mtp::simulation
