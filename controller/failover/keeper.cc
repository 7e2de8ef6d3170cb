#include "controller/failover/keeper.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/status.h"
#include "controller/failover/evict_kind.h"
#include "controller/failover/yield.h"
#include "controller/state/fleet.h"

namespace mtp::failover {
namespace {

constexpr absl::Duration kFirstPause = absl::Minutes(1);
constexpr absl::Duration kLongestPause = absl::Minutes(30);

// Kinds that may wait for a lost host and leave the tenant as it is when they are called off.
constexpr std::array kInTheWay = {"backup", "start", "restart"};

std::string IdOf(const v1::Operation& operation) {
  return operation.name().substr(std::string("operations/").size());
}

// Whether a decision may depend on what is stored there.
bool Matters(const Tables& tables, const std::string& key) {
  for (const std::string* prefix :
       {&tables.hosts.prefix(), &tables.tenants.prefix(), &tables.backups.prefix(),
        &tables.evictions.prefix(), &tables.locks.prefix()}) {
    if (absl::StartsWith(key, *prefix)) return true;
  }
  return false;
}

}  // namespace

Keeper::Keeper(kv::Store* store, operations::Engine* engine, Failovers* failovers, LeaseBook* book,
               Observations* observations, const Clock* clock, Executor* executor, Send send,
               Log log, Options options)
    : store_(store),
      tables_(store),
      engine_(engine),
      failovers_(failovers),
      book_(book),
      observations_(observations),
      clock_(clock),
      executor_(executor),
      send_(std::move(send)),
      log_(std::move(log)),
      options_(options) {}

Keeper::~Keeper() { Stop(); }

void Keeper::Start() {
  // A disk that is full refuses it now and is asked again at each look.
  const absl::Status opened = book_->Open();
  if (!opened.ok()) log_.Error(absl::StrCat("leases: ", std::string(opened.message())));
  listening_ = observations_->ListenToConnections([this] { LookSoon(); });
  LookSoon();
}

void Keeper::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    mutex_.Await(absl::Condition(
        +[](bool* looking) { return !*looking; }, &looking_));
  }
  listening_.reset();
  watch_.reset();
}

void Keeper::LookSoon() {
  absl::MutexLock lock(&mutex_);
  LookBy(clock_->Monotonic() + options_.settle);
}

void Keeper::LookBy(absl::Duration time) {
  if (stopped_ || time >= look_at_) return;
  look_at_ = time;
  executor_->PostAfter(std::max(time - clock_->Monotonic(), absl::ZeroDuration()),
                       [self = weak_from_this(), time] {
                         if (const auto alive = self.lock()) alive->Look(time);
                       });
}

void Keeper::OnStamp(const std::string& host, const v1::LeaseStamp& stamp) {
  if (const auto grant = book_->OnStamp(host, stamp)) send_(host, *grant);
}

void Keeper::Look(absl::Duration time) {
  {
    absl::MutexLock lock(&mutex_);
    // Of a timer that an earlier one has made needless, or that the look of now sees to.
    if (stopped_ || look_at_ != time || looking_) return;
    looking_ = true;
    look_at_ = absl::InfiniteDuration();
  }
  const auto pause = LookThrough();
  if (!pause.ok()) {
    log_.Error(absl::StrCat("failover: ", std::string(pause.status().message())));
  }
  absl::MutexLock lock(&mutex_);
  looking_ = false;
  const absl::Duration next = clock_->Monotonic() + (pause.ok() ? *pause : options_.settle);
  // The timers of those who asked meanwhile may have gone by.
  LookBy(std::min(next, std::exchange(look_at_, absl::InfiniteDuration())));
}

absl::StatusOr<absl::Duration> Keeper::LookThrough() {
  MTP_RETURN_IF_ERROR(book_->Open());
  MTP_RETURN_IF_ERROR(Follow());
  MTP_ASSIGN_OR_RETURN(const std::vector<HostLife> hosts, Hosts());
  MTP_RETURN_IF_ERROR(Evict());
  const bool all_heard =
      std::all_of(hosts.begin(), hosts.end(), [](const HostLife& host) { return host.heard; });
  if (all_heard) {
    tries_.clear();
    return absl::InfiniteDuration();
  }
  MTP_ASSIGN_OR_RETURN(const std::vector<Placed> tenants, TenantsOf(hosts));
  const absl::Duration now = clock_->Boottime();
  const Decision decision = Decide(hosts, tenants, now);
  Tell(hosts, decision);
  MTP_RETURN_IF_ERROR(CarryOut(decision));
  return NextMoment(hosts, now) - clock_->Boottime();
}

// Before anything is read: what changes afterwards leads to another look.
absl::Status Keeper::Follow() {
  if (watch_ != nullptr) return absl::OkStatus();
  const auto hear = [this](const std::vector<kv::Event>& events) {
    for (const kv::Event& event : events) {
      if (Matters(tables_, event.entry.key)) return LookSoon();
    }
  };
  MTP_ASSIGN_OR_RETURN(watch_, store_->WatchPrefix("", store_->Revision(), hear));
  return absl::OkStatus();
}

// By the decision's own moment: what has come due since then is looked at at once.
absl::Duration Keeper::NextMoment(const std::vector<HostLife>& hosts, absl::Duration now) const {
  absl::Duration next = absl::InfiniteDuration();
  for (const HostLife& host : hosts) {
    if (!host.heard && !host.lease_over) next = std::min(next, book_->OverAt(host.name));
  }
  for (const auto& [tenant, last] : tries_) {
    if (last.not_before > now) next = std::min(next, last.not_before);
  }
  return next;
}

