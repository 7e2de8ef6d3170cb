// Many watchers of the fleet's status, over a real server.
#include "controller/api/fleet_watch.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <vector>

#include "common/base/thread_pool.h"
#include "common/kv/sqlite_store.h"
#include "controller/api/stream_places.h"
#include "mtp/v1/fleet.grpc.pb.h"
#include "tests/support/sim_clock.h"

namespace mtp {
namespace {

constexpr auto kDeadline = std::chrono::seconds(20);

using ServiceBase =
    v1::FleetService::WithRawCallbackMethod_WatchFleetStatus<v1::FleetService::CallbackService>;

class Service final : public ServiceBase {
 public:
  explicit Service(std::function<FleetWatch::Watcher(const std::string& tenant)> admit)
      : admit_(std::move(admit)) {}

  using ServiceBase::WatchFleetStatus;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchFleetStatus(
      grpc::CallbackServerContext*, const grpc::ByteBuffer* request) override {
    v1::WatchFleetStatusRequest parsed;
    grpc::ByteBuffer bytes = *request;
    EXPECT_TRUE(
        grpc::SerializationTraits<v1::WatchFleetStatusRequest>::Deserialize(&bytes, &parsed).ok());
    return watch->Add(admit_(parsed.tenant()));
  }

  std::shared_ptr<FleetWatch> watch;

 private:
  const std::function<FleetWatch::Watcher(const std::string& tenant)> admit_;
};

// One call that watches.
struct Watching {
  ~Watching() {
    if (ended) return;
    context.TryCancel();
    End();
  }

  grpc::ClientContext context;
  bool ended = false;
  std::unique_ptr<grpc::ClientReader<v1::FleetStatus>> reader;

  // Its next status; the name of the fleet in it is how often the fleet was looked at.
  std::string Next() {
    v1::FleetStatus status;
    return reader->Read(&status) ? status.fleet() : "ended";
  }
  grpc::StatusCode End() {
    ended = true;
    return reader->Finish().error_code();
  }
};

class FleetWatchTest : public ::testing::Test {
 protected:
  FleetWatchTest()
      : service_([this](const std::string& tenant) {
          FleetWatch::Watcher watcher;
          watcher.tenant = tenant;
          watcher.may_read = [this] { return may_read_.load(); };
          watcher.place = *places_.Take("alice");
          return watcher;
        }) {
    pool_.Start();
    service_.watch = FleetWatch::Create(store_.get(), &observations_, &pool_, &clock_,
                                        [this](const std::string& tenant) { return Look(tenant); });
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::FleetService::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  }
  ~FleetWatchTest() override {
    server_->Shutdown(std::chrono::system_clock::now());
    pool_.Stop();
  }

  absl::StatusOr<v1::FleetStatus> Look(const std::string& tenant) {
    if (tenant == "gone") return absl::NotFoundError("there is no tenant \"gone\"");
    v1::FleetStatus status;
    status.set_fleet(absl::StrCat(tenant, ++looks_));
    return status;
  }
  std::unique_ptr<Watching> Watch(const std::string& tenant = "") {
    auto watching = std::make_unique<Watching>();
    watching->context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    v1::WatchFleetStatusRequest request;
    request.set_tenant(tenant);
    watching->reader = stub_->WatchFleetStatus(&watching->context, request);
    return watching;
  }
  void WaitUntilAllHaveGone() {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (places_.taken() > 0 && absl::Now() < end) absl::SleepFor(absl::Milliseconds(1));
    ASSERT_EQ(places_.taken(), 0);
  }
  void Change() {
    ASSERT_TRUE(store_->Commit(kv::Txn().Put("/x", std::to_string(++changes_))).ok());
  }

  testing::SimClock clock_;
  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  Observations observations_;
  ThreadPool pool_{2};
  StreamPlaces places_{100, 100};
  std::atomic<bool> may_read_{true};
  std::atomic<int> looks_{0};
  int changes_ = 0;
  Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::FleetService::Stub> stub_;
};

TEST_F(FleetWatchTest, OneLookServesAllWatchers) {
  std::vector<std::unique_ptr<Watching>> watching;
  for (int i = 0; i < 20; ++i) {
    watching.push_back(Watch());
    EXPECT_EQ(watching.back()->Next(), "1");
  }
  Change();
  for (auto& one : watching) EXPECT_EQ(one->Next(), "2");
  EXPECT_EQ(looks_, 2);
}

TEST_F(FleetWatchTest, ManyChangesAreOneLook) {
  auto watching = Watch();
  EXPECT_EQ(watching->Next(), "1");
  for (int i = 0; i < 100; ++i) Change();
  EXPECT_EQ(watching->Next(), "2");
  Change();
  EXPECT_EQ(watching->Next(), "3");
}

TEST_F(FleetWatchTest, WhatIsObservedIsAChange) {
  auto watching = Watch();
  EXPECT_EQ(watching->Next(), "1");
  observations_.Update("h1", [](HostObservation& seen) { seen.connected = true; });
  EXPECT_EQ(watching->Next(), "2");
}

TEST_F(FleetWatchTest, NobodyIsGivenWhatWasTrueBeforeAChangeThatNobodyWatched) {
  auto first = Watch();
  EXPECT_EQ(first->Next(), "1");
  first.reset();
  WaitUntilAllHaveGone();
  Change();
  EXPECT_EQ(Watch()->Next(), "2");
}

TEST_F(FleetWatchTest, WithoutWatchersNobodyLooks) {
  auto watching = Watch();
  EXPECT_EQ(watching->Next(), "1");
  watching.reset();
  WaitUntilAllHaveGone();
  for (int i = 0; i < 10; ++i) Change();
  EXPECT_EQ(looks_, 1);
}

TEST_F(FleetWatchTest, OneTenantHasALookOfItsOwnAndItsEnd) {
  EXPECT_EQ(Watch("acme")->Next(), "acme1");
  auto gone = Watch("gone");
  EXPECT_EQ(gone->Next(), "ended");
  EXPECT_EQ(gone->End(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(FleetWatchTest, WhoMayNotReadAnyMoreIsEnded) {
  auto watching = Watch();
  EXPECT_EQ(watching->Next(), "1");
  may_read_ = false;
  Change();
  EXPECT_EQ(watching->Next(), "ended");
  EXPECT_EQ(watching->End(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(FleetWatchTest, PlacesAreGivenBackWhenWatchersGo) {
  for (int round = 0; round < 10; ++round) {
    std::vector<std::unique_ptr<Watching>> watching;
    for (int i = 0; i < 20; ++i) {
      watching.push_back(Watch());
      EXPECT_NE(watching.back()->Next(), "ended");
    }
    EXPECT_EQ(places_.taken(), 20);
    watching.clear();
    WaitUntilAllHaveGone();
  }
}

TEST(StreamPlaces, AreBoundedForACallerAndInAll) {
  StreamPlaces places(3, 2);
  auto first = places.Take("alice");
  auto second = places.Take("alice");
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(places.Take("alice").status()));
  auto third = places.Take("bob");
  ASSERT_TRUE(third.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(places.Take("carol").status()));
  first->reset();
  EXPECT_TRUE(places.Take("alice").ok());
}

TEST(StreamPlaces, MayBeGivenBackLate) {
  absl::StatusOr<std::shared_ptr<void>> place;
  {
    StreamPlaces places(1, 1);
    place = places.Take("alice");
    EXPECT_EQ(places.taken(), 1);
  }
  ASSERT_TRUE(place.ok());
  place->reset();
}

}  // namespace
}  // namespace mtp
