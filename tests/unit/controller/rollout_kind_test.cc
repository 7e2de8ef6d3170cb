// Rollouts as they are carried out: images, waves, failures, pauses, aborts, and deaths of the
// controller.
#include <absl/strings/strip.h>
#include <gmock/gmock.h>

#include "common/kv/sqlite_store.h"
#include "tests/unit/controller/rollouts_fixture.h"

namespace mtp {
namespace {

using mtp::testing::CommitFault;
using mtp::testing::FakeAgents;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class RolloutKindTest : public RolloutsFixture {
 protected:
  RolloutKindTest() {
    AddTenant("a", "h1");
    AddTenant("b", "h2");
    AddTenant("c", "h1");
  }
  void HangAll() {
    courses_ = {{"a", Course::kHangs}, {"b", Course::kHangs}, {"c", Course::kHangs}};
  }
};

TEST_F(RolloutKindTest, UpdatesOneAfterAnother) {
  const std::string name = MustCreate(Request());
  const v1::Rollout rollout = Ended(name);
  EXPECT_EQ(rollout.state(), v1::ROLLOUT_STATE_SUCCEEDED) << rollout.ShortDebugString();
  EXPECT_THAT(log_, ElementsAre("begin a", "end a", "begin b", "end b", "begin c", "end c"));
  EXPECT_EQ(most_at_once_, 1);
  EXPECT_TRUE(rollout.has_end_time());
  EXPECT_EQ(TenantIn(name, "b").from_image(), kOldImage);
  EXPECT_EQ(TenantIn(name, "b").to_image(), kNewImage);
  EXPECT_EQ(TenantIn(name, "b").state(), v1::ROLLOUT_TENANT_STATE_UPDATED);
  EXPECT_THAT(TenantIn(name, "b").operation(), HasSubstr("operations/"));
  EXPECT_EQ(OperationOf(name).state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(OperationOf(name).result().at("updated"), "3");
  EXPECT_THAT(disk_->List("/locks/", nullptr), IsEmpty());
}

TEST_F(RolloutKindTest, AllHostsHaveTheImageBeforeAnybodyIsTouched) {
  on_touch_ = [this](const std::string&) { EXPECT_EQ(agents_.Count(Act::kPull), 2); };
  Ended(MustCreate(Request()));
  EXPECT_EQ(agents_.Count(Act::kPull), 2) << "once a host";
  const auto& pull = agents_.Last(Act::kPull);
  EXPECT_EQ(pull.request.tenant(), "");
  EXPECT_EQ(pull.request.epoch(), 0);
  EXPECT_EQ(pull.request.pull().image(), "openclaw:new");
  EXPECT_TRUE(pull.request.pull().refresh());
}

TEST_F(RolloutKindTest, WithoutPullTheRegistryIsNotAsked) {
  v1::CreateRolloutRequest request = Request({"a"});
  request.mutable_settings()->set_no_pull(true);
  Ended(MustCreate(request));
  EXPECT_FALSE(agents_.Last(Act::kPull).request.pull().refresh());
}

TEST_F(RolloutKindTest, EachTenantsOwnImageIsResolved) {
  AddTenant("d", "h1", "special:1");
  EXPECT_EQ(Ended(MustCreate(Request({"a", "d"}, 1, ""))).state(), v1::ROLLOUT_STATE_SUCCEEDED);
  std::vector<std::string> images;
  for (const auto& begun : agents_.begun()) images.push_back(begun.request.pull().image());
  EXPECT_THAT(images, UnorderedElementsAre("openclaw:default", "special:1"));
}

TEST_F(RolloutKindTest, HostsWithDifferentImagesAreNamedAndNobodyIsTouched) {
  agents_.on_begin = [this](const Act&) {
    agents_.outcomes[Act::kPull].result = {
        {"pinned", agents_.begun().empty() ? "x@sha256:1" : "x@sha256:2"},
        {"image_id", agents_.begun().empty() ? "sha256:3" : "sha256:4"}};
  };
  const std::string name = MustCreate(Request());
  const v1::Rollout rollout = Ended(name);
  EXPECT_EQ(rollout.state(), v1::ROLLOUT_STATE_FAILED);
  EXPECT_THAT(rollout.error().message(),
              AllOf(HasSubstr("h1 has x@sha256:1"), HasSubstr("h2 has x@sha256:2")));
  EXPECT_THAT(log_, IsEmpty());
  EXPECT_EQ(OperationOf(name).state(), v1::OPERATION_STATE_FAILED);
}

TEST_F(RolloutKindTest, TheSameImageIdWillDo) {
  agents_.on_begin = [this](const Act&) {
    agents_.outcomes[Act::kPull].result = {
        {"pinned", agents_.begun().empty() ? "x@sha256:1" : "sha256:3"}, {"image_id", "sha256:3"}};
  };
  const std::string name = MustCreate(Request());
  EXPECT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_SUCCEEDED);
  EXPECT_EQ(TenantIn(name, "a").to_image(), "x@sha256:1");
  EXPECT_EQ(TenantIn(name, "b").to_image(), "sha256:3") << "as its own host knows it";
}

TEST_F(RolloutKindTest, AnImageThatDoesNotComeFailsItOnThatHost) {
  agents_.outcomes[Act::kPull] = FakeAgents::Failed(absl::NotFoundError("no such image"));
  const v1::Rollout rollout = Ended(MustCreate(Request()));
  EXPECT_EQ(rollout.state(), v1::ROLLOUT_STATE_FAILED);
  EXPECT_THAT(rollout.error().message(), AllOf(HasSubstr("host h1"), HasSubstr("no such image")));
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(RolloutKindTest, WaitsForAHostThatIsAway) {
  agents_.away = {"h2"};
  const std::string name = MustCreate(Request());
  EXPECT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_RUNNING);
  EXPECT_THAT(log_, IsEmpty());
  agents_.away.clear();
  EXPECT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_SUCCEEDED);
}

TEST_F(RolloutKindTest, LeavesThoseAloneThatHaveTheImage) {
  state::v1::TenantRecord pinned = Tenant("a");
  pinned.set_pinned(true);
  pinned.mutable_resolved()->set_image(kNewImage);
  PutTenant(pinned);
  observations_.Update("h2", [](HostObservation& seen) {
    seen.tenants["b"].set_state(v1::TENANT_STATE_RUNNING);
    seen.tenants["b"].set_image_id("sha256:1");
  });
  const std::string name = MustCreate(Request());
  const v1::Rollout rollout = Ended(name);
  EXPECT_EQ(rollout.state(), v1::ROLLOUT_STATE_SUCCEEDED);
  EXPECT_THAT(log_, ElementsAre("begin c", "end c"));
  EXPECT_EQ(TenantIn(name, "a").state(), v1::ROLLOUT_TENANT_STATE_SKIPPED);
  EXPECT_EQ(TenantIn(name, "b").state(), v1::ROLLOUT_TENANT_STATE_SKIPPED);
  EXPECT_EQ(TenantIn(name, "c").wave(), 0) << "the canary is one of those that are updated";
}

TEST_F(RolloutKindTest, LeavesThoseAloneThatAreStoppedOrGoneWhenTheirTurnComes) {
  on_touch_ = [this](const std::string& tenant) {
    if (tenant != "a") return;
    StopTenant("b");
    kv::Txn txn;
    txn.Delete(tables_.tenants.Key("c"));
    ASSERT_TRUE(disk_->Commit(txn).ok());
  };
  const std::string name = MustCreate(Request());
  EXPECT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_SUCCEEDED);
  EXPECT_THAT(log_, ElementsAre("begin a", "end a"));
  EXPECT_THAT(TenantIn(name, "b").message(), HasSubstr("stopped"));
  EXPECT_THAT(TenantIn(name, "c").message(), HasSubstr("gone"));
}

