// The role table and the API name the same calls.
#include "controller/api/roles.h"

#include <absl/strings/str_cat.h>

#include <set>
#include <string>
#include <vector>

#include "tests/unit/proto/descriptors.h"

namespace mtp {
namespace {

// The agent answers only to the controller, and whoever enrols has no identity yet.
bool HasNoRoles(const google::protobuf::ServiceDescriptor& service) {
  return service.name() == "AgentService" || service.name() == "EnrollmentService";
}

std::string FullMethod(const google::protobuf::MethodDescriptor& method) {
  return absl::StrCat(method.service()->full_name(), "/", method.name());
}

TEST_F(Descriptors, EveryCallOfTheControllerIsInTheRoleTable) {
  for (const auto* method : Methods()) {
    const std::string name = FullMethod(*method);
    EXPECT_EQ(FindRule(name).has_value(), !HasNoRoles(*method->service())) << name;
  }
}

TEST_F(Descriptors, TheRoleTableNamesNoCallThatDoesNotExistAndNoneTwice) {
  std::set<std::string> known;
  for (const auto* method : Methods()) known.insert(FullMethod(*method));
  std::set<std::string> seen;
  for (const MethodRule& rule : AllRules()) {
    const std::string name(rule.method);
    EXPECT_TRUE(known.count(name)) << name << " is not in the API";
    EXPECT_TRUE(seen.insert(name).second) << name << " is there twice";
    EXPECT_NE(rule.role, v1::ROLE_UNSPECIFIED) << name;
  }
}

TEST_F(Descriptors, AViewerChangesNothingButItsOwnCertificate) {
  std::vector<std::string> changes;
  for (const MethodRule& rule : AllRules()) {
    if (rule.mutates && rule.role == v1::ROLE_VIEWER) changes.emplace_back(rule.method);
  }
  EXPECT_EQ(changes, std::vector<std::string>{"mtp.v1.FleetService/RenewCertificate"});
}

TEST(Roles, FindNothingForACallThatIsNotThere) {
  EXPECT_FALSE(FindRule("mtp.v1.TenantService/Nothing").has_value());
  EXPECT_FALSE(FindRule("").has_value());
}

}  // namespace
}  // namespace mtp
