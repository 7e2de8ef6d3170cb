#include "tests/simulation/simulation.h"

#include <algorithm>
#include <memory>

#include "common/kv/sqlite_store.h"
#include "tests/simulation/controller_process.h"
#include "tests/simulation/judge.h"

namespace mtp::simulation {
namespace {

constexpr absl::Duration kFaultPhase = absl::Minutes(15);
constexpr absl::Duration kQuietPhase = absl::Minutes(30);
constexpr absl::Duration kWakeCheck = absl::Seconds(2);
constexpr int kMaxOperations = 24;
constexpr int kMaxTasks = 100'000;

class Simulation {
 public:
  Simulation(uint64_t seed, Plant plant, bool keep_trace)
      : random_(seed),
        executor_(&clock_, &random_),
        trace_(&clock_, keep_trace),
        plant_(plant),
        faults_(FaultPlan::Draw(random_)),
        kinds_(DrawKinds(random_)),
        agents_(&clock_, &executor_, &random_, &faults_, plant, &trace_),
        judge_(disk_.get(), &clock_, &trace_) {
    const uint64_t hosts = 1 + random_.Below(3);
    for (uint64_t i = 0; i < hosts; ++i) agents_.AddHost(absl::StrCat("h", i));
    target_count_ = 1 + random_.Below(6);
    agents_.on_action = [this](const v1::Action& action) { OnAction(action); };
  }
  ~Simulation() { controller_.reset(); }

  SeedResult Run() {
    Boot();
    const auto operations = 1 + random_.Below(kMaxOperations);
    for (uint64_t i = 0; i < operations; ++i) {
      executor_.PostAfter(Within(kFaultPhase), [this] { Ask(NewRequest()); });
    }
    EveryMinute();
    RunFor(kFaultPhase);
    trace_.Add("quiet");
    faults_.StopFaults();
    quiet_ = true;
    RunFor(kQuietPhase);
    judge_.Conclude(kinds_, agents_);
    if (controller_ != nullptr && controller_->engine().Active() != judge_.Active()) {
      judge_.Violation("the engine and the store do not agree on what goes on");
    }
    SeedResult result;
    result.violations = judge_.violations();
    result.trace_hash = trace_.hash();
    result.events = trace_.events();
    result.operations = judge_.Ended();
    result.deaths = deaths_;
    result.trace = trace_.lines();
    return result;
  }

 private:
  absl::Duration Within(absl::Duration most) {
    return absl::Microseconds(static_cast<int64_t>(
        random_.Below(static_cast<uint64_t>(absl::ToInt64Microseconds(most)))));
  }

  void RunFor(absl::Duration duration) {
    const absl::Duration until = clock_.Monotonic() + duration;
    while (tasks_ < kMaxTasks && executor_.RunNext(until)) ++tasks_;
    if (tasks_ == kMaxTasks) judge_.Violation("it spins: far more tasks than there is work");
  }

  void Boot() {
    ProcessWorld world{&clock_,     &executor_, &random_, &faults_, plant_,
                       disk_.get(), &agents_,   &judge_,  &trace_};
    controller_ = std::make_unique<ControllerProcess>(world, kinds_, [this] {
      ++deaths_;
      // The process is in the middle of something on this very stack: it is buried a moment later.
      executor_.Post([this] {
        controller_.reset();
        executor_.PostAfter(Within(absl::Minutes(quiet_ ? 1 : 3)), [this] { Boot(); });
      });
    });
  }
  bool ControllerLives() const { return controller_ != nullptr && controller_->alive(); }

  operations::NewOperation NewRequest() {
    operations::NewOperation request;
    request.kind = kinds_[random_.Below(kinds_.size())].name;
    request.target = absl::StrCat("tenants/t", random_.Below(target_count_));
    request.host = agents_.Hosts()[random_.Below(agents_.Hosts().size())];
    request.created_by = "operator/alice";
    request.request_id = absl::StrCat("request-", next_request_++);
    request.request_hash = request.kind + request.target;
    request.locks = {absl::StrCat("/locks/", request.target)};
    return request;
  }

  // A caller asks until it has an answer, with the same request id.
  void Ask(const operations::NewOperation& request) {
    const auto again = [this, request] {
      executor_.PostAfter(absl::Seconds(1) + Within(absl::Seconds(20)),
                          [this, request] { Ask(request); });
    };
    if (!ControllerLives()) return again();
    const auto created = controller_->engine().Create(request, {});
    if (!ControllerLives()) return again();  // the answer was lost with the process
    if (absl::IsFailedPrecondition(created.status())) {
      // The target is busy. Some callers wait, most give up.
      if (!quiet_ && random_.Chance(300)) again();
      return;
    }
    if (!created.ok()) return again();
    judge_.OnAccepted(request.request_id, *created);
    const std::string id = created->name().substr(sizeof("operations/") - 1);
    if (random_.Chance(faults_.cancel)) {
      executor_.PostAfter(Within(absl::Seconds(60)), [this, id] {
        if (ControllerLives()) (void)controller_->engine().Cancel(id);
      });
    }
    if (!quiet_ && random_.Chance(faults_.repeated_request)) again();
    if (plant_ == Plant::kEndRewritten) RewriteEnds();
  }

  void OnAction(const v1::Action& action) {
    if (!ControllerLives() || action.state() == v1::ACTION_STATE_RUNNING) return;
    const std::string id = action.key().substr(0, action.key().find('/'));
    // Two seconds after the wake, a life of the controller later, nothing can be said any more.
    const ControllerProcess* const woken = controller_.get();
    executor_.PostAfter(kWakeCheck, [this, woken, check = judge_.OnWake(id)] {
      if (controller_.get() == woken && ControllerLives()) check();
    });
    if (plant_ == Plant::kWakeLost) return;
    controller_->engine().Wake(id);
  }

  void EveryMinute() {
    for (const std::string& host : agents_.Hosts()) {
      if (random_.Chance(faults_.cut_host)) agents_.Cut(host, Within(absl::Minutes(3)));
      if (random_.Chance(faults_.dying_agent)) agents_.Kill(host, Within(absl::Minutes(2)));
    }
    if (random_.Chance(faults_.wall_jump)) {
      clock_.JumpWall(Within(absl::Hours(2)) - absl::Hours(1));
      trace_.Add("wall clock jumps");
    }
    if (!quiet_) executor_.PostAfter(absl::Minutes(1), [this] { EveryMinute(); });
  }

  // A planted defect: ended operations are touched again.
  void RewriteEnds() {
    for (const kv::Entry& entry : disk_->List("/operations/")) {
      state::v1::OperationRecord record;
      record.ParseFromString(entry.value);
      if (!record.operation().has_end_time()) continue;
      record.mutable_operation()->set_message("touched");
      (void)disk_->Commit(kv::Txn().Put(entry.key, record.SerializeAsString()));
    }
  }

  testing::SimClock clock_;
  testing::SeededRandom random_;
  testing::SimExecutor executor_;
  Trace trace_;
  const Plant plant_;
  FaultPlan faults_;
  const std::vector<KindPlan> kinds_;
  const std::unique_ptr<kv::Store> disk_ = kv::NewMemoryStore();
  SimAgents agents_;
  Judge judge_;
  std::unique_ptr<ControllerProcess> controller_;
  uint64_t target_count_ = 1;
  int next_request_ = 0;
  int deaths_ = 0;
  int tasks_ = 0;
  bool quiet_ = false;
};

}  // namespace

SeedResult RunSeed(uint64_t seed, Plant plant, bool keep_trace) {
  return Simulation(seed, plant, keep_trace).Run();
}

}  // namespace mtp::simulation
