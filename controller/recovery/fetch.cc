#include "controller/recovery/fetch.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>

#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "controller/backups/repositories.h"

namespace mtp {
namespace {

constexpr size_t kSealedBytesMax = 16 << 20;

RepositoryAccess PartOf(const v1::RecoveryKit::Entry& entry) {
  const v1::RepositoryAccess access =
      AccessOf(entry.repository().url(), entry.secrets(), kControllerPart);
  return {.url = access.url(),
          .password = SecretString(access.password()),
          .s3_access_key = access.s3_access_key(),
          .s3_secret_key = SecretString(access.s3_secret_key()),
          .sftp_private_key = SecretString(access.sftp_private_key()),
          .sftp_known_hosts = access.sftp_known_hosts(),
          .ca_certificates = access.ca_certificates()};
}

std::string Explain(const v1::RecoveryKit::Entry& entry, const absl::Status& status) {
  const std::string& url = entry.repository().url();
  const std::string name(absl::StripPrefix(entry.repository().name(), "repositories/"));
  if (absl::IsNotFound(status) && absl::StartsWith(url, "/")) {
    return absl::StrCat("repository ", name, ": there are no copies in the folder ", url, "/",
                        kControllerPart,
                        " of this machine; copy that folder here from a host of "
                        "the fleet, or name another repository");
  }
  return absl::StrCat("repository ", name, ": ", std::string(status.message()));
}

struct Found {
  std::unique_ptr<Repository> part;
  RepositorySnapshot snapshot;
};

// The wanted copy of one repository.
absl::StatusOr<Found> FindIn(const v1::RecoveryKit& kit, const v1::RecoveryKit::Entry& entry,
                             const std::string& copy, const OpenPart& open) {
  Found found;
  MTP_ASSIGN_OR_RETURN(found.part, open(PartOf(entry)));
  MTP_ASSIGN_OR_RETURN(const std::vector<RepositorySnapshot> snapshots,
                       found.part->List(kit.fleet(), kControllerPart, nullptr));
  for (const RepositorySnapshot& snapshot : snapshots) {
    const std::string& id = snapshot.identity.backup;
    // By the controller's clock, which made the ids, not by those of the hosts.
    if (copy.empty() ? id > found.snapshot.identity.backup : id == copy) found.snapshot = snapshot;
  }
  if (!found.snapshot.id.empty()) return found;
  return absl::NotFoundError(
      copy.empty() ? absl::StrCat("it has no copy of the state of fleet ", kit.fleet())
                   : absl::StrCat("it has no copy ", copy));
}

}  // namespace

absl::StatusOr<FetchedCopy> FetchCopy(const v1::RecoveryKit& kit, const FetchRequest& request,
                                      const OpenPart& open) {
  FetchedCopy copy;
  Found newest;
  bool known = false;
  for (const v1::RecoveryKit::Entry& entry : kit.repositories()) {
    const std::string name(absl::StripPrefix(entry.repository().name(), "repositories/"));
    if (!request.repository.empty() && name != request.repository) continue;
    known = true;
    absl::StatusOr<Found> found = FindIn(kit, entry, request.copy, open);
    if (!found.ok()) {
      copy.unread.push_back(Explain(entry, found.status()));
    } else if (found->snapshot.identity.backup > newest.snapshot.identity.backup) {
      newest = *std::move(found);
      copy.repository = name;
    }
  }
  if (!known) {
    return absl::InvalidArgumentError(
        absl::StrCat("the kit has no repository \"", request.repository, "\""));
  }
  if (newest.part == nullptr) return absl::NotFoundError(absl::StrJoin(copy.unread, "\n"));
  copy.copy_id = newest.snapshot.identity.backup;
  MTP_RETURN_IF_ERROR(Annotate(newest.part->Restore(newest.snapshot.id, request.folder, nullptr),
                               absl::StrCat("repository ", copy.repository)));
  auto sealed = ReadFile(request.folder + "/state", kSealedBytesMax);
  if (absl::IsNotFound(sealed.status())) {
    return absl::DataLossError(absl::StrCat("copy ", copy.copy_id, " is not whole"));
  }
  if (!sealed.ok()) return sealed.status();
  copy.sealed = *std::move(sealed);
  return copy;
}

}  // namespace mtp
