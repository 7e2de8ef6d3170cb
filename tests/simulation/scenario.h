// What all simulated worlds share: virtual time, a controller that dies and comes back, agents
// behind a network, callers that ask until they are answered, a phase of faults and then quiet in
// which everything has to settle.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/kv/sqlite_store.h"
#include "tests/simulation/controller_process.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/simulation.h"

namespace mtp::simulation {

class Scenario {
 public:
  explicit Scenario(const SeedOptions& options);
  virtual ~Scenario() = default;

  SeedResult Run();

 protected:
  // One caller's wish, as a request that is sent again unchanged until it has an answer.
  struct Wish {
    std::string request_id;
    std::function<absl::StatusOr<v1::Operation>()> ask;
    // A refusal by a rule is an answer too; some callers insist.
    std::function<bool(const absl::Status&)> is_refusal;
  };

  virtual std::vector<operations::Kind> MakeKinds(const StepWorld& steps) = 0;
  virtual Wish NewWish() = 0;
  // A new controller process has begun.
  virtual void OnBoot() {}
  // The dead one is about to be buried.
  virtual void OnBurial() {}
  // After a while of faults: how long the controller stays away then, before it is back for a while
  // with faults again. Zero for not at all.
  virtual absl::Duration Downtime() { return absl::ZeroDuration(); }
  virtual void OnDowntimeBegins() {}
  virtual void OnDowntimeEnds() {}
  // In the quiet, nobody but the operations that go on begins anything after this long.
  virtual absl::Duration Calm() const { return absl::ZeroDuration(); }
  virtual void OnCalmEnds() {}
  virtual void OnWishAnswered() {}
  virtual void Conclude() = 0;
  // Adds how often what happened.
  virtual void CountSeen(std::map<std::string, int64_t>&) const {}

  // Something that the seed plans from the beginning, a plan: it may be left out.
  void Plan(absl::Duration delay, std::function<void()> task);
  // After `delay`, and once a controller that is away for long is back.
  void TryAgain(absl::Duration delay, std::function<void()> task);
  bool ControllerLives() const { return controller_ != nullptr && controller_->alive(); }
  std::string NextRequestId() { return absl::StrCat("request-", next_request_++); }
  void Send(const Wish& wish);
  void Wake(const std::string& operation_id);
  absl::Duration Within(absl::Duration most);

  testing::SimClock clock_;
  testing::SeededRandom random_;
  testing::SimExecutor executor_;
  Trace trace_;
  const LeftOut left_out_;
  const Plant plant_;
  FaultPlan faults_;
  const std::unique_ptr<kv::Store> disk_ = kv::NewMemoryStore();
  SimAgents agents_;
  Judge judge_;
  bool quiet_ = false;
  // Last: it ends before what it uses.
  std::unique_ptr<ControllerProcess> controller_;

 private:
  void Boot();
  void RunFor(absl::Duration duration);
  void MakeWishes(uint64_t wishes);
  void StayAway(absl::Duration duration);
  void OnAction(const v1::Action& action);
  void EveryMinute();

  int plans_ = 0;
  int next_request_ = 0;
  int deaths_ = 0;
  bool away_ = false;  // for a long time: nobody starts it
  absl::Duration away_until_;
  int tasks_ = 0;
};

}  // namespace mtp::simulation
