// A controller's session with an agent that says what it is told to say.
#include "controller/hosts/agent_sessions.h"

#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/base/thread_pool.h"
#include "common/kv/sqlite_store.h"
#include "mtp/v1/agent.grpc.pb.h"

namespace mtp {
namespace {

constexpr char kHost[] = "h1";
constexpr absl::Duration kPatience = absl::Seconds(20);

v1::AgentEvent Tells(const std::string& key, v1::ActionState state) {
  v1::AgentEvent event;
  event.mutable_action()->set_key(key);
  event.mutable_action()->set_state(state);
  return event;
}

v1::AgentEvent Complete() {
  v1::AgentEvent event;
  event.set_snapshot_complete(true);
  return event;
}

// Each stream gets the next list of events, and stays open until the next one is asked for.
class Agent final : public v1::AgentService::Service {
 public:
  grpc::Status WatchAgent(grpc::ServerContext* context, const v1::WatchAgentRequest*,
                          grpc::ServerWriter<v1::AgentEvent>* writer) override {
    std::vector<v1::AgentEvent> events;
    int64_t number = 0;
    {
      absl::MutexLock lock(&mutex_);
      number = ++streams_;
      if (!scripts_.empty()) {
        events = scripts_.front();
        scripts_.erase(scripts_.begin());
      }
    }
    for (const v1::AgentEvent& event : events) writer->Write(event);
    absl::MutexLock lock(&mutex_);
    while (dropped_ < number && !context->IsCancelled()) {
      changed_.WaitWithTimeout(&mutex_, absl::Milliseconds(10));
    }
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the agent ends");
  }

  void Say(std::vector<v1::AgentEvent> events) {
    absl::MutexLock lock(&mutex_);
    scripts_.push_back(std::move(events));
  }
  // Ends the streams that there are.
  void Drop() {
    absl::MutexLock lock(&mutex_);
    dropped_ = streams_;
    changed_.SignalAll();
  }

 private:
  absl::Mutex mutex_;
  absl::CondVar changed_;
  std::vector<std::vector<v1::AgentEvent>> scripts_ ABSL_GUARDED_BY(mutex_);
  int64_t streams_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
};

class AgentSessionsTest : public ::testing::Test {
 protected:
  AgentSessionsTest() : pool_(2), store_(kv::NewMemoryStore()) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&agent_);
    server_ = builder.BuildAndStart();
    pool_.Start();
    kv::Txn txn;
    state::v1::HostRecord host;
    host.set_name(kHost);
    host.set_agent_address("in-process");
    Tables(store_.get()).hosts.Put(txn, kHost, host);
    EXPECT_TRUE(store_->Commit(txn).ok());
  }
  ~AgentSessionsTest() override {
    agent_.Drop();
    if (sessions_ != nullptr) sessions_->Stop();
    pool_.Stop();
    server_->Shutdown();
  }

  void Begin(absl::Duration silence_timeout = absl::Seconds(30)) {
    Make(silence_timeout);
    ASSERT_TRUE(sessions_->Start().ok());
  }
  void Make(absl::Duration silence_timeout = absl::Seconds(30)) {
    AgentSessions::Options options;
    options.silence_timeout = silence_timeout;
    options.min_reconnect = absl::Milliseconds(1);
    AgentSessions::Callbacks callbacks;
    callbacks.connect = [this](const std::string&, const std::string&) {
      return server_->InProcessChannel(grpc::ChannelArguments());
    };
    callbacks.on_action = [this](const std::string& host, const v1::Action& action) {
      Note(absl::StrCat(action.key(), " on ", host,
                        observations_.GetHost(host).connected ? "" : " that is not connected"));
    };
    callbacks.on_connected = [this](const std::string& host) {
      Note(absl::StrCat(host, " is connected"));
    };
    sessions_ = std::make_unique<AgentSessions>(store_.get(), &observations_, &clock_, &pool_,
                                                "instance", std::move(callbacks), options);
  }

  // What was heard, once it is `count` things.
  std::vector<std::string> Heard(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return heard_.size() >= count;
    };
    mutex_.AwaitWithTimeout(absl::Condition(&enough), kPatience);
    return heard_;
  }

  Agent agent_;
  std::unique_ptr<grpc::Server> server_;
  ThreadPool pool_;
  const std::unique_ptr<kv::Store> store_;
  Observations observations_;
  SystemClock clock_;
  std::unique_ptr<AgentSessions> sessions_;

 private:
  void Note(std::string what) {
    absl::MutexLock lock(&mutex_);
    heard_.push_back(std::move(what));
  }

  absl::Mutex mutex_;
  std::vector<std::string> heard_ ABSL_GUARDED_BY(mutex_);
};