absl::StatusOr<std::vector<HostLife>> Keeper::Hosts() const {
  MTP_ASSIGN_OR_RETURN(const auto rows, tables_.hosts.List());
  const FleetObservation observed = observations_->Get();
  std::vector<HostLife> hosts;
  for (const auto& row : rows) {
    const auto seen = observed.find(row.id);
    HostLife host;
    host.name = row.id;
    host.heard = seen != observed.end() && seen->second.connected;
    host.silent_since = book_->LastHeard(row.id);
    host.lease_over = !host.heard && book_->IsOver(row.id);
    hosts.push_back(std::move(host));
  }
  return hosts;
}

absl::StatusOr<std::vector<Placed>> Keeper::TenantsOf(const std::vector<HostLife>& hosts) {
  std::vector<Placed> tenants;
  for (const HostLife& host : hosts) {
    if (host.heard) continue;
    const auto allocations = tables_.allocations.Get(host.name);
    if (absl::IsNotFound(allocations.status())) continue;
    if (!allocations.ok()) return allocations.status();
    for (const auto& allocation : allocations->value.allocations()) {
      const auto row = tables_.tenants.Get(allocation.tenant());
      if (!row.ok() || row->value.host() != host.name) continue;
      Placed tenant;
      tenant.tenant = row->id;
      tenant.host = host.name;
      tenant.may_fail_over =
          row->value.resolved().failover_policy() == v1::FAILOVER_POLICY_FAILOVER;
      tenant.asks_for_host = !row->value.spec().host().empty();
      tenant.leased = row->value.leased();
      tenant.wanted = row->value.spec().run_policy() != v1::RUN_POLICY_STOP;
      tenant.busy = TransitionKind(tables_, row->id);
      if (Yields(tenant.busy)) tenant.busy.clear();
      if (tenant.may_fail_over && host.lease_over) {
        tenant.backup = LastGoodBackup(tables_, row->value).name();
        tenant.not_before = NotBefore(row->id);
      }
      tenants.push_back(std::move(tenant));
    }
  }
  return tenants;
}

absl::Status Keeper::CarryOut(const Decision& decision) {
  for (const Move& move : decision.moves) {
    const auto operation = failovers_->CarryOut(move);
    if (!operation.ok()) {
      NoteFailure(move.tenant, std::string(operation.status().message()));
      continue;
    }
    tries_[move.tenant].operation = IdOf(*operation);
    log_.Warning(absl::StrCat("host ", move.from, " is lost: tenant ", move.tenant,
                              " is restored on host ", operation->host(), " (", operation->name(),
                              ")"));
  }
  absl::Status called_off;
  for (const Held& held : decision.held) {
    if (held.busy) called_off.Update(CallOff(held));
  }
  return called_off;
}

absl::Status Keeper::CallOff(const Held& held) {
  const auto holder = HolderOf(tables_, held.tenant);
  if (!holder.ok()) return absl::OkStatus();
  const v1::Operation& operation = holder->value.operation();
  if (operation.cancel_requested() || operation.host() != held.host ||
      std::find(kInTheWay.begin(), kInTheWay.end(), operation.kind()) == kInTheWay.end()) {
    return absl::OkStatus();
  }
  log_.Warning(absl::StrCat("host ", held.host, " is lost: the ", operation.kind(), " of tenant ",
                            held.tenant, " that waits for it is called off"));
  return engine_->Cancel(holder->id).status();
}

// In the status of a tenant until its host is back.
void Keeper::Tell(const std::vector<HostLife>& hosts, const Decision& decision) {
  for (const HostLife& host : hosts) {
    if (host.heard) continue;
    std::map<std::string, std::string> held;
    for (const Held& one : decision.held) {
      if (one.host == host.name) held[one.tenant] = one.reason;
    }
    if (observations_->GetHost(host.name).held == held) continue;
    observations_->Update(host.name, [&held](HostObservation& seen) {
      if (!seen.connected) seen.held = held;
    });
  }
}

absl::Status Keeper::Evict() {
  MTP_ASSIGN_OR_RETURN(const auto evictions, tables_.evictions.List());
  for (const auto& row : evictions) {
    const operations::NewOperation operation = EvictOperation(row.value);
    if (tables_.locks.Get("evictions/" + row.id).ok()) continue;
    const auto created = engine_->Create(operation, kv::Txn());
    if (!created.ok()) return created.status();
    log_.Info(absl::StrCat("what host ", row.value.host(), " still has of tenant ",
                           row.value.tenant(), " is taken off once it is back (", created->name(),
                           ")"));
  }
  return absl::OkStatus();
}

absl::Duration Keeper::NotBefore(const std::string& tenant) {
  const auto found = tries_.find(tenant);
  if (found == tries_.end()) return absl::ZeroDuration();
  Try& last = found->second;
  if (!last.operation.empty()) {
    const auto operation = engine_->Get(last.operation);
    const bool failed = operation.ok() && (operation->state() == v1::OPERATION_STATE_FAILED ||
                                           operation->state() == v1::OPERATION_STATE_CANCELLED);
    last.operation.clear();
    if (failed) NoteFailure(tenant, operation->error().message());
  }
  return last.not_before;
}

void Keeper::NoteFailure(const std::string& tenant, const std::string& why) {
  Try& last = tries_[tenant];
  const absl::Duration pause =
      std::min(kLongestPause, kFirstPause * (int64_t{1} << std::min(last.failed, 8)));
  ++last.failed;
  last.not_before = clock_->Boottime() + pause;
  log_.Error(absl::StrCat("tenant ", tenant, " cannot be placed elsewhere, will try again in ",
                          absl::FormatDuration(pause), ": ", why));
}

}  // namespace mtp::failover
