#include "controller/recovery/state_copies.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>

#include "common/base/status.h"
#include "common/base/ulid.h"
#include "controller/backups/repositories.h"
#include "controller/recovery/collect.h"
#include "controller/recovery/copy_seal.h"

namespace mtp {
namespace {

// Of what is sealed; more than its head.
constexpr size_t kSealBytes = 256;
// Repositories and hosts are looked at anew this often: what is new tells of itself before.
constexpr absl::Duration kRecheck = absl::Hours(1);

bool IsFolder(const v1::Repository& repository) { return absl::StartsWith(repository.url(), "/"); }

}  // namespace

StateCopies::StateCopies(kv::Store* store, const SecretBox* box, const Observations* observations,
                         const Clock* clock, Random* random, Executor* executor, std::string fleet,
                         Edges edges, Log log, Options options)
    : store_(store),
      tables_(store),
      box_(box),
      observations_(observations),
      clock_(clock),
      random_(random),
      executor_(executor),
      fleet_(std::move(fleet)),
      edges_(std::move(edges)),
      log_(std::move(log)),
      options_(options),
      self_(std::make_shared<StateCopies*>(this)) {}

StateCopies::~StateCopies() { Stop(); }

absl::Status StateCopies::Start() {
  MTP_ASSIGN_OR_RETURN(watch_, store_->WatchPrefix("", store_->Revision(),
                                                   [this](const std::vector<kv::Event>& events) {
                                                     OnEvents(events);
                                                   }));
  MTP_ASSIGN_OR_RETURN(const auto repositories, tables_.repositories.List());
  absl::MutexLock lock(&mutex_);
  for (const auto& row : repositories) old_.insert(row.id);
  started_at_ = clock_->Monotonic();
  LookBy(started_at_);
  return absl::OkStatus();
}

void StateCopies::Stop() {
  watch_.reset();
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !looking_; };
  mutex_.Await(absl::Condition(&idle));
}

void StateCopies::HostConnected() {
  absl::MutexLock lock(&mutex_);
  const absl::Duration soon = clock_->Monotonic() + options_.first_copy;
  for (auto& [place, progress] : places_) {
    progress.retry_at = std::min(progress.retry_at, soon);
  }
  LookBy(clock_->Monotonic());
}

void StateCopies::OnEvents(const std::vector<kv::Event>& events) {
  const bool worth = std::any_of(events.begin(), events.end(), [](const kv::Event& event) {
    return IsWorthACopy(event.entry.key);
  });
  const bool repositories = std::any_of(events.begin(), events.end(), [this](const auto& event) {
    return absl::StartsWith(event.entry.key, tables_.repositories.prefix());
  });
  if (!worth) return;
  absl::MutexLock lock(&mutex_);
  const absl::Duration now = clock_->Monotonic();
  if (changes_++ == begun_changes_) {
    changed_at_ = now;
    LookBy(now + options_.settle);
  }
  if (repositories) LookBy(now);
}

void StateCopies::LookBy(absl::Duration time) {
  if (stopped_ || time >= look_at_) return;
  look_at_ = time;
  executor_->PostAfter(std::max(time - clock_->Monotonic(), absl::ZeroDuration()),
                       [self = std::weak_ptr<StateCopies*>(self_)] {
                         if (auto alive = self.lock()) (*alive)->Look();
                       });
}

void StateCopies::Look() {
  {
    absl::MutexLock lock(&mutex_);
    // A timer that an earlier one has made needless.
    if (stopped_ || looking_ || clock_->Monotonic() < look_at_) return;
    looking_ = true;
    look_at_ = absl::InfiniteDuration();
  }
  if (const absl::Status status = FindPlaces(); !status.ok()) {
    log_.Warning(absl::StrCat("the state is not copied: ", std::string(status.message())));
  } else if (const std::vector<Place> due = DuePlaces(); !due.empty()) {
    CopyTo(due);
  }
  absl::MutexLock lock(&mutex_);
  looking_ = false;
  absl::Duration next = clock_->Monotonic() + kRecheck;
  for (const auto& [place, progress] : places_) next = std::min(next, DueAt(progress));
  // The timers of those who asked meanwhile may have gone by.
  next = std::min(next, look_at_);
  look_at_ = absl::InfiniteDuration();
  LookBy(next);
}

std::vector<std::string> StateCopies::Hosts() const {
  std::vector<std::string> hosts;
  for (const auto& [host, seen] : observations_->Get()) {
    if (seen.connected) hosts.push_back(host);
  }
  return hosts;
}