using Words = std::vector<std::string>;

// Who hears of an action may answer the host at once.
TEST_F(AgentSessionsTest, AHostIsConnectedBeforeAnActionOfItIsTold) {
  agent_.Say({Tells("A/snapshot", v1::ACTION_STATE_RUNNING), Complete(),
              Tells("B/stop", v1::ACTION_STATE_DONE)});
  Begin();
  EXPECT_EQ(Heard(3), Words({"h1 is connected", "A/snapshot on h1", "B/stop on h1"}));
}

TEST_F(AgentSessionsTest, AStreamThatEndsInItsSnapshotTellsNothing) {
  agent_.Say({Tells("A/snapshot", v1::ACTION_STATE_RUNNING)});
  agent_.Say({Tells("B/stop", v1::ACTION_STATE_RUNNING), Complete()});
  Begin(absl::Milliseconds(50));
  EXPECT_EQ(Heard(2), Words({"h1 is connected", "B/stop on h1"}));
}

TEST_F(AgentSessionsTest, AHostThatReturnsTellsOfItsActionsAgain) {
  agent_.Say({Complete()});
  agent_.Say({Tells("A/snapshot", v1::ACTION_STATE_RUNNING), Complete()});
  Begin();
  EXPECT_EQ(Heard(1), Words({"h1 is connected"}));
  agent_.Drop();
  EXPECT_EQ(Heard(3), Words({"h1 is connected", "h1 is connected", "A/snapshot on h1"}));
}

TEST_F(AgentSessionsTest, AnAgentThatFallsSilentIsGivenUpAndAskedAgain) {
  agent_.Say({Complete()});
  agent_.Say({Complete()});
  Begin(absl::Milliseconds(50));
  EXPECT_GE(Heard(2).size(), 2U);
}

// A step that asks while the controller starts or ends waits; one of a host that was removed fails.
TEST_F(AgentSessionsTest, OnlyAHostThatIsNotInTheTableIsNone) {
  Make();
  EXPECT_TRUE(absl::IsUnavailable(sessions_->CancelAction(kHost, "A/snapshot").status()));
  EXPECT_TRUE(absl::IsNotFound(sessions_->CancelAction("h9", "A/snapshot").status()));
  agent_.Say({Complete()});
  ASSERT_TRUE(sessions_->Start().ok());
  ASSERT_EQ(Heard(1).size(), 1U);
  sessions_->Stop();
  EXPECT_TRUE(absl::IsUnavailable(sessions_->CancelAction(kHost, "A/snapshot").status()));
  EXPECT_TRUE(absl::IsNotFound(sessions_->CancelAction("h9", "A/snapshot").status()));
}

v1::AgentEvent Has(int number) {
  v1::AgentEvent event;
  event.mutable_tenant()->set_tenant(absl::StrCat("t", number));
  return event;
}

TEST_F(AgentSessionsTest, AnAgentThatTellsOfMoreThanAHostCanHaveIsGivenUp) {
  std::vector<v1::AgentEvent> at_once;
  for (int i = 0; i <= 4096; ++i) at_once.push_back(Has(i));
  at_once.push_back(Complete());
  std::vector<v1::AgentEvent> later = at_once;
  std::rotate(later.begin(), later.end() - 1, later.end());
  for (const auto& said : {at_once, later}) {
    agent_.Say(said);
    Begin();
    const absl::Time end = absl::Now() + kPatience;
    HostObservation seen;
    do {
      absl::SleepFor(absl::Milliseconds(1));
      seen = observations_.GetHost(kHost);
    } while ((seen.connected || seen.error.empty()) && absl::Now() < end);
    EXPECT_FALSE(seen.connected);
    EXPECT_NE(seen.error.find("more than a host can have"), std::string::npos) << seen.error;
    EXPECT_TRUE(seen.tenants.empty());
    agent_.Drop();
    sessions_->Stop();
    observations_.Remove(kHost);
  }
}

}  // namespace
}  // namespace mtp
