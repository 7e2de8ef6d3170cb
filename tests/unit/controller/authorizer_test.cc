#include "controller/api/authorizer.h"

#include <absl/strings/match.h>
#include <gtest/gtest.h>

#include "common/kv/sqlite_store.h"
#include "controller/api/roles.h"

namespace mtp {
namespace {

using Kind = tls::Identity::Kind;

class AuthorizerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Put("vera", v1::ROLE_VIEWER);
    Put("otto", v1::ROLE_OPERATOR);
    Put("anna", v1::ROLE_ADMIN);
  }
  void Put(const std::string& name, v1::Role role) {
    state::v1::OperatorRecord record;
    record.set_name(name);
    record.set_role(role);
    record.add_certificate_serials("0a" + name);
    kv::Txn txn;
    txn.Put("/operators/" + name, record.SerializeAsString());
    ASSERT_TRUE(store_->Commit(txn).ok());
  }
  static tls::Peer Operator(const std::string& name) {
    return {{Kind::kOperator, "f", name}, "0a" + name};
  }

  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  Authorizer authorizer_{store_.get(), "f"};
};

constexpr char kRead[] = "mtp.v1.TenantService/GetTenant";
constexpr char kChange[] = "mtp.v1.TenantService/ProvisionTenant";
constexpr char kManage[] = "mtp.v1.FleetService/AddOperator";

TEST_F(AuthorizerTest, EachRoleMayWhatTheTableSaysAndNoMore) {
  for (const MethodRule& rule : AllRules()) {
    EXPECT_EQ(authorizer_.Authorize(Operator("vera"), rule.method).ok(),
              rule.role <= v1::ROLE_VIEWER)
        << rule.method;
    EXPECT_EQ(authorizer_.Authorize(Operator("otto"), rule.method).ok(),
              rule.role <= v1::ROLE_OPERATOR)
        << rule.method;
    EXPECT_TRUE(authorizer_.Authorize(Operator("anna"), rule.method).ok()) << rule.method;
  }
}

TEST_F(AuthorizerTest, ARoleThatIsTooLowIsToldWhichIsNeeded) {
  const auto caller = authorizer_.Authorize(Operator("vera"), kChange);
  EXPECT_TRUE(absl::IsPermissionDenied(caller.status()));
  EXPECT_TRUE(absl::StrContains(caller.status().message(), "viewer")) << caller.status();
  EXPECT_TRUE(absl::StrContains(caller.status().message(), "needs operator")) << caller.status();
}

TEST_F(AuthorizerTest, NobodyAndAnotherFleetAreUnauthenticated) {
  EXPECT_TRUE(absl::IsUnauthenticated(authorizer_.Authorize(tls::Peer(), kRead).status()));
  tls::Peer foreign = Operator("anna");
  foreign.identity.fleet = "g";
  EXPECT_TRUE(absl::IsUnauthenticated(authorizer_.Authorize(foreign, kRead).status()));
}

TEST_F(AuthorizerTest, AgentsAndControllersAreNoOperatorsEvenWhenTheyShareAName) {
  for (const Kind kind : {Kind::kAgent, Kind::kController}) {
    const tls::Peer peer{{kind, "f", "anna"}, "0aanna"};
    EXPECT_TRUE(absl::IsPermissionDenied(authorizer_.Authorize(peer, kRead).status()));
  }
}

TEST_F(AuthorizerTest, AnUnknownOperatorAndARevokedCertificateAreRefused) {
  EXPECT_TRUE(absl::IsPermissionDenied(authorizer_.Authorize(Operator("eve"), kRead).status()));
  tls::Peer old = Operator("anna");
  old.serial = "0b";
  EXPECT_TRUE(absl::IsPermissionDenied(authorizer_.Authorize(old, kRead).status()));
  old.serial = "";
  EXPECT_TRUE(absl::IsPermissionDenied(authorizer_.Authorize(old, kRead).status()));
}

TEST_F(AuthorizerTest, ARemovedOperatorIsRefusedAtOnceAndADemotedOneLosesWhatIsAbove) {
  ASSERT_TRUE(authorizer_.Authorize(Operator("anna"), kManage).ok());
  Put("anna", v1::ROLE_VIEWER);
  EXPECT_FALSE(authorizer_.Authorize(Operator("anna"), kManage).ok());
  EXPECT_TRUE(authorizer_.Authorize(Operator("anna"), kRead).ok());
  kv::Txn removal;
  removal.Delete("/operators/anna");
  ASSERT_TRUE(store_->Commit(removal).ok());
  EXPECT_FALSE(authorizer_.Authorize(Operator("anna"), kRead).ok());
}

TEST_F(AuthorizerTest, AMethodWithoutARuleIsForNobody) {
  EXPECT_TRUE(absl::IsPermissionDenied(
      authorizer_.Authorize(Operator("anna"), "mtp.v1.AgentService/EnsureAction").status()));
}

TEST_F(AuthorizerTest, ARecordWithoutARoleMayNothing) {
  Put("nix", v1::ROLE_UNSPECIFIED);
  EXPECT_FALSE(authorizer_.Authorize(Operator("nix"), kRead).ok());
}

}  // namespace
}  // namespace mtp
