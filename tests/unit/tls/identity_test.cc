#include "common/tls/identity.h"

#include <gtest/gtest.h>

namespace mtp::tls {
namespace {

TEST(Identity, UrisAreReadBackAsWritten) {
  for (const Identity& identity :
       {Identity{Identity::Kind::kController, "f", ""}, Identity{Identity::Kind::kAgent, "f", "h1"},
        Identity{Identity::Kind::kOperator, "f", "alice"}}) {
    const auto read = Identity::ParseUri(identity.Uri());
    ASSERT_TRUE(read.ok()) << identity.Uri();
    EXPECT_EQ(*read, identity);
  }
}

TEST(Identity, WhatIsNotExactlyOneOfOursIsRefused) {
  for (const char* uri :
       {"", "spiffe://", "spiffe://f", "spiffe://f/", "spiffe:///controller", "http://f/controller",
        "spiffe://f/controller/", "spiffe://f/controller/x", "spiffe://f/agent",
        "spiffe://f/agent/", "spiffe://f/agent/H1", "spiffe://f/agent/h1/x",
        "spiffe://f/agent/h1?x", "spiffe://f/admin/x", "spiffe://F/controller",
        "spiffe://f/agent/h1\n", "Spiffe://f/controller", "spiffe://f/operator/a b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Identity::ParseUri(uri).status())) << uri;
  }
}

TEST(Identity, OnlyThoseThatServeHaveADnsName) {
  EXPECT_EQ((Identity{Identity::Kind::kController, "f", ""}.DnsName()), "controller.mtp.internal");
  EXPECT_EQ((Identity{Identity::Kind::kAgent, "f", "h1"}.DnsName()), "h1.agent.mtp.internal");
  EXPECT_EQ((Identity{Identity::Kind::kOperator, "f", "alice"}.DnsName()), "");
  EXPECT_EQ(Identity{}.DnsName(), "");
}

}  // namespace
}  // namespace mtp::tls
