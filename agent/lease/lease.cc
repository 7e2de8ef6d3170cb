#include "agent/lease/lease.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/base/durations.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr absl::Duration kGuardPatience = absl::Seconds(5);
constexpr absl::Duration kMaxDuration = absl::Hours(1);
constexpr int kMaxTenants = 10'000;
// The last part of a lease is for an orderly stop.
constexpr int kStopPart = 6;

// How many containers of the tenant it had.
size_t Forget(const std::string& tenant, guard::Lease& lease) {
  return std::erase_if(lease.containers, [&](const auto& one) { return one.second == tenant; });
}

}  // namespace

Lease::Lease(Options options, const Clock* clock, Random* random)
    : options_(std::move(options)),
      clock_(clock),
      instance_(absl::BytesToHexString(random->Bytes(8))) {}

absl::Status Lease::Open() {
  MTP_ASSIGN_OR_RETURN(LeaseFile file, LeaseFile::Open(options_.folder));
  absl::MutexLock lock(&mutex_);
  lease_ = file.last();
  if (lease_.boot_id != options_.boot_id) {
    lease_.deadline_ns = 0;
    lease_.boot_id = options_.boot_id;
    // The containers stay: they are the same ones when they are started again.
  }
  file_.emplace(std::move(file));
  return absl::OkStatus();
}

v1::LeaseStamp Lease::Stamp() const {
  v1::LeaseStamp stamp;
  stamp.set_agent_instance(instance_);
  *stamp.mutable_boot_time() = ToDuration(clock_->Boottime());
  return stamp;
}

absl::Status Lease::Grant(const v1::GrantLeaseRequest& request) {
  if (request.stamp().agent_instance() != instance_) {
    return absl::FailedPreconditionError("the stamp is of another life of this agent");
  }
  const absl::Duration stamp = FromDuration(request.stamp().boot_time());
  const absl::Duration duration = FromDuration(request.duration());
  if (stamp > clock_->Boottime()) return absl::InvalidArgumentError("the stamp is of the future");
  if (duration < absl::Seconds(1) || duration > kMaxDuration) {
    return absl::InvalidArgumentError("a lease lasts from one second to one hour");
  }
  if (request.tenants_size() > kMaxTenants) {
    return absl::InvalidArgumentError(
        absl::StrCat("a lease names at most ", kMaxTenants, " tenants"));
  }
  absl::MutexLock lock(&mutex_);
  // What was sent earlier may arrive later.
  if (stamp < stamp_) return absl::OkStatus();
  guard::Lease lease = lease_;
  lease.deadline_ns = absl::ToInt64Nanoseconds(stamp + duration);
  MTP_RETURN_IF_ERROR(Write(std::move(lease)));
  stamp_ = stamp;
  duration_ = duration;
  named_.emplace();
  for (const auto& tenant : request.tenants()) (*named_)[tenant.tenant()] = tenant.epoch();
  return absl::OkStatus();
}

bool Lease::IsGuarded() const {
  if (options_.guard_lives) return options_.guard_lives();
  absl::MutexLock lock(&mutex_);
  return file_.has_value() && file_->GuardLives(kGuardPatience);
}

bool Lease::IsOver() const {
  return absl::ToInt64Nanoseconds(clock_->Boottime()) >= lease_.deadline_ns;
}

std::optional<bool> Lease::IsNamed(const std::string& tenant, int64_t epoch) const {
  if (!named_.has_value()) return std::nullopt;
  const auto found = named_->find(tenant);
  return found != named_->end() && found->second >= epoch;
}

absl::Status Lease::MayStart(const std::string& tenant, int64_t epoch) const {
  if (!IsGuarded()) {
    return absl::FailedPreconditionError(
        absl::StrCat("tenant ", tenant,
                     " may fail over, and the guard does not run on this host; start mtp-guard, or "
                     "let the tenant stay (`mtp-cli tenant set ",
                     tenant, " --failover stay`)"));
  }
  absl::MutexLock lock(&mutex_);
  const std::optional<bool> named = IsNamed(tenant, epoch);
  if (IsOver() || !named.has_value()) {
    return absl::UnavailableError(absl::StrCat(
        "tenant ", tenant, " may fail over, and this host has no lease at the moment"));
  }
  if (*named) return absl::OkStatus();
  // One that has just been placed here is in the next grant.
  return absl::UnavailableError(
      absl::StrCat("tenant ", tenant, " is not among those that this host's lease names"));
}

bool Lease::IsEnding() const {
  return absl::Nanoseconds(lease_.deadline_ns) - clock_->Boottime() <= duration_ / kStopPart;
}

bool Lease::MustStop(const std::string& tenant, int64_t epoch) const {
  absl::MutexLock lock(&mutex_);
  return IsEnding() || !IsNamed(tenant, epoch).value_or(true);
}

bool Lease::IsGood() const {
  absl::MutexLock lock(&mutex_);
  return named_.has_value() && !IsEnding();
}

absl::Duration Lease::Left() const {
  absl::MutexLock lock(&mutex_);
  return absl::Nanoseconds(lease_.deadline_ns) - clock_->Boottime();
}

absl::Status Lease::Cover(const std::string& tenant, const std::string& container_id) {
  absl::MutexLock lock(&mutex_);
  const auto known = lease_.containers.find(container_id);
  if (known != lease_.containers.end() && known->second == tenant) return absl::OkStatus();
  guard::Lease lease = lease_;
  // A tenant has one container: the name is taken until the earlier one is gone.
  Forget(tenant, lease);
  lease.containers[container_id] = tenant;
  return Write(std::move(lease));
}

bool Lease::IsCovered(const std::string& tenant, const std::string& container_id) const {
  absl::MutexLock lock(&mutex_);
  const auto known = lease_.containers.find(container_id);
  return known != lease_.containers.end() && known->second == tenant;
}

absl::Status Lease::Release(const std::string& tenant) {
  absl::MutexLock lock(&mutex_);
  guard::Lease lease = lease_;
  if (Forget(tenant, lease) == 0) return absl::OkStatus();
  return Write(std::move(lease));
}

absl::Status Lease::Write(guard::Lease lease) {
  if (!file_.has_value()) {
    return absl::FailedPreconditionError("this agent has no file that it shares with a guard");
  }
  MTP_RETURN_IF_ERROR(file_->Write(lease));
  lease.number = file_->last().number;
  lease_ = std::move(lease);
  return absl::OkStatus();
}

}  // namespace mtp
