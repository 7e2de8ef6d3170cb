#include "agent/tenants/observer.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "agent/compose/render.h"
#include "agent/tenants/held_channels.h"
#include "common/base/timestamps.h"

namespace mtp {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(15);
constexpr absl::Duration kStartingInterval = absl::Seconds(2);
// An observation that says nothing new is published again after so long, for its time.
constexpr absl::Duration kRepeatInterval = absl::Seconds(60);
constexpr int kUnansweredPings = 2;
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(200);
constexpr absl::Duration kMaxBackoff = absl::Seconds(5);
// Kept until the next look, which each of them causes.
constexpr size_t kMaxOomEvents = 1000;

// Actions of a container that change what an inspection says.
bool ChangesContainer(absl::string_view action) {
  for (const char* known : {"create", "start", "die", "stop", "oom", "pause", "unpause", "destroy",
                            "restart", "update", "rename"}) {
    if (action == known) return true;
  }
  return absl::StartsWith(action, "health_status");
}

bool IsStarting(const TenantFacts& facts) {
  return facts.container && facts.container->HasProcesses() &&
         !(facts.probe && facts.probe->ready) && !facts.was_ready;
}

// Memory that moved a little is no news.
int64_t SteadyMemory(int64_t published_mib, int64_t now_mib) {
  const int64_t threshold = std::max<int64_t>(4, published_mib / 50);
  return std::abs(now_mib - published_mib) < threshold ? published_mib : now_mib;
}

bool SaysNothingNew(const v1::TenantStatus& before, const v1::TenantStatus& now) {
  v1::TenantStatus same_time = now;
  *same_time.mutable_observe_time() = before.observe_time();
  return google::protobuf::util::MessageDifferencer::Equals(before, same_time);
}

}  // namespace

Observer::Observer(ObserverDeps deps) : deps_(std::move(deps)) {}

Observer::~Observer() { Stop(); }

void Observer::Start() {
  events_ = std::jthread([this](std::stop_token stop) { FollowEvents(stop); });
  PingLater(0);
}

void Observer::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  if (events_.joinable()) {
    events_.request_stop();
    events_.join();
  }
}

void Observer::FollowEvents(std::stop_token stop) {
  absl::Duration backoff = kFirstBackoff;
  while (!stop.stop_requested()) {
    std::stop_source stream;
    const std::stop_callback end_stream(stop, [&stream] { stream.request_stop(); });
    {
      absl::MutexLock lock(&mutex_);
      stream_ = stream;
    }
    const absl::Status end = deps_.engine->Events(
        kProjectName, std::nullopt,
        [this](const EngineEvent& event) {
          OnEvent(event);
          return true;
        },
        stream.get_token(),
        [this, &backoff] {
          backoff = kFirstBackoff;
          SetEngineUp(true);
        });
    if (stop.stop_requested()) return;
    deps_.log.Warning(absl::StrCat("the engine's events ended: ", end.message()));
    SetEngineUp(false);
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any().wait_for(lock, stop, absl::ToChronoNanoseconds(backoff),
                                           [] { return false; });
    backoff = std::min(backoff * 2, kMaxBackoff);
  }
}

void Observer::PingLater(int unanswered) {
  deps_.executor->PostAfter(deps_.ping_interval, [this, unanswered] {
    std::optional<std::stop_source> stream;
    {
      absl::MutexLock lock(&mutex_);
      if (stopped_) return;
      // While it is down the stream's next beginning says that it answers again.
      if (!engine_up_) return PingLater(0);
      stream.emplace(stream_);
    }
    if (deps_.engine->Ping().ok()) return PingLater(0);
    if (unanswered + 1 == kUnansweredPings) stream->request_stop();
    PingLater((unanswered + 1) % kUnansweredPings);
  });
}

void Observer::OnEvent(const EngineEvent& event) {
  if (event.type != "container" || !ChangesContainer(event.action)) return;
  auto tenant = event.attributes.find(kTenantLabel);
  if (tenant != event.attributes.end()) {
    if (event.action == "oom") {
      absl::MutexLock lock(&mutex_);
      std::vector<absl::Time>& events = entries_[tenant->second].oom_events;
      if (events.size() < kMaxOomEvents) events.push_back(event.time);
    }
    Refresh(tenant->second);
  } else {
    auto name = event.attributes.find("name");
    if (name != event.attributes.end() && name->second == kAdminContainer) Refresh(kAdminService);
  }
}