TEST_F(RolloutKindTest, StopsAtTheFirstFailureAndSaysWhatBecameOfIt) {
  courses_["b"] = Course::kBadStart;
  const std::string name = MustCreate(Request());
  const v1::Rollout rollout = Ended(name);
  EXPECT_EQ(rollout.state(), v1::ROLLOUT_STATE_FAILED);
  EXPECT_THAT(log_, ElementsAre("begin a", "end a", "begin b", "undo b"));
  EXPECT_THAT(rollout.error().message(),
              AllOf(HasSubstr("tenant b on host h2"), HasSubstr("never ready"),
                    HasSubstr("it is back on its old image")));
  EXPECT_EQ(TenantIn(name, "a").state(), v1::ROLLOUT_TENANT_STATE_UPDATED);
  EXPECT_EQ(TenantIn(name, "c").state(), v1::ROLLOUT_TENANT_STATE_PENDING);
  EXPECT_EQ(OperationOf(name).state(), v1::OPERATION_STATE_FAILED);
}

TEST_F(RolloutKindTest, AnImageThatFailsTheRehearsalTouchesNobody) {
  courses_["a"] = Course::kBadRehearsal;
  const v1::Rollout rollout = Ended(MustCreate(Request()));
  EXPECT_EQ(rollout.state(), v1::ROLLOUT_STATE_FAILED);
  EXPECT_THAT(log_, IsEmpty());
  EXPECT_THAT(rollout.error().message(), HasSubstr("it was not touched"));
}

