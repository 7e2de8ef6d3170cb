// What the controllers of the builds in tests/golden have stored: this one understands all of it,
// and finishes what they had begun.
#include <absl/functional/bind_front.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "common/base/timestamps.h"
#include "common/kv/sqlite_store.h"
#include "controller/backups/repositories.h"
#include "controller/backups/updates.h"
#include "controller/daemon/settings.h"
#include "controller/failover/evict_kind.h"
#include "controller/operations/progress.h"
#include "controller/pki/authority.h"
#include "controller/rollouts/all_kinds.h"
#include "controller/trust/rotation.h"
#include "tests/support/paths.h"
#include "tests/support/recorded_builds.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/controller/fake_agents.h"

namespace mtp {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using Act = v1::EnsureActionRequest;

constexpr int kUnknownField = 9999;
const char* const kNewImage =
    "openclaw@sha256:2222222222222222222222222222222222222222222222222222222222222222";

template <typename Record>
std::unique_ptr<Message> New() {
  return std::make_unique<Record>();
}

using Maker = std::unique_ptr<Message> (*)();

// What is under which key; null for what is no message.
const std::map<std::string, Maker>& RecordTypes() {
  static const auto* const types = new std::map<std::string, Maker>{
      {"/allocations/", New<state::v1::AllocationsRecord>},
      {"/audit/", New<state::v1::AuditRecord>},
      {"/backups/", New<state::v1::BackupRecord>},
      {"/bots/", New<state::v1::ClaimRecord>},
      {"/env-prefixes/", New<state::v1::ClaimRecord>},
      {"/epochs/", New<state::v1::EpochRecord>},
      {"/hosts/", New<state::v1::HostRecord>},
      {"/join-tokens/", New<state::v1::JoinTokenRecord>},
      {"/locks/", New<state::v1::LockRecord>},
      {"/meta/authorities", New<state::v1::AuthoritiesRecord>},
      {"/meta/fleet", New<state::v1::FleetRecord>},
      {"/meta/operators", nullptr},
      {"/next-secrets/", New<state::v1::SecretsRecord>},
      {"/operations/", New<state::v1::OperationRecord>},
      {"/operators/", New<state::v1::OperatorRecord>},
      {"/policies/", New<state::v1::BackupPolicyRecord>},
      {"/repositories/", New<state::v1::RepositoryRecord>},
      {"/requests/", New<state::v1::RequestRecord>},
      {"/rollouts/", New<state::v1::RolloutRecord>},
      {"/schedules/", New<state::v1::ScheduleRecord>},
      {"/secrets/", New<state::v1::SecretsRecord>},
      {"/tenants/", New<state::v1::TenantRecord>},
  };
  return *types;
}

// Fields and enum values that this build has no name for, also of the messages within.
void FindUnknown(const Message& message, const std::string& where,
                 std::vector<std::string>* found) {
  const auto& reflection = *message.GetReflection();
  if (!reflection.GetUnknownFields(message).empty()) found->push_back(where + ": unknown fields");
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string name = absl::StrCat(where, ".", field->name());
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->message_type() != nullptr) {
        FindUnknown(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                         : reflection.GetMessage(message, field),
                    name, found);
      } else if (field->enum_type() != nullptr) {
        const int value = field->is_repeated() ? reflection.GetRepeatedEnumValue(message, field, i)
                                               : reflection.GetEnumValue(message, field);
        if (field->enum_type()->FindValueByNumber(value) == nullptr) {
          found->push_back(absl::StrCat(name, ": unknown value ", value));
        }
      }
    }
  }
}

