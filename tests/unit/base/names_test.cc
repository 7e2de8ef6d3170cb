#include "common/base/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mtp {
namespace {

TEST(TenantName, AcceptsLowercaseDigitsAndInnerHyphens) {
  for (const char* name : {"a", "acme", "client-a", "client--b", "7up", "1",
                           "a234567890123456789012345678901234567890"}) {
    EXPECT_TRUE(TenantName::Parse(name).ok()) << name;
  }
}

TEST(TenantName, RefusesEverythingElseWithASentence) {
  for (const char* name : {"", "admin", "Acme", "a b", "-a", "a-", "a_b", "a/b", "a.b", "é", "a\n",
                           "a2345678901234567890123456789012345678901"}) {
    const auto parsed = TenantName::Parse(name);
    EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << name;
    EXPECT_GT(parsed.status().message().size(), 20U) << name;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(TenantName::Parse(std::string("a\0b", 3)).status()));
}

TEST(TenantName, NamesItsVariablesAndContainer) {
  EXPECT_EQ(TenantName::Parse("client-a")->EnvPrefix(), "CLIENT_A");
  EXPECT_EQ(TenantName::Parse("7up")->EnvPrefix(), "T_7UP");
  EXPECT_EQ(TenantName::Parse("acme")->Container(), "mtp-acme");
  EXPECT_EQ(TenantName::Parse("acme")->Resource(), "tenants/acme");
}

TEST(TenantName, NamesThatCouldBeConfusedShareTheirPrefixKey) {
  EXPECT_EQ(TenantName::Parse("client-a")->EnvPrefixKey(),
            TenantName::Parse("client--a")->EnvPrefixKey());
  EXPECT_EQ(TenantName::Parse("t-7up")->EnvPrefixKey(), TenantName::Parse("7up")->EnvPrefixKey());
  EXPECT_NE(TenantName::Parse("client-a")->EnvPrefixKey(),
            TenantName::Parse("clienta")->EnvPrefixKey());
}

TEST(Names, AreReadFromResourceNames) {
  EXPECT_EQ(TenantName::ParseResource("tenants/acme")->value(), "acme");
  EXPECT_EQ(HostName::ParseResource("hosts/h1")->value(), "h1");
  EXPECT_TRUE(absl::IsInvalidArgument(TenantName::ParseResource("hosts/acme").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(TenantName::ParseResource("acme").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(HostName::ParseResource("hosts/h1/x").status()));
}

}  // namespace
}  // namespace mtp
