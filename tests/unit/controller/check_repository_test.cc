// Checks of repositories: every tenant's part, whatever becomes of the others; and what an export
// asks of which host.
#include <gmock/gmock.h>

#include "common/base/ulid.h"
#include "controller/backups/kinds.h"
#include "tests/unit/controller/backups_fixture.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kMain[] = "repositories/main";

class CheckRepository : public BackupsFixture {
 protected:
  CheckRepository() {
    AddRepository();
    agents_.outcomes[Act::kCheck].result = {{"snapshots", "3"}};
  }
  // An entry of the catalogue; the tenant need not exist.
  void Put(const std::string& tenant, const std::string& host,
           const std::string& repository = "main") {
    Run(absl::Milliseconds(1));  // Later than the one before.
    const std::string id = NewUlid(clock_, random_);
    state::v1::BackupRecord record;
    v1::Backup& backup = *record.mutable_backup();
    backup.set_name("backups/" + id);
    backup.set_tenant(tenant);
    backup.set_host(host);
    backup.set_repository(repository);
    backup.set_manifest_sha256("abcd");
    kv::Txn txn;
    tables_.backups.Put(txn, id, record);
    EXPECT_TRUE(store_->Commit(txn).ok());
  }
  void AddServer() {
    v1::AddRepositoryRequest request;
    request.set_repository_id("far");
    request.set_url("s3:https://s3.example/bucket");
    request.mutable_secrets()->set_s3_access_key("key");
    request.mutable_secrets()->set_s3_secret_key("secret");
    ASSERT_TRUE(repositories_.Add(request).ok());
  }
  absl::StatusOr<v1::Operation> Check(const std::string& name = kMain, bool read_data = false) {
    v1::CheckRepositoryRequest request;
    request.set_name(name);
    request.set_read_data(read_data);
    return backups_.Check(kCaller, request);
  }
  // `tenant@host` of each check, in order.
  std::vector<std::string> Asked() const {
    std::vector<std::string> asked;
    for (const auto& begun : agents_.begun()) {
      if (begun.request.has_check()) asked.push_back(begun.request.tenant() + "@" + begun.host);
    }
    return asked;
  }
  // The parts of these tenants fail with their statuses.
  void Fail(std::map<std::string, absl::Status> failures) {
    agents_.on_begin = [this, failures = std::move(failures)](const Act& request) {
      if (!request.has_check()) return;
      const auto failure = failures.find(request.tenant());
      agents_.outcomes[Act::kCheck] = failure == failures.end()
                                          ? mtp::testing::FakeAgents::Outcome{v1::ACTION_STATE_DONE,
                                                                              absl::OkStatus(),
                                                                              {{"snapshots", "3"}}}
                                          : mtp::testing::FakeAgents::Failed(failure->second);
    };
  }
};

TEST_F(CheckRepository, LooksAtWhatEveryTenantHasInIt) {
  for (const char* tenant : {"beta", "acme", "beta"}) Put(tenant, "h1");
  AddRepository("other");
  Put("delta", "h1", "other");
  const v1::Operation operation = Ended(Check());
  ASSERT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_EQ(operation.kind(), "check-repository");
  EXPECT_EQ(operation.target(), kMain);
  EXPECT_THAT(Asked(), ElementsAre("acme@h1", "beta@h1"));
  EXPECT_EQ(operation.result().at("tenants"), "2");
  EXPECT_EQ(operation.result().at("snapshots"), "6");
}

TEST_F(CheckRepository, TheAgentGetsTheAccessOfThatTenantAlone) {
  Put("acme", "h1");
  Succeeds(Check(kMain, /*read_data=*/true));
  const auto request = agents_.Last(Act::kCheck).request;
  EXPECT_TRUE(request.check().read_data());
  EXPECT_EQ(request.check().repository().url(), "/srv/main/acme");
  EXPECT_EQ(request.check().repository().password(), kAcmePassword);
  EXPECT_GE(request.epoch(), 1);
}

