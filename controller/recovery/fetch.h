// Copies of the state in repositories, read on a machine that has nothing but the recovery kit.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/restic/repository.h"
#include "mtp/v1/agent.pb.h"
#include "mtp/v1/backup.pb.h"

namespace mtp {

// Opens a part of a repository; OpenResticRepository, but in tests.
using OpenPart = std::function<absl::StatusOr<std::unique_ptr<Repository>>(RepositoryAccess)>;

struct FetchRequest {
  std::string repository;  // short name; empty: all of the kit are looked at
  std::string copy;        // ULID; empty: the newest
  std::string folder;      // an empty one, for the sealed copy
};

struct FetchedCopy {
  std::string copy_id;
  std::string repository;  // short name
  std::string sealed;
  // Repositories that could not be read, one sentence each: they may hold a newer copy.
  std::vector<std::string> unread;
};

// NOT_FOUND when no repository that can be read has such a copy, with what was wrong with each of
// the others; INVALID_ARGUMENT when the kit has no such repository.
absl::StatusOr<FetchedCopy> FetchCopy(const v1::RecoveryKit& kit, const FetchRequest& request,
                                      const OpenPart& open);

}  // namespace mtp
