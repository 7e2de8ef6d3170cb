// What a host says of itself.
#include "agent/tenants/host_observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "tests/unit/agent/fake_host.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

class HostObserverTest : public ::testing::Test {
 protected:
  HostObserverTest() {
    HostObserverOptions options;
    options.data_path = "/";
    options.is_guarded = [this] { return guarded_; };
    observer_.emplace(options, &machine_.engine, &reader_, &agent_.journal, &board_,
                      &machine_.executor, &machine_.clock);
    observer_->Start();
  }
  ~HostObserverTest() override {
    observer_->Stop();
    machine_.executor.DropAll();
  }

  void EngineIs(bool up) {
    observer_->SetEngineUp(up);
    machine_.executor.RunFor(absl::ZeroDuration());
  }
  void SetEngine(const EngineInfo& info) {
    absl::MutexLock lock(&machine_.engine.mutex);
    machine_.engine.info = info;
  }

  FakeMachine machine_;
  FakeAgent agent_{&machine_};
  HostReader reader_;
  Board board_;
  bool guarded_ = true;
  std::optional<HostObserver> observer_;
};

TEST_F(HostObserverTest, AnEngineThatIsAwayIsSaidFirst) {
  EXPECT_EQ(board_.Host().state(), v1::HOST_STATE_ENGINE_DOWN);
  EXPECT_THAT(board_.Host().message(), HasSubstr("does not answer"));
  EngineIs(true);
  EXPECT_EQ(board_.Host().state(), v1::HOST_STATE_READY);
  EXPECT_EQ(board_.Host().engine_version(), "26.1.5");
  EXPECT_EQ(board_.Host().message(), "");
  EngineIs(false);
  EXPECT_EQ(board_.Host().state(), v1::HOST_STATE_ENGINE_DOWN);
}

TEST_F(HostObserverTest, AdviceIsGivenUntilItIsFollowed) {
  SetEngine({.engine_version = "26.1.5", .live_restore = false});
  EngineIs(true);
  EXPECT_EQ(board_.Host().state(), v1::HOST_STATE_READY);
  EXPECT_THAT(board_.Host().message(), HasSubstr("live-restore"));
  // A reload, which no event of the engine tells of.
  SetEngine({.engine_version = "26.1.5", .live_restore = true});
  machine_.executor.RunFor(absl::Seconds(16));
  EXPECT_EQ(board_.Host().message(), "");
}

TEST_F(HostObserverTest, TheFullestDiskThatTenantsNeedIsTold) {
  EXPECT_GT(board_.Host().disk_free_mib(), 0);
  SetEngine(
      {.engine_version = "26.1.5", .data_root = "/proc", .live_restore = true});  // never has room
  EngineIs(true);
  EXPECT_EQ(board_.Host().disk_free_mib(), 0);
}

TEST_F(HostObserverTest, AnEngineWhoseFolderIsNotThereTakesNothingFromIt) {
  SetEngine({.engine_version = "26.1.5", .data_root = "/no/such/folder", .live_restore = true});
  EngineIs(true);
  EXPECT_GT(board_.Host().disk_free_mib(), 0);
}

}  // namespace
}  // namespace mtp
