#include "agent/backup/staging.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <sys/stat.h>

#include <cerrno>

#include "agent/backup/beneath.h"
#include "agent/backup/staging_pass.h"
#include "agent/backup/stamps.h"
#include "agent/backup/tree.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kCopyName[] = "data";
constexpr size_t kMaxStagings = 100'000;

// Removes folders that passes have set aside.
absl::Status RemoveSetAside(int home) {
  MTP_ASSIGN_OR_RETURN(const std::vector<std::string> names, SomeNames(home, kMaxStagings));
  for (const std::string& name : names) {
    if (name != kCopyName) MTP_RETURN_IF_ERROR(RemoveTreeBeneath(home, name));
  }
  return absl::OkStatus();
}

}  // namespace

Staging::Staging(StagingRequest request)
    : request_(std::move(request)),
      home_(absl::StrCat(request_.staging_root, "/", request_.name)),
      folder_(absl::StrCat(home_, "/", kCopyName)),
      stamps_(std::make_unique<StampTable>()) {}

// What cannot be removed now is removed by the next SweepStaging.
Staging::~Staging() { RemoveTreeBeneath(request_.staging_root, request_.name).IgnoreError(); }

absl::StatusOr<std::unique_ptr<Staging>> Staging::Create(StagingRequest request) {
  if (!IsPlainName(request.name)) {
    return absl::InvalidArgumentError("what is copied is named by one component of a path");
  }
  MTP_RETURN_IF_ERROR(RemoveTreeBeneath(request.staging_root, request.name));
  std::unique_ptr<Staging> staging(new Staging(std::move(request)));
  if (mkdir(staging->home_.c_str(), 0700) != 0) {
    return ErrnoStatus(errno, absl::StrCat("make ", staging->home_));
  }
  return staging;
}

absl::StatusOr<RefreshResult> Staging::Refresh(const RefreshOptions& options,
                                               std::stop_token stop) {
  const CopyBudget budget(options.allowed, std::move(stop), request_.floor);
  MTP_ASSIGN_OR_RETURN(const FileDescriptor source, OpenFolder(request_.data_root));
  MTP_ASSIGN_OR_RETURN(const FileDescriptor home, OpenFolder(home_));
  if (!options.frozen) MTP_RETURN_IF_ERROR(RemoveSetAside(home.get()));
  skipped_.clear();
  StagingPass pass(request_, options.frozen, budget, stamps_.get(), &skipped_);
  const absl::Status status = pass.Run(source.get(), home.get(), kCopyName);
  if (!status.ok()) return Annotate(status, absl::StrCat("copy the data of ", request_.name));
  RefreshResult result = pass.result();
  result.took = budget.Elapsed();
  return result;
}

absl::Status SweepStaging(const std::string& staging_root) {
  MTP_ASSIGN_OR_RETURN(const FileDescriptor root, OpenFolder(staging_root));
  MTP_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(root.get(), kMaxStagings));
  for (const std::string& name : names) {
    MTP_RETURN_IF_ERROR(RemoveTreeBeneath(root.get(), name));
  }
  return absl::OkStatus();
}

}  // namespace mtp