bool HasUnknownField(const Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

class GoldenState : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    data_ = folder_ / "controller";
    std::filesystem::copy(testing::SourcePath("tests/golden/" + GetParam() + "/controller"), data_,
                          std::filesystem::copy_options::recursive);
    // A checkout does not keep the modes.
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data_)) {
      if (entry.is_regular_file()) {
        std::filesystem::permissions(entry.path(), std::filesystem::perms(0600));
      }
    }
    auto settings = ReadSettings(data_);
    ASSERT_TRUE(settings.ok()) << settings.status();
    settings_ = *settings;
    auto box = SecretBox::OpenExisting(data_ + "/master.key");
    ASSERT_TRUE(box.ok()) << box.status();
    box_.emplace(*std::move(box));
    auto store = kv::OpenSqliteStore(data_ + "/state.db");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    // Soon after it was recorded: nothing is too old to be kept.
    absl::Time newest = absl::UnixEpoch();
    for (const auto& record : Operations()) {
      newest = std::max(newest, FromTimestamp(record.operation().update_time()));
    }
    clock_.JumpWall(newest + absl::Hours(1) - clock_.Now());
  }

  void Connect(const std::string& host) {
    observations_.Update(host, [](HostObservation& seen) {
      seen.connected = true;
      seen.status.set_allocatable_mib(16'384);
      seen.status.set_memory_total_mib(20'480);
      seen.status.set_disk_free_mib(100'000);
    });
  }

  std::vector<state::v1::OperationRecord> Operations() const {
    std::vector<state::v1::OperationRecord> records;
    const auto rows = Tables(store_.get()).operations.List().value();
    for (const auto& row : rows) {
      records.push_back(row.value);
    }
    return records;
  }

  // As if a newer build had put it: with a field that this one does not know.
  void AddUnknownFields(const std::string& prefix) {
    state::v1::ClaimRecord unknown;
    unknown.GetReflection()->MutableUnknownFields(&unknown)->AddVarint(kUnknownField, 1);
    for (const kv::Entry& entry : store_->List(prefix)) {
      // Messages one after another are read as one.
      const std::string more = entry.value + unknown.SerializeAsString();
      ASSERT_TRUE(store_->Commit(kv::Txn().Put(entry.key, more)).ok());
    }
  }

  testing::TempFolder folder_;
  std::string data_;
  ControllerSettings settings_;
  std::optional<SecretBox> box_;
  std::unique_ptr<kv::Store> store_;
  testing::SimClock clock_;
  testing::SeededRandom random_{3};
  testing::SimExecutor executor_{&clock_, nullptr};
  testing::FakeAgents agents_;
  Observations observations_;
};

TEST_P(GoldenState, IsUnderstoodToTheLastRecord) {
  ASSERT_FALSE(store_->List("").empty());
  for (const kv::Entry& entry : store_->List("")) {
    const auto table =
        std::find_if(RecordTypes().begin(), RecordTypes().end(),
                     [&](const auto& one) { return absl::StartsWith(entry.key, one.first); });
    ASSERT_NE(table, RecordTypes().end()) << entry.key << ": nobody knows this key";
    if (table->second == nullptr) continue;
    const std::unique_ptr<Message> record = table->second();
    ASSERT_TRUE(record->ParseFromString(entry.value)) << entry.key;
    std::vector<std::string> unknown;
    FindUnknown(*record, entry.key, &unknown);
    EXPECT_THAT(unknown, IsEmpty());
  }
}

TEST_P(GoldenState, OpensAllThatIsSealed) {
  const Tables tables(store_.get());
  int opened = 0;
  const auto expect_opens = [&](const std::string& sealed, const std::string& key) {
    const auto plain = box_->Open(sealed, key);
    ASSERT_TRUE(plain.ok()) << key << ": " << plain.status();
    v1::TenantSecrets secrets;
    EXPECT_TRUE(secrets.ParseFromString(std::string(plain->Reveal()))) << key;
    EXPECT_TRUE(absl::StrContains(secrets.telegram_token(), "not-a-secret")) << key;
    ++opened;
  };
  const auto secrets = tables.secrets.List().value();
  for (const auto& row : secrets) {
    expect_opens(row.value.sealed(), tables.secrets.Key(row.id));
  }
  const auto backups = tables.backups.List().value();
  for (const auto& row : backups) {
    expect_opens(row.value.sealed_secrets(), tables.backups.Key(row.id));
  }
  EXPECT_GT(opened, 20);
  const auto repositories = tables.repositories.List().value();
  for (const auto& row : repositories) {
    const auto access = AccessFor(tables, *box_, row.id, "start");
    EXPECT_TRUE(access.ok()) << access.status();
  }
  auto authority = Authority::Open(data_ + "/pki", settings_.fleet, *box_);
  ASSERT_TRUE(authority.ok()) << authority.status();
  authority->Follow(store_.get(), &*box_);
  const auto trusted = authority->Now();
  ASSERT_TRUE(trusted.ok()) << trusted.status();
  EXPECT_EQ(trusted->members.size(), 2U) << "it is being rotated";
}

// Wherever in its steps an operation is when the controller is replaced, on its way there or back.
TEST_P(GoldenState, KnowsEveryPositionOfWhatWasBegun) {
  std::map<std::string, operations::Kind> kinds;
  for (operations::Kind& kind : AllKinds({}, {})) kinds[kind.name] = std::move(kind);
  kinds["rotate-authority"] = RotateAuthorityKind({});
  for (state::v1::OperationRecord record : Operations()) {
    v1::Operation& operation = *record.mutable_operation();
    ASSERT_EQ(kinds.count(operation.kind()), 1U) << operation.kind();
    const operations::Kind& kind = kinds.at(operation.kind());
    for (int step = 0; step <= operation.steps_size(); ++step) {
      record.set_step(step);
      operation.set_state(v1::OPERATION_STATE_RUNNING);
      EXPECT_TRUE(operations::FitsKind(record, kind)) << operation.kind() << " at " << step;
      record.set_step(step - 1);
      operation.set_state(v1::OPERATION_STATE_COMPENSATING);
      EXPECT_TRUE(operations::FitsKind(record, kind)) << operation.kind() << " undoing " << step;
    }
  }
}

TEST_P(GoldenState, FinishesWhatWasGoingOn) {
  AddUnknownFields("/operations/");
  AddUnknownFields("/tenants/");
  std::set<std::string> kinds;
  for (const auto& record : Operations()) {
    if (!record.operation().has_end_time()) kinds.insert(record.operation().kind());
  }
  EXPECT_THAT(kinds, IsSupersetOf({"provision", "start", "stop", "restart", "set", "remove",
                                   "backup", "verify-backup", "drill", "restore", "prune",
                                   "check-repository", "update", "rollout", "rotate-authority"}));
  auto authority = Authority::Open(data_ + "/pki", settings_.fleet, *box_);
  ASSERT_TRUE(authority.ok()) << authority.status();
  authority->Follow(store_.get(), &*box_);
  for (const char* host : {"h1", "h2"}) Connect(host);
  agents_.outcomes[Act::kPull].result = {{"pinned", kNewImage}, {"image_id", "sha256:22"}};
  agents_.outcomes[Act::kRestore].result = {{"previous_data", ".quarantine/restore-1"}};
  agents_.outcomes[Act::kStop].result = {{"stopping", "true"}};
  agents_.outcomes[Act::kForget].result = {{"removed", "1"}, {"freed_bytes", "100"}};
  agents_.outcomes[Act::kDrill].result = {{"ready_ms", "1200"}};
  agents_.outcomes[Act::kCheck].result = {{"snapshots", "3"}};
  agents_.outcomes[Act::kSnapshot].result = {{"snapshot", "5a5a"},
                                             {"manifest_sha256", "abcd"},
                                             {"start_time", "2027-01-02T03:04:05Z"},
                                             {"image_digest", ""}};

  operations::Engine engine(store_.get(), &clock_, &random_, &executor_, {});
  const Repositories repositories(store_.get(), &*box_, &clock_, &random_);
  Updates updates(store_.get(), &engine, &repositories, &observations_, &clock_, &random_);
  const BackupClients clients{{store_.get(), &agents_, &*box_}, &clock_, settings_.fleet};
  const RolloutClients rollouts{store_.get(),
                                &agents_,
                                &engine,
                                &observations_,
                                absl::bind_front(&Updates::Begin, &updates),
                                settings_.default_image};
  for (operations::Kind& kind : AllKinds(clients, rollouts)) engine.Register(std::move(kind));
  engine.Register(RotateAuthorityKind(
      {store_.get(), &*authority, &*box_, &clock_, [] { return absl::OkStatus(); }}));
  engine.Register(failover::EvictKind(clients.tenants));
  const absl::Status started = engine.Start();
  ASSERT_TRUE(started.ok()) << started;
  executor_.RunFor(absl::Hours(6));

  for (const auto& record : Operations()) {
    const v1::Operation& operation = record.operation();
    SCOPED_TRACE(absl::StrCat(operation.kind(), " of ", operation.target()));
    // All but what a rollout has begun since.
    EXPECT_TRUE(HasUnknownField(record) || operation.created_by() != "operator/admin");
    if (operation.kind() == "rotate-authority") {
      // Nobody brings the hosts what they are to trust here.
      EXPECT_EQ(operation.state(), v1::OPERATION_STATE_RUNNING) << operation.ShortDebugString();
      EXPECT_TRUE(absl::StrContains(operation.message(), "h1")) << operation.message();
    } else if (operation.target() == "tenants/cancelled") {
      EXPECT_EQ(operation.state(), v1::OPERATION_STATE_CANCELLED);
    } else {
      EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
    }
  }
  EXPECT_EQ(engine.Active(), 1);
  EXPECT_THAT(agents_.complaints(), IsEmpty());
  std::vector<std::string> locks;
  for (const kv::Entry& entry : store_->List("/locks/")) locks.push_back(entry.key);
  EXPECT_THAT(locks, ElementsAre(kAuthorityLock));
  const auto tenants = Tables(store_.get()).tenants.List().value();
  EXPECT_THAT(tenants, Not(IsEmpty()));
  for (const auto& row : tenants) {
    EXPECT_TRUE(HasUnknownField(row.value)) << row.id;
    EXPECT_TRUE(row.value.provisioned()) << row.id;
    EXPECT_NE(row.id, "remove");
  }
  engine.Stop();
  executor_.DropAll();
}

INSTANTIATE_TEST_SUITE_P(Recorded, GoldenState, ::testing::ValuesIn(testing::RecordedBuilds()),
                         [](const auto& info) { return testing::TestNameOf(info.param); });

}  // namespace
}  // namespace mtp