absl::Status StateCopies::FindPlaces() {
  MTP_ASSIGN_OR_RETURN(const auto repositories, tables_.repositories.List());
  MTP_ASSIGN_OR_RETURN(const auto hosts, tables_.hosts.List());
  std::set<std::string> host_names;
  for (const auto& row : hosts) host_names.insert(row.id);
  std::set<Place> there;  // also those whose host is away now
  std::set<Place> usable;
  for (const auto& row : repositories) {
    if (!IsFolder(row.value.repository())) {
      usable.insert({row.id, ""});
      continue;
    }
    for (const std::string& host : host_names) there.insert({row.id, host});
    for (const std::string& host : Hosts()) usable.insert({row.id, host});
  }
  there.insert(usable.begin(), usable.end());
  absl::MutexLock lock(&mutex_);
  const absl::Duration now = clock_->Monotonic();
  std::erase_if(places_, [&](const auto& entry) { return there.count(entry.first) == 0; });
  for (const Place& place : usable) {
    const auto [entry, fresh] = places_.emplace(place, Progress());
    if (!fresh) continue;
    entry->second.first_due = now + options_.first_copy;
    // Hosts connect one after another then; and a controller that dies again and again would fill
    // its repositories with copies.
    if (old_.count(place.repository) > 0) {
      entry->second.first_due = std::max(entry->second.first_due, started_at_ + options_.settle);
    }
  }
  return absl::OkStatus();
}

absl::Duration StateCopies::DueAt(const Progress& progress) const {
  if (progress.failures > 0) return progress.retry_at;
  if (!progress.copied) return progress.first_due;
  if (progress.copied_change == changes_) return progress.copied_at + options_.max_age;
  return std::max(changed_at_ + options_.settle, progress.copied_at + options_.min_interval);
}

std::vector<StateCopies::Place> StateCopies::DuePlaces() {
  const std::vector<std::string> hosts = Hosts();
  absl::MutexLock lock(&mutex_);
  const absl::Duration now = clock_->Monotonic();
  std::vector<Place> due;
  for (auto& [place, progress] : places_) {
    if (DueAt(progress) > now) continue;
    if (place.host.empty() || std::count(hosts.begin(), hosts.end(), place.host) > 0) {
      due.push_back(place);
    } else {
      // The host's return looks here again.
      ++progress.failures;
      progress.retry_at = now + options_.max_retry;
    }
  }
  return due;
}

void StateCopies::CopyTo(const std::vector<Place>& places) {
  int64_t change = 0;
  {
    absl::MutexLock lock(&mutex_);
    change = begun_changes_ = changes_;
  }
  for (const Place& place : places) {
    {
      absl::MutexLock lock(&mutex_);
      if (stopped_) return;
    }
    std::string words;
    const absl::Status status = CopyToOne(place, &words);
    Note(place, status, change, words);
  }
}

absl::Status StateCopies::CopyToOne(const Place& place, std::string* words) {
  // Of its own for each place: hosts may share what is in a folder, and a repository that is given
  // the same copy again removes what it has of it first.
  const std::string copy_id = NewUlid(*clock_, *random_);
  *words = absl::StrCat("copy ", copy_id, " of the state in repository ", place.repository);
  std::string host = place.host;
  if (host.empty()) {
    const std::vector<std::string> hosts = Hosts();
    if (hosts.empty()) return absl::UnavailableError("no host is connected that could write it");
    absl::MutexLock lock(&mutex_);
    // Another one after each failure.
    host = hosts[static_cast<size_t>(places_[place].failures) % hosts.size()];
  }
  absl::StrAppend(words, ", by host ", host);
  MTP_ASSIGN_OR_RETURN(const SecretString packed,
                       edges_.pack(copy_id, kStateCopyBytesMax - kSealBytes));
  absl::StrAppend(words, " (", (packed.size() + 1023) / 1024, " KiB)");
  MTP_ASSIGN_OR_RETURN(const v1::RepositorySecrets secrets,
                       SecretsFor(tables_, *box_, place.repository));
  v1::StoreStateRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_repository(),
                       AccessFor(tables_, *box_, place.repository, kControllerPart));
  request.set_fleet(fleet_);
  request.set_copy_id(copy_id);
  MTP_ASSIGN_OR_RETURN(*request.mutable_state(),
                       SealCopy(packed.Reveal(), CopyKey(secrets.root_key(), fleet_)));
  return edges_.send(host, request);
}

void StateCopies::Note(const Place& place, const absl::Status& status, int64_t change,
                       const std::string& words) {
  absl::MutexLock lock(&mutex_);
  const auto found = places_.find(place);
  if (stopped_ || found == places_.end()) return;
  Progress& progress = found->second;
  const absl::Duration now = clock_->Monotonic();
  if (status.ok()) {
    log_.Info(absl::StrCat(words, " is safe"));
    progress = {.copied = true, .copied_at = now, .copied_change = change};
    return;
  }
  const int doublings = std::min(progress.failures++, 10);
  progress.retry_at = now + std::min(options_.max_retry, options_.min_retry * (1 << doublings));
  log_.Warning(absl::StrCat(words, " failed, will be tried again in ",
                            absl::FormatDuration(progress.retry_at - now), ": ",
                            std::string(status.message())));
}

}  // namespace mtp