// Every host may have a different folder under one path.
TEST_F(CheckRepository, AFolderIsLookedAtOnEachHostThatWroteIt) {
  AddHost("h2");
  Put("acme", "h2");
  Put("acme", "h1");
  Put("beta", "h2");
  const v1::Operation operation = Ended(Check());
  EXPECT_THAT(Asked(), ElementsAre("acme@h1", "acme@h2", "beta@h2"));
  EXPECT_EQ(operation.result().at("tenants"), "2");
}

TEST_F(CheckRepository, AServerIsLookedAtOnceFromTheTenantsHost) {
  AddServer();
  Provision("acme");
  AddHost("h2");
  Put("acme", "h2", "far");
  Put("beta", "h1", "far");
  Put("beta", "h2", "far");
  Put("gone", "h9", "far");
  Succeeds(Check("repositories/far"));
  EXPECT_THAT(Asked(), ElementsAre("acme@h1", "beta@h2", "gone@h1"));
}

TEST_F(CheckRepository, OneThatIsDamagedDoesNotKeepTheOthersFromBeingChecked) {
  for (const char* tenant : {"acme", "beta", "delta"}) Put(tenant, "h1");
  Fail({{"acme", absl::DataLossError("the repository is damaged")},
        {"beta", absl::FailedPreconditionError("the server is away")}});
  const v1::Operation operation = Ended(Check());
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(Asked(), SizeIs(3));
  EXPECT_EQ(operation.error().code(), static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("acme: on host h1: the repository is damaged"),
                    HasSubstr("beta: on host h1: the server is away"), Not(HasSubstr("delta"))));
  // That is for backups.
  EXPECT_EQ(repositories_.List()->front().last_failure(), "");
}

TEST_F(CheckRepository, NamesTwentyAtMost) {
  std::map<std::string, absl::Status> failures;
  for (int i = 10; i < 33; ++i) {
    const std::string tenant = absl::StrCat("t", i);
    Put(tenant, "h1");
    failures[tenant] = absl::DataLossError(std::string(2000, 'x'));
  }
  Fail(failures);
  const auto created = Check();
  Run(absl::Minutes(10));
  const v1::Operation operation = Ended(created);
  EXPECT_THAT(Asked(), SizeIs(23));
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("t29: "), Not(HasSubstr("t30: ")), HasSubstr("and 3 more")));
  EXPECT_LT(operation.error().message().size(), 8000u);
}

TEST_F(CheckRepository, WhatNoHostCanLookAtIsNotInOrder) {
  Put("acme", "h9");
  Put("beta", "h1");
  const v1::Operation operation = Ended(Check());
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(), AllOf(HasSubstr("acme"), HasSubstr("h9")));
  EXPECT_THAT(Asked(), ElementsAre("beta@h1"));
}

TEST_F(CheckRepository, WaitsForAHostThatIsAway) {
  Put("acme", "h1");
  agents_.away = {"h1"};
  const auto created = Check();
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_RUNNING);
  agents_.away.clear();
  Succeeds(created);
}

TEST_F(CheckRepository, GoesOnWhereItWasAfterADeath) {
  for (const char* tenant : {"acme", "beta", "delta"}) Put(tenant, "h1");
  agents_.on_begin = [this](const Act& request) {
    if (request.tenant() == "beta") agents_.outcomes[Act::kCheck].state = v1::ACTION_STATE_RUNNING;
  };
  const auto created = Check();
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_RUNNING);
  engine_.Stop();
  agents_.on_begin = nullptr;
  agents_.outcomes[Act::kCheck].state = v1::ACTION_STATE_DONE;
  agents_.End(Act::kCheck, {v1::ACTION_STATE_DONE, absl::OkStatus(), {{"snapshots", "4"}}});
  operations::Engine next(store_.get(), &clock_, &random_, &executor_, {});
  next.Register(CheckRepositoryKind({{store_.get(), &agents_, &box_}, &clock_, "f"}));
  ASSERT_TRUE(next.Start().ok());
  Run();
  const v1::Operation operation = *next.Get(IdOf(*created));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_THAT(Asked(), ElementsAre("acme@h1", "beta@h1", "delta@h1"));
  EXPECT_EQ(operation.result().at("tenants"), "3");
  EXPECT_EQ(operation.result().at("snapshots"), "10");
}

