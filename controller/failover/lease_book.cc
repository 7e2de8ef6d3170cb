#include "controller/failover/lease_book.h"

#include <algorithm>

#include "common/base/durations.h"
#include "common/base/status.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp::failover {
namespace {

constexpr char kLeaseKey[] = "/meta/lease";
// A host gets a new lease this often within the length of one.
constexpr int kGrantsPerLease = 15;

}  // namespace

LeaseBook::LeaseBook(kv::Store* store, const Clock* clock, Options options)
    : store_(store),
      tables_(store),
      clock_(clock),
      options_(options),
      started_(clock->Boottime()),
      longest_(options.lease) {}

absl::Status LeaseBook::Open() {
  {
    absl::MutexLock lock(&mutex_);
    if (open_) return absl::OkStatus();
  }
  absl::Duration earlier;
  const auto entry = store_->Get(kLeaseKey);
  if (entry.ok()) {
    state::v1::LeaseRecord record;
    if (!record.ParseFromString(entry->value)) {
      return absl::DataLossError("the length of the hosts' leases cannot be read from the state");
    }
    earlier = absl::Milliseconds(record.lease_ms());
  } else if (!absl::IsNotFound(entry.status())) {
    return entry.status();
  }
  if (earlier < options_.lease) MTP_RETURN_IF_ERROR(Remember(options_.lease));
  absl::MutexLock lock(&mutex_);
  longest_ = std::max(earlier, options_.lease);
  open_ = true;
  return absl::OkStatus();
}

absl::Status LeaseBook::Remember(absl::Duration lease) {
  state::v1::LeaseRecord record;
  record.set_lease_ms(absl::ToInt64Milliseconds(lease));
  return store_->Commit(kv::Txn().Put(kLeaseKey, record.SerializeAsString())).status();
}

std::optional<v1::GrantLeaseRequest> LeaseBook::OnStamp(const std::string& host,
                                                        const v1::LeaseStamp& stamp) {
  absl::MutexLock lock(&mutex_);
  const absl::Duration now = clock_->Boottime();
  Host& entry = hosts_[host];
  entry.heard = now;
  // An agent of before leases stamps nothing.
  if (!open_ || stamp.agent_instance().empty()) return std::nullopt;
  const bool fresh = entry.granted.has_value() && entry.instance == stamp.agent_instance() &&
                     now - *entry.granted < options_.lease / kGrantsPerLease;
  if (fresh || !tables_.hosts.Get(host).ok()) return std::nullopt;
  v1::GrantLeaseRequest request;
  *request.mutable_stamp() = stamp;
  *request.mutable_duration() = ToDuration(options_.lease);
  AddTenants(host, request);
  entry.granted = now;
  entry.instance = stamp.agent_instance();
  return request;
}

// The reservations say quickly who may be there, the tenants' records who is: a tenant that is
// being placed elsewhere reserves on both.
void LeaseBook::AddTenants(const std::string& host, v1::GrantLeaseRequest& request) const {
  const auto allocations = tables_.allocations.Get(host);
  if (!allocations.ok()) return;
  for (const auto& allocation : allocations->value.allocations()) {
    const auto tenant = tables_.tenants.Get(allocation.tenant());
    if (!tenant.ok() || tenant->value.host() != host) continue;
    v1::LeasedTenant& leased = *request.add_tenants();
    leased.set_tenant(tenant->id);
    leased.set_epoch(tenant->value.epoch());
  }
}

absl::Duration LeaseBook::LastHeard(const std::string& host) const {
  absl::MutexLock lock(&mutex_);
  const auto found = hosts_.find(host);
  return found == hosts_.end() ? started_ : found->second.heard;
}

bool LeaseBook::IsOver(const std::string& host) const {
  absl::MutexLock lock(&mutex_);
  return IsOverLocked(host);
}

absl::Duration LeaseBook::OverAt(const std::string& host) const {
  absl::MutexLock lock(&mutex_);
  return OverAtLocked(host);
}

bool LeaseBook::IsOverLocked(const std::string& host) const {
  return clock_->Boottime() >= OverAtLocked(host);
}

absl::Duration LeaseBook::OverAtLocked(const std::string& host) const {
  if (!open_) return absl::InfiniteDuration();
  // Whatever an earlier life has granted.
  const absl::Duration earlier = started_ + longest_ + options_.margin;
  const auto found = hosts_.find(host);
  if (found == hosts_.end() || !found->second.granted.has_value()) return earlier;
  return std::max(earlier, *found->second.granted + options_.lease + options_.margin);
}

absl::StatusOr<v1::Operation> LeaseBook::WhileNothingIsGranted(
    const std::string& host, absl::FunctionRef<absl::StatusOr<v1::Operation>(bool over)> act) {
  absl::MutexLock lock(&mutex_);
  return act(IsOverLocked(host));
}

}  // namespace mtp::failover