void Observer::SetEngineUp(bool up) {
  {
    absl::MutexLock lock(&mutex_);
    if (engine_up_ == up && !up) return;
    engine_up_ = up;
    for (auto& [name, entry] : entries_) {
      entry.facts.engine_up = up;
      entry.touched = true;
    }
  }
  if (deps_.on_engine) deps_.on_engine(up);
  RefreshAll();
}

void Observer::RefreshAll() {
  std::vector<std::string> names;
  auto tenants = deps_.journal->Tenants();
  if (tenants.ok()) {
    for (const auto& record : *tenants) names.push_back(record.name());
  }
  {
    absl::MutexLock lock(&mutex_);
    if (entries_.count(kAdminService) > 0) names.push_back(kAdminService);
  }
  for (const std::string& name : names) Refresh(name);
}

bool Observer::BeginLook(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  if (stopped_) return false;
  Entry& entry = entries_[name];
  entry.touched = true;
  entry.facts.engine_up = engine_up_;
  if (entry.looking) {
    entry.look_again = true;
    return false;
  }
  entry.looking = true;
  return true;
}

void Observer::Refresh(const std::string& name) {
  if (BeginLook(name)) {
    deps_.executor->Post([this, name] { Look(name); });
  }
}

void Observer::RefreshNow(const std::string& name) {
  if (BeginLook(name)) Look(name);
}

void Observer::Forget(const std::string& name) {
  {
    absl::MutexLock lock(&mutex_);
    entries_.erase(name);
  }
  deps_.board->SetTenantGone(name);
}

void Observer::Look(const std::string& name) {
  TenantFacts facts;
  bool touched = false;
  std::optional<CrashHistory> crashes;
  std::vector<absl::Time> oom_events;
  {
    absl::MutexLock lock(&mutex_);
    auto found = entries_.find(name);
    if (stopped_ || found == entries_.end()) return;
    facts = found->second.facts;
    touched = std::exchange(found->second.touched, false);
    crashes = found->second.crashes;
    oom_events = std::exchange(found->second.oom_events, {});
  }
  if (name != kAdminService) {
    auto parsed = TenantName::Parse(name);
    auto record = parsed.ok() ? deps_.journal->Tenant(*parsed) : parsed.status();
    if (!record.ok()) {
      // A container with our label that the journal does not know is not ours to report.
      absl::MutexLock lock(&mutex_);
      entries_.erase(name);
      return;
    }
    facts.record = *std::move(record);
  } else {
    facts.record.set_name(kAdminService);
    facts.record.set_run_policy(v1::RUN_POLICY_RUN);
  }
  facts = Gather(name, std::move(facts), touched);
  if (name != kAdminService) {
    const TenantName tenant = *TenantName::Parse(name);
    SeeChannels(tenant, facts);
    SeeCrashes(tenant, oom_events, crashes, facts);
  }

  absl::MutexLock lock(&mutex_);
  auto found = entries_.find(name);
  if (stopped_ || found == entries_.end()) return;
  Entry& entry = found->second;
  const bool engine_up = entry.facts.engine_up;
  entry.facts = std::move(facts);
  entry.facts.engine_up = engine_up;
  entry.crashes = std::move(crashes);
  Publish(name, entry);
  if (std::exchange(entry.look_again, false)) {
    deps_.executor->Post([this, name] { Look(name); });
    return;
  }
  entry.looking = false;
  ScheduleNext(name, entry);
}

