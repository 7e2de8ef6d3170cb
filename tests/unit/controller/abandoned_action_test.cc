// Which actions nobody waits for any more.
#include "controller/tenants/abandoned_action.h"

#include <gtest/gtest.h>

namespace mtp {
namespace {

v1::Operation Removal(v1::StepState backup) {
  v1::Operation operation;
  operation.set_state(v1::OPERATION_STATE_RUNNING);
  auto add = [&](const char* name, v1::StepState state) {
    v1::OperationStep& step = *operation.add_steps();
    step.set_name(name);
    step.set_state(state);
  };
  add("stop", v1::STEP_STATE_DONE);
  add("backup", backup);
  return operation;
}

TEST(AbandonedAction, IsOneOfAStepThatIsUndone) {
  EXPECT_FALSE(IsAbandoned(Removal(v1::STEP_STATE_RUNNING), "ULID/backup"));
  EXPECT_FALSE(IsAbandoned(Removal(v1::STEP_STATE_FAILED), "ULID/backup"));
  EXPECT_TRUE(IsAbandoned(Removal(v1::STEP_STATE_UNDONE), "ULID/backup"));
  EXPECT_TRUE(IsAbandoned(Removal(v1::STEP_STATE_UNDONE), "ULID/backup/local/h1"));
  EXPECT_FALSE(IsAbandoned(Removal(v1::STEP_STATE_UNDONE), "ULID/stop"));
}

TEST(AbandonedAction, IsNoneThatUndoes) {
  EXPECT_FALSE(IsAbandoned(Removal(v1::STEP_STATE_UNDONE), "ULID/backup/undo"));
  EXPECT_FALSE(IsAbandoned(Removal(v1::STEP_STATE_UNDONE), "ULID/backup/undo/2"));
}

TEST(AbandonedAction, IsAnyOfAnOperationThatHasEnded) {
  v1::Operation ended = Removal(v1::STEP_STATE_RUNNING);
  ended.set_state(v1::OPERATION_STATE_CANCELLED);
  *ended.mutable_end_time() = google::protobuf::Timestamp();
  EXPECT_TRUE(IsAbandoned(ended, "ULID/backup"));
  EXPECT_TRUE(IsAbandoned(ended, "ULID/backup/undo"));
}

}  // namespace
}  // namespace mtp
