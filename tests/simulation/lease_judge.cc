#include "tests/simulation/lease_judge.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/backups/kinds.h"
#include "controller/failover/failovers.h"
#include "controller/operations/progress.h"
#include "controller/tenants/agent_steps.h"
#include "tests/simulation/fleet_judge.h"

namespace mtp::simulation {
namespace {

// Closer than what the decision calls together: an event may have been late.
constexpr absl::Duration kTogether = absl::Minutes(2);

}  // namespace

LeaseJudge::LeaseJudge(kv::Store* disk, Judge* judge, const testing::SimClock* clock,
                       const SimAgents* agents, const SimEngines* engines, const SimLeases* leases)
    : tables_(disk),
      judge_(judge),
      clock_(clock),
      agents_(agents),
      engines_(engines),
      leases_(leases) {
  watch_ = *disk->WatchPrefix("/tenants/", disk->Revision(),
                              [this](const std::vector<kv::Event>& events) { OnTenants(events); });
}

void LeaseJudge::OnReachable(const std::string& host, bool reachable) {
  if (reachable) {
    vanished_.erase(host);
  } else {
    vanished_.emplace(host, clock_->Monotonic());
    if (VanishedTogether(host)) ++together_;
  }
}

void LeaseJudge::OnHeard(const std::string& host) { heard_[host] = clock_->Monotonic(); }

// A controller to which a host's events had been lost for long before cannot know that it vanished
// with the others.
bool LeaseJudge::VanishedTogether(const std::string& host) const {
  const auto at = vanished_.find(host);
  if (at == vanished_.end()) return false;
  const auto heard = [this](const std::string& name) {
    const auto found = heard_.find(name);
    return found == heard_.end() ? absl::ZeroDuration() : found->second;
  };
  const auto count = std::count_if(vanished_.begin(), vanished_.end(), [&](const auto& other) {
    return absl::AbsDuration(other.second - at->second) <= kTogether &&
           absl::AbsDuration(heard(other.first) - heard(host)) <= kTogether;
  });
  return count >= 2 && 3 * static_cast<size_t>(count) >= agents_->Hosts().size();
}

void LeaseJudge::CheckCopies(const std::string& tenant) {
  int copies = 0;
  for (const std::string& host : agents_->Hosts()) {
    if (excused_.count({tenant, host}) == 0 && engines_->View(host, tenant).Runs()) ++copies;
  }
  if (copies > 1) {
    judge_->Violation(absl::StrCat(tenant, " runs ", copies, " times"));
  }
}

void LeaseJudge::OnTenants(const std::vector<kv::Event>& events) {
  for (const kv::Event& event : events) {
    if (event.kind != kv::Event::Kind::kPut) {
      tenants_.erase(event.entry.key);
      continue;
    }
    state::v1::TenantRecord now;
    now.ParseFromString(event.entry.value);
    const auto before = tenants_.find(event.entry.key);
    if (before != tenants_.end()) {
      const state::v1::TenantRecord& was = before->second;
      const bool moves = was.host() != now.host();
      if (now.epoch() < was.epoch() || (moves && now.epoch() == was.epoch())) {
        judge_->Violation(absl::StrCat(now.name(), " is on ", now.host(), " under epoch ",
                                       now.epoch(), " after ", was.epoch()));
      }
    }
    tenants_[event.entry.key] = now;
  }
}

void LeaseJudge::CheckMove(const state::v1::OperationRecord& record, const std::string& from) {
  const std::string tenant(TenantOf(record));
  const std::string what = absl::StrCat(tenant, " is moved away from ", from);
  const bool excused = excused_.count({tenant, from}) > 0;
  if (engines_->View(from, tenant).Runs() && !excused) {
    judge_->Violation(absl::StrCat(what, " while it runs there"));
  }
  if (record.operation().created_by() != failover::kByItself) return;
  const auto placed = tables_.tenants.Get(tenant);
  if (placed.ok() && placed->value.spec().failover_policy() != v1::FAILOVER_POLICY_FAILOVER) {
    judge_->Violation(absl::StrCat(what, " though it is to stay"));
  }
  if (!leases_->IsLeased(from, tenant)) {
    judge_->Violation(absl::StrCat(what, ", which does not hold it by a lease"));
  }
  if (agents_->IsReachable(from)) judge_->Violation(absl::StrCat(what, ", which can be reached"));
  if (VanishedTogether(from)) {
    judge_->Violation(absl::StrCat(what, ", which vanished together with others"));
  }
}

void LeaseJudge::OnOperation(const std::string&, const state::v1::OperationRecord* before,
                             const state::v1::OperationRecord& after) {
  const v1::Operation& operation = after.operation();
  const std::string tenant(TenantOf(after));
  const std::string from = FactOf(after, kFailedOverFromFact);
  if (before == nullptr && operation.kind() == "restore" && !from.empty()) CheckMove(after, from);
  if (operation.state() != v1::OPERATION_STATE_SUCCEEDED) return;
  if (before != nullptr && operations::HasEnded(before->operation())) return;
  if (operation.kind() == "evict") {
    ++taken_off_;
    excused_.erase({tenant, operation.host()});
    CheckCopies(tenant);
  }
  if (operation.kind() != "restore" || from.empty()) return;
  ++(operation.created_by() == failover::kByItself ? by_itself_ : by_word_);
  if (!engines_->View(operation.host(), tenant).Runs() &&
      !leases_->IsLeased(operation.host(), tenant)) {
    judge_->Violation(absl::StrCat(tenant, " was moved and does not run"));
  }
}

void LeaseJudge::Conclude() {
  const auto evictions = tables_.evictions.List();
  if (evictions.ok() && !evictions->empty()) {
    judge_->Violation(absl::StrCat(evictions->front().id, " was never taken off"));
  }
  std::map<std::string, std::string> hosts;
  const auto tenants = tables_.tenants.List();
  if (!tenants.ok()) return;
  for (const auto& row : *tenants) hosts[row.id] = row.value.host();
  for (const auto& [host, engine] : engines_->containers()) {
    for (const auto& [tenant, container] : engine) {
      if (container.running && hosts[tenant] != host) {
        judge_->Violation(absl::StrCat(tenant, " runs on ", host, ", where it is not placed"));
      }
    }
  }
  for (const std::string& host : agents_->Hosts()) {
    const auto allocations = tables_.allocations.Get(host);
    if (!allocations.ok()) continue;
    for (const auto& allocation : allocations->value.allocations()) {
      if (hosts[allocation.tenant()] != host) {
        judge_->Violation(absl::StrCat(host, " reserves for ", allocation.tenant(),
                                       ", which is not placed there"));
      }
    }
  }
  excused_.clear();
  for (const auto& [tenant, host] : hosts) CheckCopies(tenant);
  ConcludeRepositories(tables_, *engines_, judge_);
}

}  // namespace mtp::simulation
