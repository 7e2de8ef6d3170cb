// What callers of the fleet ask for.
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <numeric>

#include "common/base/status.h"
#include "tests/simulation/fleet_scenario.h"

namespace mtp::simulation {
namespace {

// Two of them share an env prefix.
constexpr const char* kNames[] = {"acme", "beta", "client-a", "client--a", "delta", "7up"};
// More than names, and few enough that two often want the same.
constexpr uint64_t kBots = 8;
constexpr char kCaller[] = "operator/alice";

}  // namespace

bool FleetScenario::IsRefusal(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsAlreadyExists(status) ||
         absl::IsNotFound(status) || absl::IsResourceExhausted(status) ||
         absl::IsInvalidArgument(status);
}

std::string FleetScenario::DrawTenant() { return kNames[random_.Below(std::size(kNames))]; }

Scenario::Wish FleetScenario::NewWish() {
  uint64_t choice = random_.Below(std::accumulate(weights_.begin(), weights_.end(), uint64_t{0}));
  size_t ask = 0;
  while (choice >= weights_[ask]) choice -= weights_[ask++];
  return WishFor(static_cast<Ask>(ask));
}

// `ask` is given a backup that is drawn when the caller first asks, and stays the same.
template <typename Request>
Scenario::Wish FleetScenario::DrawnBackupWish(
    absl::StatusOr<v1::Operation> (Backups::*ask)(const std::string&, const Request&)) {
  const auto request = std::make_shared<Request>();
  request->set_request_id(NextRequestId());
  return {request->request_id(),
          [this, request, ask]() -> absl::StatusOr<v1::Operation> {
            if (request->name().empty()) {
              MTP_ASSIGN_OR_RETURN(const v1::Backup backup, DrawBackup());
              request->set_name(backup.name());
            }
            return (life_->backups().*ask)(kCaller, *request);
          },
          IsRefusal};
}

Scenario::Wish FleetScenario::WishFor(Ask ask) {
  switch (ask) {
    case Ask::kProvision:
      return ProvisionWish(DrawTenant(), random_.Below(kBots));
    case Ask::kRemove:
    case Ask::kStart:
    case Ask::kStop:
    case Ask::kRestart:
      return RunWish(ask);
    case Ask::kSet:
      return SetWish(DrawTenant());
    case Ask::kBackup:
      return BackupWish(DrawTenant());
    case Ask::kVerify:
      return DrawnBackupWish(&Backups::Verify);
    case Ask::kRestore:
      return RestoreWish();
    case Ask::kDrill:
      return DrawnBackupWish(&Backups::Drill);
    case Ask::kPrune:
      return PruneWish();
    case Ask::kCheck:
      return CheckWish();
    case Ask::kUpdate:
      return UpdateWish(DrawTenant());
    case Ask::kRollout:
      return RolloutWish();
    case Ask::kReconfigure:
      return ReconfigureWish(DrawTenant());
  }
  return {};
}

Scenario::Wish FleetScenario::RunWish(Ask ask) {
  const std::string id = NextRequestId();
  const std::string resource = "tenants/" + DrawTenant();
  const auto fill = [&](auto request) {
    request.set_name(resource);
    request.set_request_id(id);
    return request;
  };
  if (ask == Ask::kRemove) {
    const auto request = fill(v1::RemoveTenantRequest());
    return {id, [this, request] { return life_->tenants().Remove(kCaller, request); }, IsRefusal};
  }
  if (ask == Ask::kStart) {
    const auto request = fill(v1::StartTenantRequest());
    return {id, [this, request] { return life_->tenants().Start(kCaller, request); }, IsRefusal};
  }
  if (ask == Ask::kStop) {
    const auto request = fill(v1::StopTenantRequest());
    return {id, [this, request] { return life_->tenants().Stop(kCaller, request); }, IsRefusal};
  }
  const auto request = fill(v1::RestartTenantRequest());
  return {id, [this, request] { return life_->tenants().Restart(kCaller, request); }, IsRefusal};
}

void FleetScenario::Settle() {
  for (uint64_t i = 0; i < std::size(kNames); ++i) {
    Plan(Within(absl::Minutes(1)), [this, i] { Send(ProvisionWish(kNames[i], i)); });
  }
}

Scenario::Wish FleetScenario::ProvisionWish(const std::string& tenant, uint64_t bot) {
  v1::ProvisionTenantRequest request;
  request.set_tenant_id(tenant);
  request.set_request_id(NextRequestId());
  request.mutable_secrets()->set_telegram_token(absl::StrCat(1000 + bot, ":secret"));
  request.mutable_spec()->set_memory_reservation_mib(static_cast<int64_t>(256 * random_.Below(6)));
  return {request.request_id(),
          [this, request]() -> absl::StatusOr<v1::Operation> {
            MTP_ASSIGN_OR_RETURN(const auto response, life_->tenants().Provision(kCaller, request));
            return response.operation();
          },
          IsRefusal};
}

Scenario::Wish FleetScenario::SetWish(const std::string& tenant) {
  v1::UpdateTenantRequest request;
  request.set_name("tenants/" + tenant);
  request.set_request_id(NextRequestId());
  const uint64_t what = 1 + random_.Below(3);
  if ((what & 1) != 0) {
    request.mutable_update_mask()->add_paths("memory_reservation_mib");
    request.mutable_spec()->set_memory_reservation_mib(
        static_cast<int64_t>(256 * random_.Below(10)));
  }
  if ((what & 2) != 0) {
    request.mutable_update_mask()->add_paths("memory_limit_mib");
    request.mutable_spec()->set_memory_limit_mib(static_cast<int64_t>(512 * random_.Below(8)));
  }
  return {request.request_id(),
          [this, request] { return life_->tenants().Update(kCaller, request); }, IsRefusal};
}

// At most one variable: a map of several is not the same bytes each time.
Scenario::Wish FleetScenario::ReconfigureWish(const std::string& tenant) {
  v1::UpdateTenantRequest request;
  request.set_name("tenants/" + tenant);
  request.set_request_id(NextRequestId());
  const uint64_t what = 1 + random_.Below(15);
  if ((what & 1) != 0) {
    const char* secret = random_.Chance(300)   ? kBadSecret
                         : random_.Chance(500) ? ":secret"
                                               : ":new";
    request.mutable_update_mask()->add_paths("secrets.telegram_token");
    request.mutable_secrets()->set_telegram_token(
        absl::StrCat(1000 + random_.Below(kBots), secret));
  }
  if ((what & 2) != 0) {
    request.mutable_update_mask()->add_paths("secrets.openai_key");
    request.mutable_secrets()->set_openai_key(random_.Chance(300) ? "" : "key");
  }
  if ((what & 4) != 0) request.mutable_update_mask()->add_paths("secrets.gateway_token");
  if ((what & 8) != 0) {
    request.mutable_update_mask()->add_paths("environment");
    (*request.mutable_spec()->mutable_environment())["TZ"] = random_.Chance(500) ? "UTC" : "CET";
  }
  request.set_keep_on_failure(random_.Chance(150));
  request.mutable_soak()->set_seconds(static_cast<int64_t>(random_.Below(60)));
  return {request.request_id(),
          [this, request] { return life_->tenants().Update(kCaller, request); }, IsRefusal};
}

Scenario::Wish FleetScenario::BackupWish(const std::string& tenant) {
  v1::CreateBackupRequest request;
  request.set_tenant("tenants/" + tenant);
  request.set_request_id(NextRequestId());
  return {request.request_id(),
          [this, request] { return life_->backups().Create(kCaller, request); }, IsRefusal};
}

absl::StatusOr<v1::Backup> FleetScenario::DrawBackup() {
  MTP_ASSIGN_OR_RETURN(const auto backups, life_->backups().List(""));
  if (backups.empty()) return absl::NotFoundError("there is no backup yet");
  return backups[random_.Below(backups.size())];
}

bool FleetScenario::CanGoOnWith(const std::string& tenant, const v1::Backup& backup) const {
  const auto placed = Tables(disk_.get()).tenants.Get(tenant);
  if (!placed.ok()) return true;
  const auto held =
      engines_.repository().find(std::string(absl::StripPrefix(backup.name(), "backups/")));
  if (held == engines_.repository().end()) return true;
  const int image = engines_.Meaning(placed->value.host(), placed->value.resolved().image());
  return held->second.data.format <= image;
}

// An operator who puts data back that is newer than the tenant's program gets a tenant that does
// not start, and is told so; that is no state in which the other kinds can be judged.
Scenario::Wish FleetScenario::RestoreWish() {
  const auto request = std::make_shared<v1::RestoreBackupRequest>();
  request->set_request_id(NextRequestId());
  const std::string other = random_.Chance(300) ? DrawTenant() : "";
  const std::string bot = absl::StrCat(1000 + random_.Below(kBots), ":secret");
  return {request->request_id(),
          [this, request, other, bot]() -> absl::StatusOr<v1::Operation> {
            if (request->name().empty()) {
              MTP_ASSIGN_OR_RETURN(const v1::Backup backup, DrawBackup());
              const std::string& tenant = other.empty() ? backup.tenant() : other;
              if (!CanGoOnWith(tenant, backup)) return absl::NotFoundError("none that fits");
              request->set_name(backup.name());
              if (!other.empty()) {
                request->set_tenant_id(other);
                request->mutable_secrets()->set_telegram_token(bot);
              }
            }
            return life_->backups().Restore(kCaller, *request);
          },
          IsRefusal};
}

// Of a tenant that has backups; the more, the likelier.
Scenario::Wish FleetScenario::PruneWish() {
  const auto request = std::make_shared<v1::PruneBackupsRequest>();
  request->set_request_id(NextRequestId());
  request->set_keep_last(1 + static_cast<int32_t>(random_.Below(2)));
  request->set_keep_days(1);
  return {request->request_id(),
          [this, request]() -> absl::StatusOr<v1::Operation> {
            if (request->tenant().empty()) {
              MTP_ASSIGN_OR_RETURN(const v1::Backup backup, DrawBackup());
              request->set_tenant("tenants/" + backup.tenant());
            }
            MTP_ASSIGN_OR_RETURN(const auto response, life_->backups().Prune(kCaller, *request));
            if (!response.has_operation()) return absl::NotFoundError("there is none to remove");
            return response.operation();
          },
          IsRefusal};
}

Scenario::Wish FleetScenario::CheckWish() {
  v1::CheckRepositoryRequest request;
  request.set_name("repositories/main");
  request.set_request_id(NextRequestId());
  return {request.request_id(),
          [this, request] { return life_->backups().Check(kCaller, request); }, IsRefusal};
}

v1::RolloutSettings FleetScenario::DrawSettings() {
  v1::RolloutSettings settings;
  const int number = 1 + static_cast<int>(random_.Below(kImages));
  const uint64_t name = random_.Below(10);
  if (name < 6) settings.set_image(TaggedImage(number));
  if (name >= 8) settings.set_image(PinnedImage(number));
  settings.set_no_pull(random_.Chance(200));
  settings.set_no_rehearsal(random_.Chance(400));
  settings.set_canary(static_cast<int32_t>(random_.Below(3)));
  settings.set_max_unavailable(static_cast<int32_t>(random_.Below(4)));
  settings.mutable_soak()->set_seconds(1 + static_cast<int64_t>(random_.Below(120)));
  settings.mutable_idle_wait()->set_seconds(static_cast<int64_t>(random_.Below(60)));
  return settings;
}

Scenario::Wish FleetScenario::UpdateWish(const std::string& tenant) {
  const std::string id = NextRequestId();
  const v1::RolloutSettings settings = DrawSettings();
  const std::string image = PinnedImage(1 + static_cast<int>(random_.Below(kImages)));
  return {id,
          [this, id, tenant, settings, image] {
            return life_->updates().Begin(kCaller, id, tenant, settings, image);
          },
          IsRefusal};
}

Scenario::Wish FleetScenario::RolloutWish() {
  v1::CreateRolloutRequest request;
  request.set_request_id(NextRequestId());
  *request.mutable_settings() = DrawSettings();
  for (uint64_t left = random_.Chance(600) ? 0 : 1 + random_.Below(3); left > 0; --left) {
    request.add_tenants("tenants/" + DrawTenant());
  }
  update_judge_.OnAsking(request);
  const auto seen = std::make_shared<bool>(false);
  return {request.request_id(),
          [this, request, seen]() -> absl::StatusOr<v1::Operation> {
            MTP_ASSIGN_OR_RETURN(const v1::Rollout rollout,
                                 life_->rollouts().Create(kCaller, request));
            if (!std::exchange(*seen, true)) Disturb(rollout.name());
            return life_->engine().Get(
                std::string(absl::StripPrefix(rollout.operation(), "operations/")));
          },
          IsRefusal};
}

void FleetScenario::Disturb(const std::string& rollout) {
  if (random_.Chance(500)) {
    executor_.PostAfter(Within(absl::Minutes(3)), [this, rollout] { Pause(rollout); });
  }
  for (int times = random_.Chance(300) ? 3 : 0; times > 0; --times) {
    executor_.PostAfter(Within(absl::Minutes(9)), [this, rollout] { CancelOneOf(rollout); });
  }
}

void FleetScenario::CancelOneOf(const std::string& rollout) {
  if (!ControllerLives() || quiet_) return;
  const auto now = life_->rollouts().Get(rollout);
  if (!now.ok()) return;
  for (const v1::RolloutTenant& tenant : now->tenants()) {
    if (tenant.state() != v1::ROLLOUT_TENANT_STATE_UPDATING || tenant.operation().empty()) continue;
    const absl::string_view id = absl::StripPrefix(tenant.operation(), "operations/");
    (void)life_->engine().Cancel(std::string(id)).status();
    return;
  }
}

// A full disk is RESOURCE_EXHAUSTED; here it refuses nothing for good.
bool FleetScenario::MustAskAgain(const absl::Status& answer) const {
  return !ControllerLives() || absl::IsResourceExhausted(answer) ||
         (!answer.ok() && !IsRefusal(answer));
}

void FleetScenario::Pause(const std::string& rollout) {
  const auto answer = ControllerLives() ? life_->rollouts().Pause(rollout)
                                        : absl::UnavailableError("the controller is away");
  if (MustAskAgain(answer.status())) {
    if (!quiet_) TryAgain(absl::Seconds(7), [this, rollout] { Pause(rollout); });
    // Nobody was told, and it may be paused all the same.
    if (quiet_) Resume(rollout);
    return;
  }
  if (answer.ok() && answer->state() != v1::ROLLOUT_STATE_ABORTING) {
    update_judge_.OnPaused(std::string(absl::StripPrefix(rollout, "rollouts/")));
  }
  executor_.PostAfter(Within(absl::Minutes(5)), [this, rollout] { Resume(rollout); });
}

// Or gives it up.
void FleetScenario::Resume(const std::string& rollout) {
  update_judge_.OnResuming(std::string(absl::StripPrefix(rollout, "rollouts/")));
  const bool abort = random_.Chance(300);
  auto answer = absl::StatusOr<v1::Rollout>(absl::UnavailableError("the controller is away"));
  if (ControllerLives()) {
    answer = abort ? life_->rollouts().Abort(rollout) : life_->rollouts().Resume(rollout);
  }
  if (MustAskAgain(answer.status())) {
    TryAgain(absl::Seconds(7), [this, rollout] { Resume(rollout); });
  }
}

}  // namespace mtp::simulation
