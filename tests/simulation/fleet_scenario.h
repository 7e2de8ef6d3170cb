// The real operation kinds, the real placement, the real claims, rollouts and schedules, over
// several hosts whose agents and engines are simulated. A seed takes some kinds of wishes more
// often than others, and some not at all; most have a subject, on a fleet that is there from the
// start.
#pragma once

#include <array>

#include "common/base/secret_box.h"
#include "tests/simulation/fleet_judge.h"
#include "tests/simulation/fleet_life.h"
#include "tests/simulation/restore_judge.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/schedule_judge.h"
#include "tests/simulation/update_judge.h"

namespace mtp::simulation {

class FleetScenario final : public Scenario {
 public:
  explicit FleetScenario(const SeedOptions& options);

 private:
  // What callers ask for.
  enum class Ask {
    kProvision,
    kRemove,
    kStart,
    kStop,
    kRestart,
    kSet,
    kBackup,
    kVerify,
    kRestore,
    kDrill,
    kPrune,
    kCheck,
    kUpdate,
    kRollout,
    kReconfigure,
  };
  static constexpr size_t kAsks = static_cast<size_t>(Ask::kReconfigure) + 1;
  // What most wishes of a seed are about.
  enum class Subject { kNone, kSettings, kBackups, kRollouts };

  std::vector<operations::Kind> MakeKinds(const StepWorld& steps) override;
  Wish NewWish() override;
  void OnBoot() override;
  void OnBurial() override { life_.reset(); }
  absl::Duration Downtime() override { return downtime_; }
  void OnDowntimeBegins() override { schedule_judge_.OnDowntimeBegins(); }
  void OnDowntimeEnds() override;
  absl::Duration Calm() const override { return calm_; }
  void OnCalmEnds() override;
  void Conclude() override;
  void CountSeen(std::map<std::string, int64_t>& seen) const override;

  Subject DrawSubject() { return static_cast<Subject>(random_.Below(4)); }
  static std::vector<Ask> AsksAbout(Subject subject);
  void AddHosts();
  void AddRepository();
  void SetPolicy();
  void DrawWeights();
  void Listen();
  void OnEffect(const std::string& host, const v1::EnsureActionRequest& request,
                v1::ActionState state, v1::Action& action);
  void OnOperation(const std::string& id, const state::v1::OperationRecord* before,
                   const state::v1::OperationRecord& after);
  void Observe(const std::string& host, bool reachable);
  // A planted defect: one backup for each time that was missed.
  void RunEachMissed(const std::string& tenant, int times);

  // fleet_wishes.cc
  Wish WishFor(Ask ask);
  Wish RunWish(Ask ask);
  // All tenants are asked for at the beginning.
  void Settle();
  Wish ProvisionWish(const std::string& tenant, uint64_t bot);
  Wish SetWish(const std::string& tenant);
  Wish ReconfigureWish(const std::string& tenant);
  Wish BackupWish(const std::string& tenant);
  template <typename Request>
  Wish DrawnBackupWish(absl::StatusOr<v1::Operation> (Backups::*ask)(const std::string&,
                                                                     const Request&));
  Wish RestoreWish();
  Wish PruneWish();
  Wish CheckWish();
  Wish UpdateWish(const std::string& tenant);
  Wish RolloutWish();
  v1::RolloutSettings DrawSettings();
  std::string DrawTenant();
  // One that is in the catalogue. NOT_FOUND when there is none yet.
  absl::StatusOr<v1::Backup> DrawBackup();
  // Whether the image that the tenant has, if it is placed, can go on with the data of the backup.
  bool CanGoOnWith(const std::string& tenant, const v1::Backup& backup) const;
  // What operators do to one that goes on: it is paused, updates of it are cancelled.
  void Disturb(const std::string& rollout);
  void CancelOneOf(const std::string& rollout);
  void Pause(const std::string& rollout);
  void Resume(const std::string& rollout);
  static bool IsRefusal(const absl::Status& status);
  bool MustAskAgain(const absl::Status& answer) const;

  const Subject subject_;
  const SecretBox box_ = SecretBox::ForTest();
  std::map<std::string, int64_t> allocatable_mib_;
  std::array<uint64_t, kAsks> weights_{};
  absl::Duration downtime_;
  absl::Duration calm_;
  bool scheduled_ = false;
  bool calm_ended_ = false;
  SimEngines engines_;
  FleetJudge fleet_judge_;
  UpdateJudge update_judge_;
  RestoreJudge restore_judge_;
  ScheduleJudge schedule_judge_;
  // Of one life of the controller.
  std::unique_ptr<FleetLife> life_;
};

}  // namespace mtp::simulation
