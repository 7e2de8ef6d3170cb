// Which finished operations are kept.
#include <absl/strings/str_cat.h>

#include "tests/unit/operations/engine_fixture.h"

namespace mtp::operations {
namespace {

using ::testing::SizeIs;

class EngineRetentionTest : public EngineFixture {};

TEST_F(EngineRetentionTest, KeepsAtMostSoManyFinishedOperationsAndTheirRequestIds) {
  options_.max_finished = 3;
  AddKind({"work", {Noting("a")}, nullptr});
  MustBoot();
  for (int i = 0; i < 130; ++i) {
    NewOperation request = Request("work");
    request.request_id = absl::StrCat("r", i);
    MustCreate(request);
    Run(absl::Milliseconds(10));
  }
  Run(absl::Minutes(5));
  EXPECT_THAT(disk_->List("/operations/"), SizeIs(3));
  EXPECT_THAT(disk_->List("/requests/"), SizeIs(3));
  EXPECT_TRUE(disk_->Get("/requests/operator/alice/r129").ok()) << "the newest stay";
}

TEST_F(EngineRetentionTest, ForgetsFinishedOperationsOnceTheyAreOldAlsoThoseOfAnEarlierProcess) {
  AddKind({"work", {Noting("a")}, nullptr});
  AddKind({"long",
           {Ending("a", [](StepContext&) { return StepResult::Wait(absl::Minutes(9)); })},
           nullptr});
  MustBoot();
  const std::string going_on = MustCreate(Request("long"));
  MustCreate(Request("work"));
  Run();
  MustBoot();
  Run(absl::Hours(24 * 29));
  EXPECT_THAT(disk_->List("/operations/"), SizeIs(2));
  Run(absl::Hours(24 * 2));
  EXPECT_THAT(disk_->List("/operations/"), SizeIs(1));
  EXPECT_EQ(Get(going_on).state(), v1::OPERATION_STATE_RUNNING) << "what goes on is never dropped";
}

}  // namespace
}  // namespace mtp::operations
