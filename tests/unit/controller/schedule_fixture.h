// The schedule over the real engine and kinds, on virtual time; the controller can die and live
// again.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "controller/backups/policies.h"
#include "controller/backups/schedule.h"
#include "tests/support/faulty_store.h"
#include "tests/unit/controller/backups_fixture.h"

namespace mtp {

class ScheduleFixture : public BackupsFixture {
 protected:
  // One life of the controller. What the base class has is used to prepare only.
  struct Life {
    explicit Life(kv::Store* inner);
    ~Life();

    mtp::testing::FaultyStore store;
    std::unique_ptr<operations::Engine> engine;
    std::unique_ptr<Tenants> tenants;
    std::unique_ptr<Backups> backups;
    std::shared_ptr<Schedule> schedule;
  };

  ScheduleFixture();
  ~ScheduleFixture() override;
  void TearDown() override;

  void Live();
  // The process is gone.
  void Die();

  void Fleet(int tenants, int per_host = 100);
  void ProvisionOn(const std::string& name, const std::string& host, int bot);

  absl::StatusOr<v1::BackupPolicy> SetPolicy(const v1::BackupPolicy& policy,
                                             const std::string& tenant = "");
  v1::BackupPolicy Policy(const std::string& tenant = "");
  static v1::BackupPolicy Every(absl::Duration interval);
  state::v1::ScheduleRecord Record(const std::string& tenant);

  // Backups that agents were asked for.
  int Snapshots() const;
  int SnapshotsOf(const std::string& tenant) const;
  void Fails();
  void Works();
  void GoesOn();
  // All running backups end well.
  void EndBackups();

  absl::StatusOr<v1::Operation> StartDrill(const std::string& tenant, const std::string& backup,
                                           const std::string& request_id);

  std::vector<std::string> told_;
  absl::Status drill_status_;
  std::vector<std::string> drills_;
  std::set<std::string> drill_requests_;
  Policies policies_{store_.get(), &repositories_, &clock_};
  Schedule::Options options_;
  std::unique_ptr<Life> life_;
};

}  // namespace mtp
