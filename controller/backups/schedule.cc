#include "controller/backups/schedule.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/kv/while_aborted.h"
#include "controller/backups/snapshot_steps.h"

namespace mtp {
namespace {

// A record that is from further in the future was written when the clock was wrong.
constexpr absl::Duration kSlack = absl::Minutes(1);
constexpr absl::Duration kConflictPause = absl::Seconds(1);

std::string IdOf(const v1::Operation& operation) {
  return operation.name().substr(operation.name().rfind('/') + 1);
}

// Whether the moment that was seen to has to be set to now, or to go.
bool MustAdopt(bool on, absl::Time now, bool has, const google::protobuf::Timestamp& seen) {
  return on ? !has || FromTimestamp(seen) > now + kSlack : has;
}

bool OnlyPuts(const std::vector<kv::Event>& events) {
  return std::none_of(events.begin(), events.end(), [](const kv::Event& event) {
    return event.kind == kv::Event::Kind::kDelete;
  });
}

}  // namespace

Schedule::Schedule(kv::Store* store, Backups* backups, const Observations* observations,
                   const Clock* clock, Executor* executor, Options options)
    : store_(store),
      tables_(store),
      backups_(backups),
      observations_(observations),
      clock_(clock),
      executor_(executor),
      options_(std::move(options)),
      prune_(store, backups, clock, options_.max_running,
             [this](const std::string& what, const absl::Status& status) { Tell(what, status); }) {}

Schedule::~Schedule() { Stop(); }

absl::Status Schedule::Start() {
  const int64_t revision = store_->Revision();
  for (const std::string& prefix : {tables_.policies.prefix(), tables_.tenants.prefix(),
                                    tables_.repositories.prefix(), tables_.locks.prefix()}) {
    const bool locks = prefix == tables_.locks.prefix();
    auto watch = store_->WatchPrefix(
        prefix, revision, [self = weak_from_this(), locks](const std::vector<kv::Event>& events) {
          // An operation that begins makes room for nothing.
          if (locks && OnlyPuts(events)) return;
          if (const auto alive = self.lock()) alive->Wake();
        });
    if (!watch.ok()) return watch.status();
    watches_.push_back(*std::move(watch));
  }
  Wake();
  return absl::OkStatus();
}

void Schedule::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    mutex_.Await(absl::Condition(
        +[](bool* looking) { return !*looking; }, &looking_));
  }
  watches_.clear();
}

void Schedule::Wake() {
  absl::MutexLock lock(&mutex_);
  Post();
}

void Schedule::Post() {
  if (stopped_ || posted_) return;
  posted_ = true;
  executor_->Post([self = weak_from_this()] {
    if (const auto alive = self.lock()) alive->Run();
  });
}

void Schedule::OnTimer(absl::Duration at) {
  absl::MutexLock lock(&mutex_);
  if (timer_ != at) return;
  timer_ = absl::InfiniteDuration();
  Post();
}

void Schedule::Run() {
  {
    absl::MutexLock lock(&mutex_);
    posted_ = false;
    if (stopped_) return;
    again_ = looking_;
    if (looking_) return;
    looking_ = true;
  }
  const absl::Duration pause = Look();
  absl::MutexLock lock(&mutex_);
  looking_ = false;
  if (stopped_) return;
  if (again_) Post();
  again_ = false;
  const absl::Duration at = clock_->Monotonic() + pause;
  if (timer_ <= at) return;  // that one leads to another look
  timer_ = at;
  executor_->PostAfter(pause, [self = weak_from_this(), at] {
    if (const auto alive = self.lock()) alive->OnTimer(at);
  });
}

absl::Duration Schedule::Look() {
  const auto pause = LookThrough();
  if (pause.ok()) return *pause;
  if (absl::IsAborted(pause.status())) return kConflictPause;  // somebody else wrote a record
  Tell("schedules", pause.status());
  return options_.busy_recheck;
}

absl::StatusOr<absl::Duration> Schedule::LookThrough() {
  const absl::Time now = clock_->Now();
  MTP_ASSIGN_OR_RETURN(auto all, ReadSchedules(tables_));
  MTP_RETURN_IF_ERROR(Adopt(all, now));
  MTP_ASSIGN_OR_RETURN(ScheduledWork work, ReadScheduledWork(tables_, *observations_));
  prune_.Look(all, work);
  absl::Duration pause = options_.recheck;
  const std::vector<Due> due = FindDue(all, now, &pause);
  if (BeginDue(due, work)) pause = std::min(pause, options_.busy_recheck);
  return pause;
}

absl::Status Schedule::Adopt(std::vector<TenantSchedule>& all, absl::Time now) {
  MTP_ASSIGN_OR_RETURN(const auto repositories, tables_.repositories.List());
  std::vector<TenantSchedule> changed;
  for (TenantSchedule& schedule : all) {
    state::v1::ScheduleRecord& record = schedule.record.value;
    const bool backups = schedule.BackupsOn() && !repositories.empty();
    const bool drills = schedule.DrillsOn() && !repositories.empty() && options_.start_drill;
    const bool backup_changed =
        MustAdopt(backups, now, record.has_backup_due(), record.backup_due());
    const bool drill_changed = MustAdopt(drills, now, record.has_drill_due(), record.drill_due());
    if (backup_changed) {
      record.clear_backup_due();
      if (backups) *record.mutable_backup_due() = ToTimestamp(now);
    }
    if (drill_changed) {
      record.clear_drill_due();
      if (drills) *record.mutable_drill_due() = ToTimestamp(now);
    }
    if (backup_changed || drill_changed) changed.push_back(schedule);
  }
  return WriteSchedules(store_, changed);
}