TEST_F(CheckRepository, ATenantThatIsPlacedAnewMeanwhileChangesNoRequest) {
  Put("acme", "h1");
  agents_.outcomes[Act::kCheck] = mtp::testing::FakeAgents::Running();
  const auto created = Check();
  Run();
  state::v1::EpochRecord epoch;
  epoch.set_epoch(7);
  kv::Txn txn;
  tables_.epochs.Put(txn, "acme", epoch);
  ASSERT_TRUE(store_->Commit(txn).ok());
  // The fake agent complains when the same key comes with another epoch.
  agents_.End(Act::kCheck, {});
  Succeeds(created);
}

TEST_F(CheckRepository, CancelledItEndsTheAgentsWork) {
  for (const char* tenant : {"acme", "beta"}) Put(tenant, "h1");
  agents_.outcomes[Act::kCheck] = mtp::testing::FakeAgents::Running();
  const auto created = Check();
  Run();
  ASSERT_TRUE(engine_.Cancel(IdOf(*created)).ok());
  Run();
  EXPECT_EQ(engine_.Get(IdOf(*created))->state(), v1::OPERATION_STATE_CANCELLED);
  const auto& last = agents_.Last(Act::kCheck);
  EXPECT_EQ(agents_.CancelAction("h1", last.request.key())->state(), v1::ACTION_STATE_CANCELLED);
  EXPECT_THAT(Asked(), ElementsAre("acme@h1"));
}

TEST_F(CheckRepository, OneAtATime) {
  Put("acme", "h1");
  agents_.outcomes[Act::kCheck] = mtp::testing::FakeAgents::Running();
  ASSERT_TRUE(Check().ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Check().status()));
  AddRepository("other");
  EXPECT_TRUE(Check("repositories/other").ok());
}

TEST_F(CheckRepository, AnEmptyOneIsInOrder) {
  const v1::Operation operation = Ended(Check());
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(operation.result().at("tenants"), "0");
}

TEST_F(CheckRepository, NamesAreChecked) {
  EXPECT_TRUE(absl::IsInvalidArgument(Check("").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Check("main").status()));
  EXPECT_TRUE(absl::IsNotFound(Check("repositories/none").status()));
  EXPECT_THAT(tables_.operations.List().value(), IsEmpty());
}

TEST_F(CheckRepository, AnExportIsAskedOfTheTenantsHostOrOfTheOneThatWrote) {
  AddHost("h2");
  Provision("acme");
  const std::string name = BackUp("acme");
  v1::ExportBackupRequest request;
  request.set_name(name);
  auto plan = backups_.PlanExport(request, "f");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->host, Tenant("acme").host());
  EXPECT_EQ("backups/" + plan->request.backup().backup_id(), name);
  EXPECT_EQ(plan->request.backup().fleet(), "f");
  EXPECT_EQ(plan->request.backup().tenant(), "acme");
  EXPECT_EQ(plan->request.backup().manifest_sha256(), "abcd");
  EXPECT_EQ(plan->request.repository().url(), "/srv/main/acme");
  EXPECT_EQ(plan->request.repository().password(), kAcmePassword);
  Remove("acme");
  EXPECT_EQ(backups_.PlanExport(request, "f")->host, backups_.Get(name)->host());
  request.set_name("backups/01ARZ3NDEKTSV4RRFFQ69G5FB0");
  EXPECT_TRUE(absl::IsNotFound(backups_.PlanExport(request, "f").status()));
  request.set_name("acme");
  EXPECT_TRUE(absl::IsInvalidArgument(backups_.PlanExport(request, "f").status()));
}

}  // namespace
}  // namespace mtp