TEST_F(RolloutKindTest, OthersOfAFailedWaveAreFinished) {
  AddTenant("d", "h2");
  courses_["b"] = Course::kBadStart;
  EXPECT_EQ(Ended(MustCreate(Request({}, 2))).state(), v1::ROLLOUT_STATE_FAILED);
  EXPECT_THAT(log_,
              UnorderedElementsAre("begin a", "end a", "begin b", "undo b", "begin c", "end c"));
}

TEST_F(RolloutKindTest, ATenantThatIsBusyIsWaitedFor) {
  kv::Txn txn;
  state::v1::LockRecord lock;
  lock.set_operation("01ARZ3NDEKTSV4RRFFQ69G5FAV");
  txn.Put(TenantLock("a"), lock.SerializeAsString());
  ASSERT_TRUE(disk_->Commit(txn).ok());
  const std::string name = MustCreate(Request());
  EXPECT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_RUNNING);
  EXPECT_THAT(TenantIn(name, "a").message(), HasSubstr("waiting"));
  EXPECT_THAT(log_, IsEmpty());
  kv::Txn release;
  release.Delete(TenantLock("a"));
  ASSERT_TRUE(disk_->Commit(release).ok());
  EXPECT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_SUCCEEDED);
}

TEST_F(RolloutKindTest, TheEndOfAnUpdateWakesIt) {
  const std::string name = MustCreate(Request({"a"}));
  // 60 s of soak; the slow recheck alone would come up to 20 s later.
  Run(absl::Seconds(61));
  EXPECT_EQ(Get(name).state(), v1::ROLLOUT_STATE_SUCCEEDED);
}

TEST_F(RolloutKindTest, PausedItBeginsNobodyAndResumedItGoesOn) {
  const std::string name = MustCreate(Request());
  Run(absl::Seconds(30));
  ASSERT_EQ(TenantIn(name, "a").state(), v1::ROLLOUT_TENANT_STATE_UPDATING);
  ASSERT_TRUE(rollouts_->Pause(name).ok());
  EXPECT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_PAUSED);
  EXPECT_THAT(log_, ElementsAre("begin a", "end a"));
  EXPECT_EQ(TenantIn(name, "a").state(), v1::ROLLOUT_TENANT_STATE_UPDATED);
  ASSERT_TRUE(rollouts_->Resume(name).ok());
  EXPECT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_SUCCEEDED);
}

TEST_F(RolloutKindTest, AbortedItBringsBackWhoIsInTheMiddleAndKeepsTheRest) {
  courses_["b"] = Course::kHangs;
  const std::string name = MustCreate(Request());
  Run(absl::Minutes(2));
  ASSERT_EQ(TenantIn(name, "b").state(), v1::ROLLOUT_TENANT_STATE_UPDATING);
  const auto aborted = rollouts_->Abort(name);
  ASSERT_TRUE(aborted.ok()) << aborted.status();
  EXPECT_EQ(aborted->state(), v1::ROLLOUT_STATE_ABORTING);
  const v1::Rollout rollout = Ended(name);
  EXPECT_EQ(rollout.state(), v1::ROLLOUT_STATE_ABORTED);
  EXPECT_THAT(log_, ElementsAre("begin a", "end a", "begin b", "undo b"));
  EXPECT_THAT(TenantIn(name, "b").message(), HasSubstr("it is back on its old image"));
  EXPECT_EQ(OperationOf(name).state(), v1::OPERATION_STATE_CANCELLED);
  EXPECT_THAT(disk_->List("/locks/", nullptr), IsEmpty());
  EXPECT_EQ(rollouts_->Abort(name)->state(), v1::ROLLOUT_STATE_ABORTED) << "twice is once";
}

TEST_F(RolloutKindTest, CancellingItsOperationAbortsIt) {
  HangAll();
  const std::string name = MustCreate(Request());
  Run(absl::Minutes(1));
  ASSERT_TRUE(engine_->Cancel(std::string(absl::StripPrefix(name, "rollouts/"))).ok());
  EXPECT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_ABORTED);
  EXPECT_THAT(log_, ElementsAre("begin a", "undo a"));
}

