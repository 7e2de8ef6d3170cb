// What can be asked of backups: checks, decides, and creates the operation. Handlers call nothing
// else.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/names.h"
#include "common/base/secret_box.h"
#include "controller/backups/repositories.h"
#include "controller/operations/engine.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"
#include "controller/tenants/agent_steps.h"
#include "controller/tenants/tenants.h"
#include "mtp/v1/backup.pb.h"

namespace mtp {

// Thread-safe. Errors are those that backup.proto names. The arguments must outlive it.
class Backups {
 public:
  Backups(kv::Store* store, operations::Engine* engine, Tenants* tenants,
          const Repositories* repositories, const Observations* observations, const SecretBox* box,
          const Clock* clock)
      : tables_(store),
        engine_(engine),
        tenants_(tenants),
        repositories_(repositories),
        observations_(observations),
        box_(box),
        clock_(clock) {}

  // `caller` is the identity's name, `operator/alice`; request ids are the caller's own. A preview
  // has no name.
  absl::StatusOr<v1::Operation> Create(const std::string& caller,
                                       const v1::CreateBackupRequest& request);
  // The same for the system itself, with the reason that the backup is to carry (Backup.reason).
  absl::StatusOr<v1::Operation> CreateFor(const std::string& reason, const std::string& caller,
                                          const v1::CreateBackupRequest& request);
  absl::StatusOr<v1::Operation> Verify(const std::string& caller,
                                       const v1::VerifyBackupRequest& request);
  absl::StatusOr<v1::Operation> Restore(const std::string& caller,
                                        const v1::RestoreBackupRequest& request);
  // RESOURCE_EXHAUSTED when its host has no room for a sandbox.
  absl::StatusOr<v1::Operation> Drill(const std::string& caller,
                                      const v1::DrillBackupRequest& request);

  // At most 400 at once, the oldest.
  absl::StatusOr<v1::PruneBackupsResponse> Prune(const std::string& caller,
                                                 const v1::PruneBackupsRequest& request);

  absl::StatusOr<v1::Operation> Check(const std::string& caller,
                                      const v1::CheckRepositoryRequest& request);

  // What exports a backup: a call of that host's agent.
  struct ExportPlan {
    std::string host;
    v1::ExportFromRepositoryRequest request;
  };
  // `fleet`: its name, a tag of its backups.
  absl::StatusOr<ExportPlan> PlanExport(const v1::ExportBackupRequest& request,
                                        const std::string& fleet) const;

  absl::StatusOr<v1::Backup> Get(const std::string& name) const;
  // Newest first; only those of `tenant` (`tenants/<name>`, INVALID_ARGUMENT when malformed) unless
  // it is empty.
  absl::StatusOr<std::vector<v1::Backup>> List(const std::string& tenant) const;

 private:
  // An operation with what has to be true for it.
  struct Decision {
    operations::NewOperation operation;
    kv::Txn txn;
    std::string note;  // for the preview
  };
  // Answers a repeated request, or decides and creates until nothing changed in between. `decide`
  // returns a Decision.
  template <typename Request, typename Decide>
  absl::StatusOr<v1::Operation> Ask(const std::string& caller, const Request& request,
                                    Decide decide);
  absl::StatusOr<Decision> DecideBackup(const std::string& reason,
                                        const v1::CreateBackupRequest& request) const;
  absl::StatusOr<Decision> DecideVerification(const v1::VerifyBackupRequest& request) const;
  absl::StatusOr<Decision> DecideDrill(const v1::DrillBackupRequest& request) const;
  // Where a backup is looked into: on its tenant's host, or on the one that wrote it.
  // FAILED_PRECONDITION when there is neither.
  absl::StatusOr<ActionPlace> PlaceOf(const v1::Backup& backup, kv::Txn& txn) const;
  // What its sandbox is to be like.
  absl::StatusOr<v1::TenantSpec> SandboxSpec(const v1::Backup& backup) const;
  absl::StatusOr<Decision> DecideRestore(const v1::RestoreBackupRequest& request);
  absl::StatusOr<Decision> IntoPlaced(const v1::RestoreBackupRequest& request,
                                      const v1::Backup& backup,
                                      const kv::Row<state::v1::TenantRecord>& tenant) const;
  absl::StatusOr<Decision> IntoFresh(const v1::RestoreBackupRequest& request,
                                     const kv::Row<state::v1::BackupRecord>& backup,
                                     const TenantName& name);
  absl::StatusOr<Decision> DecideCheck(const v1::CheckRepositoryRequest& request) const;
  // Adds, newest first, what called off backups may have left, where a host can take it away now:
  // the rest keeps nothing else from being removed.
  void AddWhatIsInReach(const std::vector<v1::Backup>& left, std::vector<v1::Backup>& plan) const;
  absl::StatusOr<Decision> DecidePrune(const TenantName& name, const std::vector<v1::Backup>& plan,
                                       const std::string& newest_host) const;
  // The answer to the request that has made the operation.
  absl::StatusOr<v1::PruneBackupsResponse> PrunedBy(const v1::Operation& operation) const;

  const Tables tables_;
  operations::Engine* const engine_;
  Tenants* const tenants_;
  const Repositories* const repositories_;
  const Observations* const observations_;
  const SecretBox* const box_;
  const Clock* const clock_;
};

}  // namespace mtp
