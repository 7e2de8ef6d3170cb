#include "agent/tenants/slots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SlotsTest : public ::testing::Test {
 protected:
  int Ask(const std::string& who) {
    return slots_.Ask(who, [this, who] { woken_.push_back(who); });
  }

  Slots slots_{2};
  std::vector<std::string> woken_;
};

TEST_F(SlotsTest, FirstComeFirstServed) {
  EXPECT_EQ(Ask("a"), 0);
  EXPECT_EQ(Ask("b"), 0);
  EXPECT_EQ(Ask("c"), 1);
  EXPECT_EQ(Ask("d"), 2);
  slots_.Leave("a");
  EXPECT_EQ(Ask("d"), 1);
  EXPECT_EQ(Ask("c"), 0);
}

TEST_F(SlotsTest, WhoWaitsIsWokenOnceAndWhoHasASlotNever) {
  for (const char* who : {"a", "b", "c", "d"}) Ask(who);
  slots_.Leave("a");
  EXPECT_THAT(woken_, ElementsAre("c", "d"));
  slots_.Leave("b");
  EXPECT_THAT(woken_, ElementsAre("c", "d"));
}

TEST_F(SlotsTest, WhoGivesUpWakesThoseBehindIt) {
  for (const char* who : {"a", "b", "c", "d"}) Ask(who);
  slots_.Leave("c");
  EXPECT_THAT(woken_, ElementsAre("d"));
  EXPECT_EQ(Ask("d"), 1);
  slots_.Leave("d");
  slots_.Leave("nobody");
  EXPECT_THAT(woken_, ElementsAre("d"));
}

TEST_F(SlotsTest, AWakeMayAskAgain) {
  Ask("a");
  Ask("b");
  int ahead = 0;
  ahead = slots_.Ask("c", [&] { ahead = Ask("c"); });
  EXPECT_EQ(ahead, 1);
  slots_.Leave("b");
  EXPECT_EQ(ahead, 0);
  EXPECT_THAT(woken_, IsEmpty());
}

TEST_F(SlotsTest, ATicketLeavesWhenItGoes) {
  Ask("a");
  {
    SlotTicket ticket(&slots_, "b");
    EXPECT_EQ(ticket.Ask(nullptr), 0);
    EXPECT_EQ(Ask("c"), 1);
  }
  EXPECT_THAT(woken_, ElementsAre("c"));
  EXPECT_EQ(Ask("c"), 0);
}

}  // namespace
}  // namespace mtp
