#include "agent/tenants/board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mtp {
namespace {

using ::testing::ElementsAre;

v1::TenantObservation Tenant(const std::string& name, int memory_mib = 0) {
  v1::TenantObservation tenant;
  tenant.set_tenant(name);
  tenant.mutable_status()->set_memory_mib(memory_mib);
  return tenant;
}

v1::Action Action(const std::string& key, v1::ActionState state) {
  v1::Action action;
  action.set_key(key);
  action.set_state(state);
  return action;
}

// What a listener hears, one word an event.
std::vector<std::string> Hear(Board::Listener& listener) {
  std::vector<std::string> words;
  while (auto event = listener.Take()) {
    if (event->has_host()) words.push_back("host");
    if (event->has_tenant()) {
      words.push_back(event->tenant().tenant() + "=" +
                      std::to_string(event->tenant().status().memory_mib()));
    }
    if (!event->tenant_gone().empty()) words.push_back(event->tenant_gone() + " gone");
    if (event->has_action()) words.push_back(event->action().key());
    if (event->snapshot_complete()) words.push_back("complete");
  }
  return words;
}

TEST(Board, ASlowListenerHearsTheLatestOnly) {
  Board board;
  auto listener = board.Listen(10, [] {});
  EXPECT_THAT(Hear(*listener), ElementsAre("complete"));
  board.SetTenant(Tenant("acme", 1));
  board.SetTenant(Tenant("acme", 2));
  EXPECT_THAT(Hear(*listener), ElementsAre("acme=2"));
}

TEST(Board, WhatSaysNothingNewWakesNobody) {
  Board board;
  int wakes = 0;
  auto listener = board.Listen(10, [&wakes] { ++wakes; });
  board.SetTenant(Tenant("acme", 1));
  board.SetTenant(Tenant("acme", 1));
  EXPECT_EQ(wakes, 1);
}

TEST(Board, TenantsAreHeardBeforeTheActionsThatChangedThem) {
  Board board;
  auto listener = board.Listen(10, [] {});
  Hear(*listener);
  board.SetAction(Action("o/1", v1::ACTION_STATE_DONE));
  board.SetTenant(Tenant("zeta", 1));
  EXPECT_THAT(Hear(*listener), ElementsAre("zeta=1", "o/1"));
}

TEST(Board, ATenantThatHasGoneIsHeardAsGone) {
  Board board;
  board.SetTenant(Tenant("acme", 1));
  auto listener = board.Listen(10, [] {});
  board.SetTenantGone("acme");
  EXPECT_THAT(Hear(*listener), ElementsAre("acme gone", "complete"));
  EXPECT_FALSE(board.Tenant("acme").has_value());
}

TEST(Board, AListenerThatTakesNothingIsOverrun) {
  Board board;
  auto listener = board.Listen(2, [] {});
  for (int i = 0; i < 3; ++i) board.SetTenant(Tenant(std::to_string(i)));
  EXPECT_TRUE(listener->overrun());
}

TEST(Board, KeepsRunningActionsAndABoundedNumberOfEndedOnes) {
  Board board;
  board.SetAction(Action("0-running", v1::ACTION_STATE_RUNNING));
  for (int i = 1000; i < 1500; ++i) {
    board.SetAction(Action(std::to_string(i), v1::ACTION_STATE_DONE));
  }
  auto listener = board.Listen(1000, [] {});
  const auto words = Hear(*listener);
  EXPECT_EQ(words.size(), 202u);  // 200 ended, the running one, and the snapshot's end.
  EXPECT_EQ(words.front(), "0-running");
  EXPECT_EQ(words[words.size() - 2], "1499");
}

TEST(Board, AListenerThatHasGoneIsToldNothing) {
  Board board;
  int wakes = 0;
  board.Listen(10, [&wakes] { ++wakes; }).reset();
  board.SetTenant(Tenant("acme", 1));
  EXPECT_EQ(wakes, 0);
}

}  // namespace
}  // namespace mtp
