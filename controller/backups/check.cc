// Decides on checks of repositories.
#include <absl/strings/str_cat.h>

#include "common/base/status.h"
#include "controller/backups/backups.h"
#include "controller/backups/kinds.h"

namespace mtp {

absl::StatusOr<Backups::Decision> Backups::DecideCheck(
    const v1::CheckRepositoryRequest& request) const {
  if (request.name().empty()) {
    return absl::InvalidArgumentError(
        "the repository is missing; `mtp-cli repository list` shows all");
  }
  MTP_ASSIGN_OR_RETURN(const std::string repository, repositories_->Choose(request.name()));
  Decision decision;
  decision.operation.kind = "check-repository";
  decision.operation.target = absl::StrCat("repositories/", repository);
  decision.operation.facts[kRepositoryFact] = repository;
  decision.operation.facts[kReadDataFact] = request.read_data() ? "true" : "false";
  decision.operation.locks.push_back(RepositoryLock(repository));
  decision.note = request.read_data() ? "reads all data of every tenant in it"
                                      : "checks the structure of every tenant's part of it";
  return decision;
}

}  // namespace mtp