TEST_F(RolloutKindTest, AnUpdateThatIsCancelledByItselfStopsIt) {
  HangAll();
  const std::string name = MustCreate(Request());
  Run(absl::Minutes(1));
  const std::string child = TenantIn(name, "a").operation();
  ASSERT_TRUE(engine_->Cancel(std::string(absl::StripPrefix(child, "operations/"))).ok());
  const v1::Rollout rollout = Ended(name);
  EXPECT_EQ(rollout.state(), v1::ROLLOUT_STATE_FAILED);
  EXPECT_THAT(rollout.error().message(), HasSubstr("cancelled"));
}

TEST_F(RolloutKindTest, AnAbortWhoseAskerDiedIsCarriedOut) {
  HangAll();
  const std::string name = MustCreate(Request());
  Run(absl::Minutes(1));
  store_->choose_fault = [](const kv::Txn&) { return CommitFault::kCrashAfter; };
  (void)rollouts_->Abort(name).status();
  Boot();
  EXPECT_EQ(Ended(name).state(), v1::ROLLOUT_STATE_ABORTED);
}

// The process dies at the n-th commit, before or after it takes effect, for every n.
class RolloutCrash : public RolloutKindTest {
 protected:
  // True when there were n commits.
  bool DieAt(int n, CommitFault fault, bool abort) {
    Halt();
    disk_ = kv::NewMemoryStore();
    tables_ = Tables(disk_.get());
    agents_ = FakeAgents();
    agents_.outcomes[Act::kPull].result = {{"pinned", kNewImage}, {"image_id", "sha256:1"}};
    log_.clear();
    Boot();
    v1::AddRepositoryRequest repository;
    repository.set_repository_id("main");
    repository.set_url("/srv/main");
    EXPECT_TRUE(repositories_->Add(repository).ok());
    for (const char* tenant : {"a", "b", "c"}) AddTenant(tenant);
    const std::string name = MustCreate(Request());
    int commits = 0;
    store_->choose_fault = [&, n, fault](const kv::Txn&) {
      return ++commits == n ? fault : CommitFault::kNone;
    };
    store_->on_crash = [this] { executor_.DropAll(); };
    Run(absl::Seconds(90));
    if (abort && !store_->crashed()) (void)rollouts_->Abort(name).status();
    Run(absl::Minutes(5));
    const bool crashed = store_->crashed();
    if (crashed) {
      Boot();
      Run(absl::Minutes(5));
      if (abort) (void)rollouts_->Abort(name).status();
      Run(absl::Minutes(5));
    }
    end_ = Get(name);
    EXPECT_THAT(disk_->List("/locks/", nullptr), IsEmpty());
    return crashed;
  }

  v1::Rollout end_;
};

TEST_F(RolloutCrash, GoesOnFromADeathAtAnyCommit) {
  for (const CommitFault fault : {CommitFault::kCrashBefore, CommitFault::kCrashAfter}) {
    int n = 1;
    for (; DieAt(n, fault, false) && !HasFailure(); ++n) {
      SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), ", commit ", n));
      EXPECT_EQ(end_.state(), v1::ROLLOUT_STATE_SUCCEEDED) << end_.ShortDebugString();
      EXPECT_THAT(log_, ElementsAre("begin a", "end a", "begin b", "end b", "begin c", "end c"));
      EXPECT_LE(most_at_once_, 1);
      int updates = 0;
      for (const kv::Entry& entry : disk_->List("/operations/", nullptr)) {
        state::v1::OperationRecord record;
        record.ParseFromString(entry.value);
        updates += record.operation().kind() == "update" ? 1 : 0;
      }
      EXPECT_EQ(updates, 3) << "each tenant once";
      ASSERT_LT(n, 300);
    }
    EXPECT_GT(n, 10) << "it died in the middle";
  }
}

TEST_F(RolloutCrash, AnAbortSurvivesADeathAtAnyCommit) {
  for (const CommitFault fault : {CommitFault::kCrashBefore, CommitFault::kCrashAfter}) {
    courses_["b"] = Course::kHangs;
    int n = 1;
    for (; DieAt(n, fault, true) && !HasFailure(); ++n) {
      SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), ", commit ", n));
      EXPECT_EQ(end_.state(), v1::ROLLOUT_STATE_ABORTED) << end_.ShortDebugString();
      EXPECT_THAT(log_, Not(Contains("end b")));
      EXPECT_THAT(log_, Not(Contains("begin c")));
      ASSERT_LT(n, 300);
    }
    EXPECT_GT(n, 10) << "it died in the middle";
  }
}

}  // namespace
}  // namespace mtp
