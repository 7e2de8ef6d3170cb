#include "agent/tenants/action_script.h"

#include <gtest/gtest.h>

#include "common/base/atomic_file.h"

namespace mtp {
namespace {

class OnePhase final : public ActionScript {
 public:
  explicit OnePhase(const absl::Status& status) {
    Add([status](PhaseContext&) { return PhaseResult::Of(status); });
  }
  std::string DoneMessage() const override { return "done"; }
};

absl::Status Told(const absl::Status& status) {
  OnePhase script(status);
  PhaseContext context;
  context.progress = [](const std::string&) {};
  return script.Step(context).status;
}

TEST(ActionScript, SaysWhatToDoAboutAFullDisk) {
  const absl::Status told = Told(ErrnoStatus(ENOSPC, "write the manifest"));
  EXPECT_EQ(told.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(told.message(),
            "write the manifest: No space left on device; free some space on this host's disk and "
            "try again");
}

TEST(ActionScript, LeavesOtherErrorsAlone) {
  EXPECT_EQ(Told(absl::ResourceExhaustedError("more than 5 files")).message(), "more than 5 files");
  EXPECT_EQ(Told(absl::DataLossError("a: No space left on device")).message(),
            "a: No space left on device");
  EXPECT_TRUE(Told(absl::OkStatus()).ok());
}

}  // namespace
}  // namespace mtp
