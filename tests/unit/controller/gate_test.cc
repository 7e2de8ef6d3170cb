#include "controller/api/gate.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <future>

#include "common/kv/sqlite_store.h"
#include "mtp/v1/operation.grpc.pb.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"

namespace mtp {
namespace {

// Carries out what it was given when it is told to.
class HeldExecutor final : public Executor {
 public:
  void Post(std::function<void()> task) override {
    absl::MutexLock lock(&mutex_);
    tasks_.push_back(std::move(task));
  }
  void PostAfter(absl::Duration, std::function<void()> task) override { Post(std::move(task)); }

  // Waits for a task and carries it out; false when none comes.
  bool RunOne() {
    std::function<void()> task;
    {
      absl::MutexLock lock(&mutex_);
      const auto some = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !tasks_.empty(); };
      if (!mutex_.AwaitWithTimeout(absl::Condition(&some), absl::Seconds(20))) return false;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
    return true;
  }
  bool WaitForOne() {
    absl::MutexLock lock(&mutex_);
    const auto some = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !tasks_.empty(); };
    return mutex_.AwaitWithTimeout(absl::Condition(&some), absl::Seconds(20));
  }

 private:
  absl::Mutex mutex_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
};

class Service final : public v1::OperationService::CallbackService {
 public:
  explicit Service(const Gate* gate) : gate_(gate) {}
  grpc::ServerUnaryReactor* GetOperation(grpc::CallbackServerContext* context,
                                         const v1::GetOperationRequest* request,
                                         v1::Operation* response) override {
    return gate_->Unary<v1::GetOperationRequest, v1::Operation>(
        context, "mtp.v1.OperationService/GetOperation", request, response,
        [](const Caller&, const v1::GetOperationRequest&, v1::Operation*, AuditNote&) {
          return absl::OkStatus();
        });
  }

 private:
  const Gate* const gate_;
};

TEST(Gate, CallsBeyondItsLimitAreRefusedAndTheirPlacesComeBack) {
  testing::SimClock clock;
  testing::SeededRandom random(1);
  const std::unique_ptr<kv::Store> store = kv::NewMemoryStore();
  const Authorizer authorizer(store.get(), "f");
  AuditLog audit(store.get(), &clock, &random);
  HeldExecutor executor;
  Gate::Limits limits;
  limits.max_calls = 1;
  const Gate gate(&authorizer, &audit, &executor, limits);
  Service service(&gate);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto stub = v1::OperationService::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  const auto call = [&stub] {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::Operation answer;
    return stub->GetOperation(&context, {}, &answer).error_code();
  };

  for (int round = 0; round < 3; ++round) {
    auto first = std::async(std::launch::async, call);
    ASSERT_TRUE(executor.WaitForOne());
    EXPECT_EQ(call(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    ASSERT_TRUE(executor.RunOne());
    // It got as far as the question who calls.
    EXPECT_EQ(first.get(), grpc::StatusCode::UNAUTHENTICATED);
  }
  server->Shutdown(std::chrono::system_clock::now());
}

}  // namespace
}  // namespace mtp
