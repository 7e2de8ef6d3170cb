#include "tests/simulation/scenario.h"

#include <algorithm>

namespace mtp::simulation {
namespace {

constexpr absl::Duration kFaultPhase = absl::Minutes(15);
constexpr absl::Duration kQuietPhase = absl::Minutes(30);
constexpr absl::Duration kWakeCheck = absl::Seconds(2);
constexpr int kMaxWishes = 24;
constexpr int kMaxTasks = 100'000;

}  // namespace

Scenario::Scenario(const SeedOptions& options)
    : random_(options.seed),
      executor_(&clock_, &random_),
      trace_(&clock_, options.keep_trace),
      left_out_(options.left_out),
      plant_(options.plant),
      faults_(FaultPlan::Draw(random_)),
      agents_(&clock_, &executor_, &random_, &faults_, options.plant, &trace_),
      judge_(disk_.get(), &clock_, &trace_) {
  const uint64_t hosts = 1 + random_.Below(3);
  for (uint64_t i = 0; i < hosts; ++i) agents_.AddHost(absl::StrCat("h", i));
  agents_.on_action = [this](const v1::Action& action) { OnAction(action); };
}

SeedResult Scenario::Run() {
  SeedResult result;
  for (const FaultPlan::NamedRate& rate : FaultPlan::Rates()) {
    if (left_out_.faults.count(rate.name) > 0) faults_.*rate.rate = 0;
    if (faults_.*rate.rate > 0) result.faults.insert(rate.name);
  }
  Boot();
  const uint64_t wishes = 1 + random_.Below(kMaxWishes);
  MakeWishes(wishes);
  EveryMinute();
  RunFor(kFaultPhase);
  if (const absl::Duration downtime = Downtime(); downtime > absl::ZeroDuration()) {
    StayAway(downtime);
    MakeWishes(wishes / 4);
    RunFor(kFaultPhase);
  }
  trace_.Add("quiet");
  faults_.StopFaults();
  quiet_ = true;
  RunFor(Calm());
  OnCalmEnds();
  RunFor(kQuietPhase);
  Conclude();
  if (ControllerLives() && controller_->engine().Active() != judge_.Active()) {
    judge_.Violation("the engine and the store do not agree on what goes on");
  }
  result.violations = judge_.violations();
  result.trace_hash = trace_.hash();
  result.events = trace_.events();
  result.tasks = tasks_;
  result.operations = judge_.Ended();
  result.deaths = deaths_;
  result.plans = plans_;
  result.trace = trace_.lines();
  CountSeen(result.seen);
  return result;
}

void Scenario::MakeWishes(uint64_t wishes) {
  for (uint64_t i = 0; i < wishes; ++i) {
    Plan(Within(kFaultPhase), [this] { Send(NewWish()); });
  }
}

void Scenario::TryAgain(absl::Duration delay, std::function<void()> task) {
  const absl::Duration away = std::max(away_until_ - clock_.Monotonic(), absl::ZeroDuration());
  executor_.PostAfter(away + delay, std::move(task));
}

void Scenario::Plan(absl::Duration delay, std::function<void()> task) {
  if (left_out_.plans.count(++plans_) == 0) executor_.PostAfter(delay, std::move(task));
}

absl::Duration Scenario::Within(absl::Duration most) {
  return absl::Microseconds(
      static_cast<int64_t>(random_.Below(static_cast<uint64_t>(absl::ToInt64Microseconds(most)))));
}

void Scenario::RunFor(absl::Duration duration) {
  const absl::Duration until = clock_.Monotonic() + duration;
  while (tasks_ < kMaxTasks && executor_.RunNext(until)) ++tasks_;
  if (tasks_ == kMaxTasks) judge_.Violation("it spins: far more tasks than there is work");
}

void Scenario::StayAway(absl::Duration duration) {
  trace_.Add("downtime");
  away_ = true;
  away_until_ = clock_.Monotonic() + duration;
  if (ControllerLives()) controller_->Kill();
  OnDowntimeBegins();
  RunFor(duration);
  away_ = false;
  faults_.wall_jump = 0;
  OnDowntimeEnds();
  Boot();
  EveryMinute();
}

void Scenario::Boot() {
  if (away_) return;
  ProcessWorld world{&clock_,     &executor_, &random_, &faults_, plant_,
                     disk_.get(), &agents_,   &judge_,  &trace_};
  controller_ = std::make_unique<ControllerProcess>(
      world, [this](const StepWorld& steps) { return MakeKinds(steps); },
      [this] {
        ++deaths_;
        // The process is in the middle of something on this very stack: it is buried a moment
        // later.
        executor_.Post([this] {
          OnBurial();
          controller_.reset();
          if (away_) return;
          executor_.PostAfter(Within(absl::Minutes(quiet_ ? 1 : 3)), [this] { Boot(); });
        });
      });
  OnBoot();
}

void Scenario::Send(const Wish& wish) {
  const auto again = [this, wish] {
    TryAgain(absl::Seconds(1) + Within(absl::Seconds(20)), [this, wish] { Send(wish); });
  };
  if (!ControllerLives()) return again();
  const absl::StatusOr<v1::Operation> answer = wish.ask();
  if (!ControllerLives()) return again();  // the answer was lost with the process
  if (!answer.ok() && wish.is_refusal(answer.status())) {
    // Some callers wait for another answer, most give up.
    if (!quiet_ && random_.Chance(300)) again();
    return;
  }
  if (!answer.ok()) return again();
  judge_.OnAccepted(wish.request_id, *answer);
  const std::string id = answer->name().substr(sizeof("operations/") - 1);
  if (random_.Chance(faults_.cancel)) {
    executor_.PostAfter(Within(absl::Seconds(60)), [this, id] {
      if (ControllerLives()) (void)controller_->engine().Cancel(id);
    });
  }
  if (!quiet_ && random_.Chance(faults_.repeated_request)) again();
  OnWishAnswered();
}

void Scenario::OnAction(const v1::Action& action) {
  if (!ControllerLives() || action.state() == v1::ACTION_STATE_RUNNING) return;
  Wake(action.key().substr(0, action.key().find('/')));
}

void Scenario::Wake(const std::string& operation_id) {
  // Two seconds after the wake, a life of the controller later, nothing can be said any more.
  const ControllerProcess* const woken = controller_.get();
  executor_.PostAfter(kWakeCheck, [this, woken, check = judge_.OnWake(operation_id)] {
    if (controller_.get() == woken && ControllerLives()) check();
  });
  if (plant_ != Plant::kWakeLost) controller_->engine().Wake(operation_id);
}

void Scenario::EveryMinute() {
  for (const std::string& host : agents_.Hosts()) {
    if (random_.Chance(faults_.cut_host)) agents_.Cut(host, Within(absl::Minutes(3)));
    if (random_.Chance(faults_.dying_agent)) agents_.Kill(host, Within(absl::Minutes(2)));
  }
  if (random_.Chance(faults_.wall_jump)) {
    clock_.JumpWall(Within(absl::Hours(2)) - absl::Hours(1));
    trace_.Add("wall clock jumps");
  }
  if (!quiet_ && !away_) executor_.PostAfter(absl::Minutes(1), [this] { EveryMinute(); });
}

}  // namespace mtp::simulation