TenantFacts Observer::Gather(const std::string& name, TenantFacts facts, bool touched) {
  facts.now = deps_.clock->Now();
  facts.being_started =
      name != kAdminService && deps_.is_being_started && deps_.is_being_started(name);
  if (!facts.engine_up) return facts;
  const std::string container = absl::StrCat("mtp-", name);
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (touched || !facts.container) {
      auto details = deps_.engine->InspectContainer(container);
      if (!details.ok() && !absl::IsNotFound(details.status())) return facts;
      const auto started_before = facts.container ? facts.container->started_at : std::nullopt;
      facts.container = details.ok() ? std::make_optional(*std::move(details)) : std::nullopt;
      if (!facts.container || facts.container->started_at != started_before) {
        facts.probe.reset();
        facts.memory.reset();
        facts.was_ready = false;
        facts.held_back.reset();
      }
    }
    if (!facts.container || facts.container->state != ContainerState::kRunning) return facts;
    auto memory = deps_.cgroups->Memory(facts.container->pid);
    if (memory.ok()) facts.memory = *memory;
    auto probe =
        deps_.openclaw->Probe({facts.container->id, facts.container->pid}, kGatewayTimeout);
    if (probe.ok()) {
      facts.was_ready = facts.was_ready || probe->ready;
      facts.probe = *std::move(probe);
      return facts;
    }
    // The process is another one by now, and its event is still on the way.
    if (!absl::IsNotFound(probe.status())) return facts;
    touched = true;
  }
  return facts;
}

void Observer::SeeChannels(const TenantName& name, TenantFacts& facts) {
  const bool runs =
      facts.engine_up && facts.container && facts.container->state == ContainerState::kRunning;
  if (!runs || facts.held_back == "" || !facts.probe || !facts.probe->ready) return;
  const auto secrets = deps_.journal->Secrets(name);
  if (!secrets.ok()) return;
  auto held_back =
      StartHeldBackChannels(*deps_.openclaw, {facts.container->id, facts.container->pid}, *secrets,
                            name.value(), deps_.log);
  if (held_back.ok()) facts.held_back = *std::move(held_back);
}

void Observer::SeeCrashes(const TenantName& name, const std::vector<absl::Time>& oom_events,
                          std::optional<CrashHistory>& crashes, TenantFacts& facts) {
  if (!crashes) crashes = CrashHistory::FromText(deps_.journal->CrashHistoryText(name));
  if (facts.engine_up && facts.container) {
    const std::string before = crashes->ToText();
    crashes->See(*facts.container, facts.memory ? facts.memory->oom_kills : 0, oom_events,
                 facts.now);
    crashes->SeeReadiness(facts.container->HasProcesses() && facts.probe && facts.probe->ready,
                          facts.now);
    const std::string after = crashes->ToText();
    // A full disk costs the memory of it over a restart of the agent, nothing else.
    if (after != before) deps_.journal->SetCrashHistoryText(name, after).IgnoreError();
    // Started by hand, and well.
    if (crashes->IsWell(facts.now)) deps_.journal->Unpark(name).IgnoreError();
    const bool goes_on =
        facts.container->HasProcesses() || facts.container->state == ContainerState::kRestarting;
    if (goes_on && crashes->IsCrashLoop(facts.now) && deps_.on_crash_loop) {
      deps_.on_crash_loop(name.value());
    }
  }
  facts.oom_kills = crashes->oom_kills();
  facts.last_oom_kill = crashes->last_oom_kill();
  facts.oom_limit_bytes = crashes->limit_at_last_kill();
}

void Observer::Publish(const std::string& name, Entry& entry) {
  v1::TenantStatus status = ObserveTenant(entry.facts);
  status.set_memory_mib(SteadyMemory(entry.published.memory_mib(), status.memory_mib()));
  if (SaysNothingNew(entry.published, status) &&
      entry.facts.now - FromTimestamp(entry.published.observe_time()) < kRepeatInterval) {
    return;
  }
  entry.published = status;
  if (name == kAdminService) {
    if (deps_.on_admin) deps_.on_admin(status);
    return;
  }
  v1::TenantObservation observation;
  observation.set_tenant(name);
  *observation.mutable_status() = std::move(status);
  deps_.board->SetTenant(observation);
}

void Observer::ScheduleNext(const std::string& name, Entry& entry) {
  absl::Duration interval = IsStarting(entry.facts) ? kStartingInterval : kLookInterval;
  // Spread by a fifth, so that instances which started together are not asked together.
  interval *= 0.9 + 0.2 * static_cast<double>(deps_.random->Uint64() % 1000) / 1000;
  const uint64_t timer = ++timers_;
  entry.timer = timer;
  deps_.executor->PostAfter(interval, [this, name, timer] {
    {
      absl::MutexLock lock(&mutex_);
      auto found = entries_.find(name);
      if (found == entries_.end() || found->second.timer != timer || found->second.looking) return;
      found->second.looking = true;
    }
    Look(name);
  });
}

}  // namespace mtp
