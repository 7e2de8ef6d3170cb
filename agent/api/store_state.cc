#include "agent/api/store_state.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include "agent/backup/state_copy.h"
#include "agent/tenants/repository_script.h"
#include "common/base/names.h"
#include "common/base/status.h"
#include "common/base/ulid.h"

namespace mtp {
namespace {

constexpr size_t kStateBytesMax = 3 << 20;

absl::Status Check(const v1::StoreStateRequest& request) {
  MTP_RETURN_IF_ERROR(Annotate(HostName::Parse(request.fleet()).status(), "fleet"));
  if (!IsUlid(request.copy_id())) {
    return absl::InvalidArgumentError("the copy's id must be a ULID");
  }
  if (!absl::EndsWith(request.repository().url(), "/_controller")) {
    return absl::InvalidArgumentError(
        "copies of the state go into the part `_controller` of a repository");
  }
  if (request.state().empty() || request.state().size() > kStateBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("a copy of the state has 1 to ", kStateBytesMax,
                                                   " bytes; this one has ",
                                                   request.state().size()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::StoreStateResponse> StateStore::Store(const v1::StoreStateRequest& request,
                                                         std::stop_token stop) {
  MTP_RETURN_IF_ERROR(Check(request));
  if (!storing_.TryLock()) {
    return absl::AbortedError("another copy of the state is being stored; try again later");
  }
  const auto unlock =
      absl::MakeCleanup([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { storing_.Unlock(); });
  CancelToken cancel;
  const std::stop_callback on_stop(std::move(stop), [&cancel] { cancel.Cancel(); });
  MTP_ASSIGN_OR_RETURN(const std::unique_ptr<Repository> repository,
                       open_(ToAccess(request.repository())));
  const StateCopy copy{.fleet = request.fleet(),
                       .id = request.copy_id(),
                       .host = host_,
                       .time = clock_->Now(),
                       .bytes = request.state()};
  v1::StoreStateResponse response;
  MTP_ASSIGN_OR_RETURN(*response.mutable_snapshot(),
                       StoreStateCopy(*repository, copy, folder_, log_, &cancel));
  return response;
}

}  // namespace mtp