std::vector<Schedule::Due> Schedule::FindDue(const std::vector<TenantSchedule>& all, absl::Time now,
                                             absl::Duration* pause) const {
  std::vector<Due> due;
  const auto add = [&](const TenantSchedule& schedule, const std::optional<Turn>& turn,
                       bool drill) {
    if (!turn.has_value()) return;
    if (turn->when <= now) {
      due.push_back({&schedule, *turn, drill});
    } else {
      *pause = std::min(*pause, turn->when - now);
    }
  };
  for (const TenantSchedule& schedule : all) {
    add(schedule, NextBackup(tables_, schedule, now), false);
    if (options_.start_drill) add(schedule, NextDrill(tables_, schedule, now), true);
  }
  // Backups before drills, and who waits longest first.
  std::stable_sort(due.begin(), due.end(), [](const Due& a, const Due& b) {
    return std::tie(a.drill, a.turn.due) < std::tie(b.drill, b.turn.due);
  });
  return due;
}

bool Schedule::BeginDue(const std::vector<Due>& due, ScheduledWork& work) {
  bool waits = false;
  const absl::Duration now = clock_->Monotonic();
  std::map<std::string, absl::Duration> held_back;
  for (const Due& one : due) {
    const std::string& tenant = one.schedule->tenant.id;
    const std::string& host = one.schedule->tenant.value.host();
    const std::string what = absl::StrCat(one.drill ? "drill " : "backup ", tenant);
    if (const auto until = held_back_.find(what);
        until != held_back_.end() && until->second > now) {
      held_back.insert(*until);
      waits = true;
      continue;
    }
    // The end of what is in the way leads to another look.
    if (work.held.count(tenant) > 0 || work.by_host.count(host) > 0 ||
        work.running >= options_.max_running) {
      continue;
    }
    // It would only hold the tenant for as long as the host is away.
    if (!observations_->GetHost(host).connected) {
      waits = true;
      continue;
    }
    const absl::Status status = one.drill ? BeginDrill(one) : BeginBackup(one);
    if (status.ok()) {
      work.Add(tenant, host);
      told_.erase(what);
      continue;
    }
    // A drill that finds no room would ask in vain each minute.
    held_back[what] = now + (one.drill ? options_.recheck : options_.busy_recheck);
    waits = true;
    // Before its first backup a tenant has nothing to drill.
    if (one.drill && absl::IsNotFound(status)) continue;
    Tell(what, status);
    if (!one.drill) ShowFailure(tenant, status);
  }
  held_back_ = std::move(held_back);
  return waits;
}

void Schedule::ShowFailure(const std::string& tenant, const absl::Status& status) {
  const std::string why =
      absl::StrCat("it cannot be begun, will be tried again: ", std::string(status.message()));
  // The log has it in any case.
  kv::WhileAborted([&]() -> absl::Status {
    kv::Txn txn;
    PutBackupFailure(tables_, tenant, why, txn);
    return txn.puts.empty() ? absl::OkStatus() : store_->Commit(txn).status();
  }).IgnoreError();
}

decltype(Schedule::Options::start_drill) Schedule::DrillThrough(Backups* backups) {
  return [backups](const std::string&, const std::string& backup, const std::string& request_id) {
    v1::DrillBackupRequest request;
    request.set_name(backup);
    request.set_request_id(request_id);
    return backups->Drill(kScheduleCaller, request);
  };
}

absl::Status Schedule::BeginBackup(const Due& due) {
  const std::string& tenant = due.schedule->tenant.id;
  v1::CreateBackupRequest request;
  request.set_tenant(absl::StrCat("tenants/", tenant));
  request.set_request_id(RequestIdFor("backup", tenant, due.turn));
  const auto operation = backups_->CreateFor("scheduled", kScheduleCaller, request);
  if (operation.ok()) return Note(due, IdOf(*operation));
  // Begun before a crash by an earlier version, which named the repository in its request.
  if (absl::IsAlreadyExists(operation.status())) return Note(due, "");
  return operation.status();
}

absl::Status Schedule::BeginDrill(const Due& due) {
  const std::string& tenant = due.schedule->tenant.id;
  MTP_ASSIGN_OR_RETURN(const auto backups, backups_->List(absl::StrCat("tenants/", tenant)));
  if (backups.empty()) return absl::NotFoundError("there is no backup to drill yet");
  const auto operation =
      options_.start_drill(tenant, backups.front().name(), RequestIdFor("drill", tenant, due.turn));
  if (operation.ok()) return Note(due, IdOf(*operation));
  // Begun before a crash, with the backup that was the newest then.
  if (absl::IsAlreadyExists(operation.status())) return Note(due, "");
  return operation.status();
}

absl::Status Schedule::Note(const Due& due, const std::string& operation) {
  return kv::WhileAborted([&]() -> absl::Status {
    auto schedule = ReadSchedule(tables_, due.schedule->tenant.id);
    if (absl::IsNotFound(schedule.status())) return absl::OkStatus();
    if (!schedule.ok()) return schedule.status();
    state::v1::ScheduleRecord& record = schedule->record.value;
    google::protobuf::Timestamp& seen =
        due.drill ? *record.mutable_drill_due() : *record.mutable_backup_due();
    // A change of the policy may have moved it on meanwhile.
    seen = ToTimestamp(std::max(FromTimestamp(seen), due.turn.due));
    (due.drill ? *record.mutable_drill_operation() : *record.mutable_backup_operation()) =
        operation;
    return WriteSchedules(store_, {*std::move(schedule)});
  });
}

void Schedule::Tell(const std::string& what, const absl::Status& status) {
  std::string& last = told_[what];
  if (last == status.message()) return;
  last = std::string(status.message());
  if (options_.on_failure) options_.on_failure(what, status);
}

}  // namespace mtp
