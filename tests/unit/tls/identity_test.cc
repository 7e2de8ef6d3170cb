#include "common/tls/identity.h"

#include <gtest/gtest.h>

#include "common/tls/peer.h"

namespace mtp::tls {
namespace {

using Kind = Identity::Kind;

TEST(Identity, IsReadBackFromItsUri) {
  for (const Identity& identity :
       {Identity{Kind::kController, "fleet1", ""}, Identity{Kind::kAgent, "fleet1", "h1"},
        Identity{Kind::kOperator, "fleet1", "alice"}}) {
    const auto read = Identity::ParseUri(identity.Uri());
    ASSERT_TRUE(read.ok()) << identity.Uri();
    EXPECT_EQ(*read, identity);
  }
}

TEST(Identity, HasOneSpelling) {
  const Identity agent{Kind::kAgent, "fleet1", "h1"};
  EXPECT_EQ(agent.Uri(), "spiffe://fleet1/agent/h1");
  EXPECT_EQ(agent.ToString(), "agent/h1");
  EXPECT_EQ(agent.DnsName(), "h1.agent.mtp.internal");
  const Identity controller{Kind::kController, "fleet1", ""};
  EXPECT_EQ(controller.Uri(), "spiffe://fleet1/controller");
  EXPECT_EQ(controller.ToString(), "controller");
  EXPECT_EQ(controller.DnsName(), "controller.mtp.internal");
  const Identity person{Kind::kOperator, "fleet1", "alice"};
  EXPECT_EQ(person.ToString(), "operator/alice");
  EXPECT_EQ(person.DnsName(), "");
  EXPECT_EQ(Identity().ToString(), "anonymous");
  EXPECT_EQ(Identity().Uri(), "");
}

TEST(Identity, RefusesEverythingElse) {
  for (const char* uri : {"",
                          "spiffe://",
                          "spiffe://fleet1",
                          "spiffe://fleet1/",
                          "spiffe://fleet1/agent",
                          "spiffe://fleet1/agent/",
                          "spiffe://fleet1/agent/h1/",
                          "spiffe://fleet1/agent/h1/x",
                          "spiffe://fleet1/agent/H1",
                          "spiffe://fleet1/agent/h 1",
                          "spiffe://fleet1/agent/..",
                          "spiffe://fleet1/controller/",
                          "spiffe://fleet1/controller/x",
                          "spiffe:///controller",
                          "spiffe://FLEET/controller",
                          "spiffe://fleet1/admin/x",
                          "spiffe://fleet1/operator/%61",
                          "https://fleet1/controller",
                          "SPIFFE://fleet1/controller",
                          " spiffe://fleet1/controller",
                          "spiffe://fleet1/anonymous/x"}) {
    EXPECT_EQ(Identity::ParseUri(uri).status().code(), absl::StatusCode::kInvalidArgument) << uri;
  }
  EXPECT_FALSE(Identity::ParseUri(absl::string_view("spiffe://fleet1/agent/h1\0x", 26)).ok());
}

TEST(PeerAddress, LeavesThePortOut) {
  EXPECT_EQ(PeerAddress("ipv4:10.0.0.1:4711"), "10.0.0.1");
  EXPECT_EQ(PeerAddress("nonsense"), "nonsense");
}

}  // namespace
}  // namespace mtp::tls
