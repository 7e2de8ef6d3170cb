#include "tests/unit/operations/engine_fixture.h"

namespace mtp::operations {
namespace {

class VanishedRecordTest : public EngineFixture {};

// A state that was put back from a backup, say. The simulation found the engine spinning here.
TEST_F(VanishedRecordTest, AnOperationWhoseRecordIsGonePausesInsteadOfSpinning) {
  AddKind({"work", {Noting("a"), Noting("b")}, nullptr});
  MustBoot();
  const std::string id = MustCreate(Request("work"));
  ASSERT_TRUE(disk_->Commit(kv::Txn().Delete("/operations/" + id)).ok());
  const absl::Duration end = clock_.Monotonic() + absl::Minutes(10);
  int tasks = 0;
  while (tasks < 1000 && executor_.RunNext(end)) ++tasks;
  EXPECT_LT(tasks, 1000);
  EXPECT_TRUE(log_.empty());
}

}  // namespace
}  // namespace mtp::operations
