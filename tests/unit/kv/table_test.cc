#include "common/kv/table.h"

#include <gtest/gtest.h>

#include "common/kv/sqlite_store.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp::kv {
namespace {

TEST(Table, GivesBackMessagesByTheirId) {
  auto store = NewMemoryStore();
  const Table<state::v1::ClaimRecord> table(store.get(), "/bots/");
  state::v1::ClaimRecord claim;
  claim.set_tenant("acme");
  Txn txn;
  table.Put(txn, "f1", claim);
  ASSERT_TRUE(store->Commit(txn).ok());
  EXPECT_EQ(table.Get("f1")->value.tenant(), "acme");
  ASSERT_EQ(table.List()->size(), 1U);
  EXPECT_EQ(table.List()->front().id, "f1");
  EXPECT_EQ(table.List()->front().revision, store->Revision());
}

TEST(Table, SaysWhichRowCannotBeRead) {
  auto store = NewMemoryStore();
  const Table<state::v1::ClaimRecord> table(store.get(), "/bots/");
  ASSERT_TRUE(store->Commit(Txn().Put("/bots/f1", "\xff\xff\xff")).ok());
  EXPECT_TRUE(absl::IsDataLoss(table.Get("f1").status()));
  EXPECT_TRUE(absl::IsDataLoss(table.List().status()));
  EXPECT_TRUE(absl::IsNotFound(table.Get("f2").status()));
}

TEST(Table, KeepsFieldsThatThisBuildDoesNotKnow) {
  auto store = NewMemoryStore();
  const Table<state::v1::ClaimRecord> table(store.get(), "/bots/");
  state::v1::ClaimRecord claim;
  claim.set_tenant("acme");
  // Field 1000, a string.
  const std::string bytes = claim.SerializeAsString() + "\xc2\x3e\x03new";
  ASSERT_TRUE(store->Commit(Txn().Put("/bots/f1", bytes)).ok());
  Txn txn;
  table.Put(txn, "f2", table.Get("f1")->value);
  ASSERT_TRUE(store->Commit(txn).ok());
  EXPECT_EQ(store->Get("/bots/f2")->value, bytes);
}

}  // namespace
}  // namespace mtp::kv
