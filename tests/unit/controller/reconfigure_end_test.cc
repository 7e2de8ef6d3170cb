// How the kind `reconfigure` ends otherwise than at once: new settings that the tenant cannot live
// with, an operator's word, and deaths of the controller.
#include <gmock/gmock.h>

#include "tests/unit/controller/reconfigure_fixture.h"

namespace mtp {
namespace {

using mtp::testing::CommitFault;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(ReconfigureTest, OneThatTheTenantIsNotReadyWithGoesBack) {
  HostFails(Ill());
  const v1::Operation operation = Ended(Update(Token()));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(),
              AllOf(HasSubstr("401 Unauthorized"), HasSubstr("its former settings are back")));
  EXPECT_THAT(operation.ShortDebugString(), Not(HasSubstr("CANARY")));
  EXPECT_EQ(agents_.Count(Act::kReconfigure), 2);
  EXPECT_EQ(Sent().telegram_token(), kOldToken);
  EXPECT_FALSE(agents_.Last(Act::kReconfigure).request.reconfigure().probation());
  ExpectFormerSecrets();
}

TEST_F(ReconfigureTest, OneThatTheTenantDoesNotStayReadyWithGoesBack) {
  HostFails(Well());
  agents_.outcomes[Act::kSoak] =
      FakeAgents::Failed(absl::FailedPreconditionError("its channel went away"));
  const v1::Operation operation = Ended(Update(Token()));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED);
  EXPECT_THAT(operation.error().message(), HasSubstr("its channel went away"));
  EXPECT_EQ(Sent().telegram_token(), kOldToken);
  ExpectFormerSecrets();
}

TEST_F(ReconfigureTest, WithTheOperatorsWordItStays) {
  HostFails(Ill());
  v1::UpdateTenantRequest request = Token();
  request.set_keep_on_failure(true);
  const v1::Operation operation = Ended(Update(request));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_SUCCEEDED) << operation.ShortDebugString();
  EXPECT_THAT(operation.result().at("not_ready"), HasSubstr("401 Unauthorized"));
  EXPECT_EQ(agents_.Count(Act::kReconfigure), 1);
  EXPECT_FALSE(agents_.Last(Act::kReconfigure).request.reconfigure().probation());
  EXPECT_EQ(agents_.Count(Act::kSoak), 0);
  EXPECT_EQ(Secrets().telegram_token(), kNewToken);
  ExpectNothingIsLeft();
}

TEST_F(ReconfigureTest, NoWordKeepsWhatTheHostNeverTookIn) {
  HostFails(Ill(/*taken_in=*/false));
  v1::UpdateTenantRequest request = Token();
  request.set_keep_on_failure(true);
  EXPECT_EQ(Ended(Update(request)).state(), v1::OPERATION_STATE_FAILED);
  ExpectFormerSecrets();
}

TEST_F(ReconfigureTest, AHostThatHadChangedNothingIsLeftAlone) {
  HostFails(Ill(/*taken_in=*/false));
  EXPECT_EQ(Ended(Update(Token())).state(), v1::OPERATION_STATE_FAILED);
  EXPECT_EQ(agents_.Count(Act::kReconfigure), 1);
  ExpectFormerSecrets();
}

TEST_F(ReconfigureTest, ATenantThatIsIllWithTheFormerOnesTooIsLeftToItsHost) {
  agents_.outcomes[Act::kReconfigure] = Ill();
  const auto created = Update(Token());
  executor_.RunFor(absl::Minutes(5));
  const v1::Operation operation = Ended(created);
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_FAILED) << operation.ShortDebugString();
  EXPECT_THAT(operation.error().message(), HasSubstr("not ready with them either"));
  EXPECT_EQ(agents_.Count(Act::kReconfigure), 4);
  ExpectFormerSecrets();
}

