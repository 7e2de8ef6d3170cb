#include "tests/unit/controller/rollouts_fixture.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <utility>

#include "common/kv/sqlite_store.h"
#include "controller/backups/kinds.h"
#include "controller/rollouts/rollout_kind.h"
#include "controller/tenants/agent_steps.h"

namespace mtp {

RolloutsFixture::RolloutsFixture() : disk_(kv::NewMemoryStore()) {
  agents_.outcomes[Act::kPull].result = {{"pinned", kNewImage}, {"image_id", "sha256:1"}};
  Boot();
  v1::AddRepositoryRequest request;
  request.set_repository_id("main");
  request.set_url("/srv/main");
  EXPECT_TRUE(repositories_->Add(request).ok());
}

RolloutsFixture::~RolloutsFixture() = default;

void RolloutsFixture::TearDown() { EXPECT_THAT(agents_.complaints(), ::testing::IsEmpty()); }

void RolloutsFixture::Halt() {
  watch_.reset();
  rollouts_.reset();
  repositories_.reset();
  engine_.reset();
  executor_.DropAll();
}

void RolloutsFixture::Boot() {
  Halt();
  store_ = std::make_unique<mtp::testing::FaultyStore>(disk_.get());
  engine_ = std::make_unique<operations::Engine>(store_.get(), &clock_, &random_, &executor_,
                                                 operations::Engine::Options());
  engine_->Register(FakeUpdate());
  engine_->Register(RolloutKind({store_.get(), &agents_, engine_.get(), &observations_,
                                 [this](const auto&... arguments) { return Begin(arguments...); },
                                 "openclaw:default"}));
  auto watch = WakeRollouts(store_.get(), engine_.get());
  EXPECT_TRUE(watch.ok()) << watch.status();
  watch_ = *std::move(watch);
  EXPECT_TRUE(engine_->Start().ok());
  repositories_ = std::make_unique<Repositories>(store_.get(), &box_, &clock_, &random_);
  rollouts_ = std::make_unique<Rollouts>(store_.get(), engine_.get(), repositories_.get(), &clock_,
                                         &random_);
}

void RolloutsFixture::AddTenant(const std::string& name, const std::string& host,
                                const std::string& image) {
  state::v1::TenantRecord record;
  record.set_name(name);
  record.set_host(host);
  record.set_epoch(1);
  record.set_provisioned(true);
  record.mutable_spec()->set_image(image);
  record.mutable_resolved()->set_image(kOldImage);
  PutTenant(record);
  observations_.Update(host, [](HostObservation& seen) { seen.connected = true; });
}

void RolloutsFixture::PutTenant(const state::v1::TenantRecord& record) {
  kv::Txn txn;
  tables_.tenants.Put(txn, record.name(), record);
  ASSERT_TRUE(disk_->Commit(txn).ok());
}

state::v1::TenantRecord RolloutsFixture::Tenant(const std::string& name) {
  return tables_.tenants.Get(name)->value;
}

void RolloutsFixture::StopTenant(const std::string& name) {
  state::v1::TenantRecord record = Tenant(name);
  record.mutable_spec()->set_run_policy(v1::RUN_POLICY_STOP);
  PutTenant(record);
}

v1::CreateRolloutRequest RolloutsFixture::Request(const std::vector<std::string>& tenants,
                                                  int max_unavailable, const std::string& image) {
  v1::CreateRolloutRequest request;
  for (const std::string& tenant : tenants) request.add_tenants("tenants/" + tenant);
  request.mutable_settings()->set_max_unavailable(max_unavailable);
  request.mutable_settings()->set_image(image);
  return request;
}

std::string RolloutsFixture::MustCreate(const v1::CreateRolloutRequest& request) {
  const auto created = rollouts_->Create(kCaller, request);
  EXPECT_TRUE(created.ok()) << created.status();
  return created.ok() ? created->name() : "";
}

v1::Rollout RolloutsFixture::Get(const std::string& name) {
  auto rollout = rollouts_->Get(name);
  EXPECT_TRUE(rollout.ok()) << rollout.status();
  return rollout.value_or(v1::Rollout());
}

v1::RolloutTenant RolloutsFixture::TenantIn(const std::string& rollout, const std::string& name) {
  const v1::Rollout now = Get(rollout);
  for (const v1::RolloutTenant& tenant : now.tenants()) {
    if (tenant.tenant() == name) return tenant;
  }
  ADD_FAILURE() << "no tenant " << name;
  return {};
}

v1::Operation RolloutsFixture::OperationOf(const std::string& rollout) {
  return engine_->Get(std::string(absl::StripPrefix(rollout, "rollouts/")))
      .value_or(v1::Operation());
}

void RolloutsFixture::Run(absl::Duration duration) { executor_.RunFor(duration); }

v1::Rollout RolloutsFixture::Ended(const std::string& name) {
  Run();
  return Get(name);
}

absl::StatusOr<v1::Operation> RolloutsFixture::Begin(const std::string& caller,
                                                     const std::string& request_id,
                                                     const std::string& tenant,
                                                     const v1::RolloutSettings&,
                                                     const std::string& pinned_image) {
  operations::NewOperation operation;
  operation.kind = "update";
  operation.target = "tenants/" + tenant;
  operation.created_by = caller;
  operation.request_id = request_id;
  operation.request_hash = pinned_image;
  operation.facts["image"] = pinned_image;
  operation.locks.push_back(TenantLock(tenant));
  return engine_->Create(operation, {});
}

void RolloutsFixture::Note(const std::string& what, const std::string& tenant) {
  if (store_->crashed()) return;  // a dead process reaches nobody
  const std::string line = absl::StrCat(what, " ", tenant);
  if (std::find(log_.begin(), log_.end(), line) != log_.end()) return;  // the step ran again
  log_.push_back(line);
  if (what == "begin") touched_.insert(tenant);
  if (what == "end" || what == "undo") touched_.erase(tenant);
  most_at_once_ = std::max(most_at_once_, static_cast<int>(touched_.size()));
}

operations::Kind RolloutsFixture::FakeUpdate() {
  using operations::StepContext;
  using operations::StepResult;
  operations::Kind kind;
  kind.name = "update";
  kind.steps.push_back({"rehearse",
                        [this](StepContext& context) {
                          if (courses_[TenantOf(context)] == Course::kBadRehearsal) {
                            return StepResult::Fail(absl::InternalError("the copy dies"));
                          }
                          return StepResult::Done();
                        },
                        nullptr, true});
  kind.steps.push_back({"stop",
                        [this](StepContext& context) {
                          Note("begin", TenantOf(context));
                          if (on_touch_) on_touch_(TenantOf(context));
                          return StepResult::Done();
                        },
                        [this](StepContext& context) {
                          Note("undo", TenantOf(context));
                          StepResult done = StepResult::Done();
                          done.note = absl::StrCat(kIsBack, " ", kOldImage);
                          return done;
                        },
                        true});
  kind.steps.push_back({"soak",
                        [this](StepContext& context) {
                          const std::string tenant = TenantOf(context);
                          if (courses_[tenant] == Course::kBadStart) {
                            return StepResult::Fail(absl::InternalError("never ready"));
                          }
                          const std::string since = context.Fact("since");
                          if (since.empty()) context.SetFact("since", "now");
                          if (since.empty() || courses_[tenant] == Course::kHangs) {
                            return StepResult::Wait(absl::Seconds(60), "soaking");
                          }
                          Note("end", tenant);
                          state::v1::TenantRecord record = Tenant(tenant);
                          record.mutable_resolved()->set_image(context.Fact("image"));
                          record.set_pinned(true);
                          tables_.tenants.Put(context.txn(), tenant, record);
                          return StepResult::Done();
                        },
                        nullptr, true});
  return kind;
}

}  // namespace mtp
