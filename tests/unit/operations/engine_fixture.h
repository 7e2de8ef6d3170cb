// An engine on virtual time, with a store that can fail and a process that can die.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/kv/sqlite_store.h"
#include "controller/operations/engine.h"
#include "tests/support/faulty_store.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"

namespace mtp::operations {

class EngineFixture : public ::testing::Test {
 protected:
  // Kinds are given to each engine that Boot makes.
  void AddKind(Kind kind) { kinds_.push_back(std::move(kind)); }

  // Starts a process: an engine over what the store holds.
  absl::Status Boot() {
    engine_.reset();
    executor_.DropAll();
    store_ = std::make_unique<mtp::testing::FaultyStore>(disk_.get());
    engine_ = std::make_unique<Engine>(store_.get(), &clock_, &random_, &executor_, options_);
    for (const Kind& kind : kinds_) engine_->Register(kind);
    return engine_->Start();
  }
  void MustBoot() {
    const absl::Status status = Boot();
    ASSERT_TRUE(status.ok()) << status;
  }

  NewOperation Request(const std::string& kind) {
    NewOperation request;
    request.kind = kind;
    request.target = "tenants/acme";
    request.created_by = "operator/alice";
    return request;
  }
  std::string MustCreate(const NewOperation& request) {
    auto created = engine_->Create(request, {});
    EXPECT_TRUE(created.ok()) << created.status();
    return created.ok() ? created->name().substr(sizeof("operations/") - 1) : "";
  }
  v1::Operation Get(const std::string& id) {
    auto operation = engine_->Get(id);
    EXPECT_TRUE(operation.ok()) << operation.status();
    return operation.value_or(v1::Operation());
  }
  void Run(absl::Duration duration = absl::Minutes(1)) { executor_.RunFor(duration); }

  // A step that notes that it ran, and that it was undone.
  Step Noting(const std::string& name) {
    return {name,
            [this, name](StepContext&) {
              log_.push_back(name);
              return StepResult::Done();
            },
            [this, name](StepContext&) {
              log_.push_back("undo " + name);
              return StepResult::Done();
            }};
  }
  // A step that ends as it is told.
  Step Ending(const std::string& name, std::function<StepResult(StepContext&)> run) {
    Step step = Noting(name);
    step.run = [this, name, run = std::move(run)](StepContext& context) {
      log_.push_back(name);
      return run(context);
    };
    return step;
  }

  mtp::testing::SimClock clock_;
  mtp::testing::SeededRandom random_{7};
  mtp::testing::SimExecutor executor_{&clock_, nullptr};
  std::unique_ptr<kv::Store> disk_ = kv::NewMemoryStore();
  std::unique_ptr<mtp::testing::FaultyStore> store_;
  Engine::Options options_;
  std::vector<Kind> kinds_;
  std::vector<std::string> log_;
  // Last: it ends before what it uses.
  std::unique_ptr<Engine> engine_;
};

}  // namespace mtp::operations
