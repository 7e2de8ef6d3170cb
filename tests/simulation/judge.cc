#include "tests/simulation/judge.h"

#include <absl/strings/match.h>

#include <algorithm>

#include "controller/operations/progress.h"
#include "tests/simulation/work_kinds.h"

namespace mtp::simulation {
namespace {

constexpr size_t kMaxViolations = 20;
constexpr absl::Duration kWakePatience = absl::Seconds(2);
// Longest pause of the engine after a fault of its disk.
constexpr absl::Duration kLongestBackoff = absl::Seconds(31);

std::string After(const std::string& key, absl::string_view prefix) {
  return key.substr(prefix.size());
}

}  // namespace

Judge::Judge(kv::Store* disk, const testing::SimClock* clock, Trace* trace)
    : clock_(clock), trace_(trace) {
  watch_ = *disk->WatchPrefix("/", disk->Revision(),
                              [this](const std::vector<kv::Event>& events) { OnEvents(events); });
}

void Judge::Violation(std::string what) {
  trace_->Add("VIOLATION ", what);
  if (violations_.size() < kMaxViolations) violations_.push_back(std::move(what));
}

void Judge::OnEvents(const std::vector<kv::Event>& events) {
  const int64_t revision = events.front().entry.mod_revision;
  if (revision <= revision_) Violation(absl::StrCat("revision ", revision, " was seen before"));
  revision_ = revision;
  std::vector<std::string> changed;
  std::vector<std::function<void()>> handovers;
  for (const kv::Event& event : events) {
    const std::string& key = event.entry.key;
    const bool put = event.kind == kv::Event::Kind::kPut;
    trace_->Add(put ? "put " : "delete ", key);
    if (absl::StartsWith(key, "/locks/")) {
      if (put) {
        state::v1::LockRecord lock;
        lock.ParseFromString(event.entry.value);
        if (const auto held = locks_.find(key); held != locks_.end()) {
          handovers.push_back([this, key, from = held->second, to = lock.operation()] {
            CheckHandover(key, from, to);
          });
        }
        locks_[key] = lock.operation();
      } else {
        locks_.erase(key);
      }
    } else if (absl::StartsWith(key, "/operations/") && put) {
      const std::string id = After(key, "/operations/");
      state::v1::OperationRecord record;
      if (!record.ParseFromString(event.entry.value))
        Violation(absl::StrCat(key, " is unreadable"));
      OnOperation(id, record);
      changed.push_back(id);
    } else if (absl::StartsWith(key, "/counters/")) {
      counters_[key] = event.entry.value;
    } else if (absl::StartsWith(key, "/requests/") && put) {
      state::v1::RequestRecord record;
      record.ParseFromString(event.entry.value);
      by_request_[After(key, "/requests/")].insert(record.operation());
    }
  }
  // As of the whole transaction, not of half of it.
  for (const auto& check : handovers) check();
  for (const std::string& id : changed) CheckLocks(id, operations_[id]);
}

void Judge::OnOperation(const std::string& id, const state::v1::OperationRecord& record) {
  const v1::Operation& after = record.operation();
  trace_->Add("operation ", id, " state ", static_cast<int>(after.state()), " step ", record.step(),
              " retries ", record.retries());
  const auto known = operations_.find(id);
  if (known != operations_.end()) CheckTransition(id, known->second.operation(), after);
  if (operations::HasEnded(after)) ++ended_;
  if (!after.request_id().empty()) {
    by_request_[absl::StrCat(after.created_by(), "/", after.request_id())].insert(id);
  }
  if (on_operation) on_operation(id, known == operations_.end() ? nullptr : &known->second, record);
  operations_[id] = record;
}

void Judge::CheckTransition(const std::string& id, const v1::Operation& before,
                            const v1::Operation& after) {
  if (operations::HasEnded(before)) {
    Violation(absl::StrCat(id, " was changed after its end"));
    return;
  }
  const bool was_undoing = before.state() == v1::OPERATION_STATE_COMPENSATING;
  const bool undoes = after.state() == v1::OPERATION_STATE_COMPENSATING ||
                      after.state() == v1::OPERATION_STATE_FAILED ||
                      after.state() == v1::OPERATION_STATE_CANCELLED;
  if (was_undoing && !undoes) Violation(absl::StrCat(id, " goes forward again after undoing"));
  if (after.state() == v1::OPERATION_STATE_SUCCEEDED) {
    for (const v1::OperationStep& step : after.steps()) {
      if (step.state() != v1::STEP_STATE_DONE) {
        Violation(absl::StrCat(id, " succeeded without ", step.name()));
      }
    }
  }
  for (int i = 0; i < after.steps_size(); ++i) {
    if (after.steps(i).attempts() < before.steps(i).attempts()) {
      Violation(absl::StrCat(id, " forgot an attempt of ", after.steps(i).name()));
    }
  }
}

// From a lender, and back to it from one that has not succeeded.
void Judge::CheckHandover(const std::string& lock, const std::string& from, const std::string& to) {
  const v1::Operation& giver = operations_[from].operation();
  if (operations_[to].lender() == from && IsActive(from)) {
    lenders_.insert(from);
    ++lent_;
  } else if (operations_[from].lender() == to && IsActive(to) && operations::HasEnded(giver) &&
             giver.state() != v1::OPERATION_STATE_SUCCEEDED) {
    lenders_.erase(to);
    ++given_back_;
  } else {
    Violation(absl::StrCat(lock, " was taken while it was held"));
  }
}

void Judge::CheckLocks(const std::string& id, const state::v1::OperationRecord& record) {
  const bool ended = operations::HasEnded(record.operation());
  for (const std::string& lock : record.locks()) {
    const auto held = locks_.find(lock);
    const bool mine = held != locks_.end() && held->second == id;
    if (ended && mine) Violation(absl::StrCat(id, " ended and still holds ", lock));
    if (!ended && !mine && lenders_.count(id) == 0)
      Violation(absl::StrCat(id, " goes on without holding ", lock));
  }
}

void Judge::OnStepRun(const operations::StepContext& context, const std::string& step, bool undo) {
  const v1::Operation& operation = context.record().operation();
  const std::string id = After(operation.name(), "operations/");
  trace_->Add("run ", context.key());
  last_run_[id] = clock_->Monotonic();

  const auto stored = operations_.find(id);
  if (stored == operations_.end()) {
    Violation(absl::StrCat(context.key(), " runs and its operation is not in the store"));
    return;
  }
  const state::v1::OperationRecord& record = stored->second;
  const bool at_step = record.step() >= 0 && record.step() < record.operation().steps_size() &&
                       record.operation().steps(record.step()).name() == step;
  const bool state_fits =
      undo ? record.operation().state() == v1::OPERATION_STATE_COMPENSATING
           : at_step && record.operation().state() == v1::OPERATION_STATE_RUNNING &&
                 record.operation().steps(record.step()).state() == v1::STEP_STATE_RUNNING;
  if (!at_step || !state_fits) {
    Violation(absl::StrCat(context.key(), " runs before the store says that it has begun"));
  }
  // Such a one only waits: what it must not do is asked of OnRequest.
  if (lenders_.count(id) > 0) return;
  // An eviction is about what a host that was lost still has of a tenant that is placed elsewhere.
  if (operation.kind() == "evict") return;
  std::string& actor = acting_[operation.target()];
  if (actor != id && !actor.empty() && IsActive(actor) && lenders_.count(actor) == 0) {
    Violation(absl::StrCat(id, " acts on ", operation.target(), " while ", actor, " does"));
  }
  actor = id;
}

void Judge::OnRequest(const std::string& key) {
  const std::string id = key.substr(0, key.find('/'));
  if (lenders_.count(id) > 0) Violation(absl::StrCat(key, " is asked for without its lock"));
}

void Judge::OnAccepted(const std::string& request_id, const v1::Operation& operation) {
  std::string& told = accepted_[request_id];
  if (!told.empty() && told != operation.name()) {
    Violation(absl::StrCat("request ", request_id, " was answered with ", told, " and then with ",
                           operation.name()));
  }
  told = operation.name();
}

std::function<void()> Judge::OnWake(const std::string& id) {
  return [this, id, woken = clock_->Monotonic()] {
    if (!IsActive(id) || disturbed_ + kLongestBackoff > woken) return;
    // A step that asked to be retried keeps its pause.
    if (operations_[id].retries() > 0) return;
    if (last_run_[id] < woken) {
      Violation(absl::StrCat(id, " was woken and did not look again within ",
                             absl::FormatDuration(kWakePatience)));
    }
  };
}

const state::v1::OperationRecord* Judge::Find(const std::string& id) const {
  const auto found = operations_.find(id);
  return found == operations_.end() ? nullptr : &found->second;
}

bool Judge::IsActive(const std::string& id) const {
  const auto found = operations_.find(id);
  return found != operations_.end() && !operations::HasEnded(found->second.operation());
}

int Judge::Active() const { return static_cast<int>(operations_.size()) - ended_; }

void Judge::CountSucceeded(std::map<std::string, int64_t>& seen) const {
  for (const auto& [id, record] : operations_) {
    const v1::Operation& operation = record.operation();
    if (operation.state() == v1::OPERATION_STATE_SUCCEEDED) ++seen[operation.kind()];
  }
  seen["lock lent"] += lent_;
  seen["lock given back"] += given_back_;
}

void Judge::Conclude(const std::vector<KindPlan>& kinds, const SimAgents& agents) {
  for (const auto& [request_id, name] : accepted_) {
    if (operations_.count(After(name, "operations/")) == 0) {
      Violation(absl::StrCat(name, " was accepted and is not there"));
    }
  }
  for (const auto& [request_id, ids] : by_request_) {
    if (ids.size() != 1) {
      Violation(absl::StrCat("request ", request_id, " made ", ids.size(), " operations"));
    }
  }
  for (const auto& [lock, id] : locks_) {
    Violation(absl::StrCat(lock, " is still held by ", id));
  }
  for (const auto& [key, times] : agents.effects()) {
    if (times != 1) Violation(absl::StrCat(key, " took effect ", times, " times"));
  }
  for (const std::string& complaint : agents.complaints()) Violation(complaint);
  int64_t counter = 0;
  for (const auto& [id, record] : operations_) {
    const auto kind = std::find_if(
        kinds.begin(), kinds.end(),
        [&name = record.operation().kind()](const KindPlan& plan) { return plan.name == name; });
    if (!operations::HasEnded(record.operation())) {
      Violation(absl::StrCat(id, " (", record.operation().kind(), ", step ", record.step(), ", ",
                             record.operation().message(), ") does not end"));
    } else if (kind != kinds.end()) {
      ConcludeOperation(id, *kind, agents, &counter);
    }
  }
  const std::string counted =
      counters_.count("/counters/all") > 0 ? counters_["/counters/all"] : "0";
  if (counted != absl::StrCat(counter)) {
    Violation(absl::StrCat("the counter stands at ", counted, " instead of ", counter));
  }
}

void Judge::ConcludeOperation(const std::string& id, const KindPlan& kind, const SimAgents& agents,
                              int64_t* counter) {
  const v1::Operation& operation = operations_.at(id).operation();
  const bool succeeded = operation.state() == v1::OPERATION_STATE_SUCCEEDED;
  std::vector<std::string> expected_undo;
  for (int i = 0; i < operation.steps_size(); ++i) {
    const StepPlan& plan = kind.steps[i];
    const std::string key = absl::StrCat(id, "/", plan.name);
    if (plan.nature == StepPlan::Nature::kCounter && succeeded) ++*counter;
    if (plan.nature != StepPlan::Nature::kAction) continue;
    const bool acted = agents.effects().count(key) > 0;
    const bool undone = agents.effects().count(key + "/undo") > 0;
    const bool begun = operation.steps(i).attempts() > 0;
    if (acted && !begun) Violation(absl::StrCat(key, " acted and was never begun"));
    if (succeeded && !acted) Violation(absl::StrCat(key, " is done and never took effect"));
    if (succeeded && undone) Violation(absl::StrCat(key, " is done and was undone"));
    if (!succeeded && plan.has_undo && begun && !undone) {
      Violation(absl::StrCat(key, " was begun and not undone"));
    }
    if (undone) expected_undo.insert(expected_undo.begin(), key + "/undo");
  }
  std::vector<std::string> undone_in_order;
  for (const std::string& key : agents.order()) {
    if (absl::StartsWith(key, id) && absl::EndsWith(key, "/undo")) undone_in_order.push_back(key);
  }
  if (undone_in_order != expected_undo) Violation(absl::StrCat(id, " was not undone in reverse"));
}

}  // namespace mtp::simulation
