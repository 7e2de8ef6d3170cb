// Places for backups: their records, and what opens them.
//
// Every tenant has a restic repository of its own in each, `<url>/<tenant>`, with a password that
// is derived from the repository's root key and the tenant's name: an agent never learns what opens
// another tenant's.
#pragma once

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <map>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/base/secret_box.h"
#include "controller/state/tables.h"
#include "mtp/v1/agent.pb.h"
#include "mtp/v1/backup.pb.h"

namespace mtp {

// Thread-safe. The arguments must outlive it. No secret is in any answer but the kit, nor in
// errors.
class Repositories {
 public:
  Repositories(kv::Store* store, const SecretBox* box, const Clock* clock, Random* random)
      : store_(store), tables_(store), box_(box), clock_(clock), random_(random) {}

  // The repository as it is shown. The same url again, with the same secrets or none, changes
  // nothing. INVALID_ARGUMENT for a bad name or url, and for secrets that its kind lacks or does
  // not take; ALREADY_EXISTS when the name has another url or other secrets.
  absl::StatusOr<v1::Repository> Add(const v1::AddRepositoryRequest& request);
  // By name.
  absl::StatusOr<std::vector<v1::Repository>> List() const;
  // Short name of the one that `resource`, `repositories/<name>`, means; empty means the default
  // one. NOT_FOUND, INVALID_ARGUMENT, or FAILED_PRECONDITION when there is none at all.
  absl::StatusOr<std::string> Choose(const std::string& resource) const;
  // Where a backup of the tenant goes: as Choose, but empty means the one that the tenant's policy
  // names, and the default one when it names none.
  absl::StatusOr<std::string> ChooseFor(const std::string& tenant,
                                        const std::string& resource) const;
  // The same for a tenant whose backup nobody said more about; empty when there is none at all.
  absl::StatusOr<std::string> OfTenant(const std::string& tenant) const;
  // Every repository with its secrets, for whoever may have them.
  absl::StatusOr<v1::RecoveryKit> Kit(const std::string& fleet) const;

 private:
  absl::StatusOr<v1::Repository> Again(const kv::Row<state::v1::RepositoryRecord>& row,
                                       const std::string& url,
                                       const v1::RepositorySecrets& given) const;
  v1::Repository Show(const state::v1::RepositoryRecord& record, size_t backups) const;
  // By repository: the tenant of each backup in it.
  absl::StatusOr<std::map<std::string, std::vector<std::string>>> Contents() const;

  kv::Store* const store_;
  const Tables tables_;
  const SecretBox* const box_;
  const Clock* const clock_;
  Random* const random_;
  // One addition after another: no compare could tell that another one was the first.
  absl::Mutex adding_;
};

// What opens a tenant's part of the repository at `url`.
v1::RepositoryAccess AccessOf(const std::string& url, const v1::RepositorySecrets& secrets,
                              const std::string& tenant);

// Part of each repository that holds copies of the controller's state. No tenant's name.
inline constexpr char kControllerPart[] = "_controller";

// All secrets of a repository. Errors as AccessFor.
absl::StatusOr<v1::RepositorySecrets> SecretsFor(const Tables& tables, const SecretBox& box,
                                                 const std::string& repository);

// `repositories/<name>`; empty for an empty name.
std::string RepositoryResource(const std::string& name);

// Whether it is `repositories/<name>` with a name that a repository may have.
bool IsRepositoryResource(absl::string_view resource);

// How an agent reaches the tenant's part of a repository. The same for the same arguments, always:
// it is part of actions' requests. NOT_FOUND without such a repository, DATA_LOSS when its secrets
// cannot be read.
absl::StatusOr<v1::RepositoryAccess> AccessFor(const Tables& tables, const SecretBox& box,
                                               const std::string& repository,
                                               const std::string& tenant);

// Add to `txn`, guarded by the record's revision, that a backup into the repository succeeded, or
// failed for `reason`; nothing when there is no such repository.
void NoteSuccess(const Tables& tables, const std::string& repository, absl::Time time,
                 kv::Txn& txn);
void NoteFailure(const Tables& tables, const std::string& repository, absl::Time time,
                 const std::string& reason, kv::Txn& txn);

}  // namespace mtp