// Else the host would have the new secrets, and nobody would know.
TEST_F(ReconfigureTest, UntilTheHostHasTheFormerOnesNobodyGivesUp) {
  int former = 0;
  agents_.on_begin = [&](const Act& request) {
    if (!request.has_reconfigure()) return;
    const bool back = request.reconfigure().secrets().telegram_token() == kOldToken;
    agents_.outcomes[Act::kReconfigure] = !back ? Ill() : ++former < 8 ? Ill(false) : Well();
  };
  const auto created = Update(Token());
  executor_.RunFor(absl::Minutes(10));
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_FAILED);
  EXPECT_EQ(former, 8);
  ExpectFormerSecrets();
}

TEST_F(ReconfigureTest, OneThatIsCalledOffGoesBack) {
  HostFails(FakeAgents::Running());
  const auto created = Update(Token());
  ASSERT_TRUE(created.ok()) << created.status();
  executor_.RunFor(absl::Seconds(1));
  EXPECT_THAT(BotsOf("acme"), SizeIs(2));
  ASSERT_TRUE(life_->engine.Cancel(created->name().substr(sizeof("operations/") - 1)).ok());
  EXPECT_EQ(Ended(created).state(), v1::OPERATION_STATE_CANCELLED);
  ExpectFormerSecrets();
}

TEST_F(ReconfigureTest, AnUndoneChangeLeavesBackupsAsTheyWere) {
  PutBackup("b1", Secrets());
  HostFails(Ill());
  EXPECT_EQ(Ended(Update(Token())).state(), v1::OPERATION_STATE_FAILED);
  EXPECT_EQ(SecretsOfBackup("b1").telegram_token(), kOldToken);
}

class ReconfigureCrash : public ReconfigureTest, public ::testing::WithParamInterface<CommitFault> {
 protected:
  // The controller dies at commit `at` of the change, and another goes on. False when the change
  // made fewer.
  bool CrashAt(int at, const v1::UpdateTenantRequest& request) {
    int commits = 0;
    life_->store.choose_fault = [&](const kv::Txn&) {
      return commits++ == at ? GetParam() : CommitFault::kNone;
    };
    life_->store.on_crash = [this] { executor_.DropAll(); };
    const auto created = Update(request);
    if (!life_->store.crashed()) executor_.RunFor(absl::Minutes(2));
    const bool crashed = life_->store.crashed();
    NewController();
    executor_.RunFor(absl::Minutes(2));
    return crashed;
  }
};

TEST_P(ReconfigureCrash, GoesOnFromADeathAtEachCommit) {
  PutBackup("b1", Secrets());
  for (int at = 0;; ++at) {
    const std::string token = absl::StrCat(10 + at, ":new");
    v1::UpdateTenantRequest request = Token(token);
    request.set_request_id(absl::StrCat("r", at));
    const bool crashed = CrashAt(at, request);
    // A caller without an answer asks again.
    Succeeds(request);
    EXPECT_EQ(Secrets().telegram_token(), token) << "commit " << at;
    EXPECT_EQ(Sent().telegram_token(), token) << "commit " << at;
    EXPECT_EQ(SecretsOfBackup("b1").telegram_token(), token) << "commit " << at;
    ExpectNothingIsLeft();
    if (!crashed) {
      EXPECT_GE(at, 5);
      return;
    }
  }
}

TEST_P(ReconfigureCrash, GoesBackAfterADeathAtEachCommit) {
  HostFails(Ill());
  for (int at = 0;; ++at) {
    v1::UpdateTenantRequest request = Token();
    request.set_request_id(absl::StrCat("r", at));
    const bool crashed = CrashAt(at, request);
    EXPECT_EQ(Ended(Update(request)).state(), v1::OPERATION_STATE_FAILED) << "commit " << at;
    EXPECT_EQ(Sent().telegram_token(), kOldToken) << "commit " << at;
    ExpectFormerSecrets();
    if (!crashed) {
      EXPECT_GE(at, 4);
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(BeforeAndAfter, ReconfigureCrash,
                         ::testing::Values(CommitFault::kCrashBefore, CommitFault::kCrashAfter));

}  // namespace
}  // namespace mtp
