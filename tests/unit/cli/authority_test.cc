#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::HasSubstr;

class AuthorityCommand : public CliTest {
 protected:
  void Rotating(bool issues) {
    auto& old = *controller_.authority.add_certificates();
    old.set_fingerprint("aa11");
    old.set_serving(true);
    old.set_issuing(!issues);
    auto& made = *controller_.authority.add_certificates();
    made.set_fingerprint("bb22");
    made.set_issuing(issues);
    controller_.authority.set_operation("operations/01ARZ3NDEKTSV4RRFFQ69G5FAV");
    v1::OperationStep& step = *controller_.going_on.add_steps();
    step.set_name("renew-hosts");
    step.set_state(v1::STEP_STATE_RUNNING);
    step.set_message("waits for the hosts h3");
    controller_.authority.add_hosts_to_renew("h3");
    controller_.authority.add_operators_to_renew("bob");
  }
};

TEST_F(AuthorityCommand, ShowTellsWhichIsTrustedAndWhoIsWaitedFor) {
  Rotating(true);
  EXPECT_EQ(Run({"authority", "show"}), 0) << err();
  EXPECT_THAT(out(), HasSubstr("aa11"));
  EXPECT_THAT(out(), HasSubstr("renew-hosts: waits for the hosts h3"));
  EXPECT_THAT(out(), HasSubstr("Hosts that have not renewed: h3"));
  EXPECT_THAT(out(), HasSubstr("Operators that have not renewed: bob"));
  EXPECT_EQ(Run({"authority", "show", "-o", "json"}), 0);
  EXPECT_EQ(OutJson()["authorities"].size(), 2u);
  EXPECT_EQ(OutJson()["authorities"][1]["issuing"], true);
  EXPECT_EQ(OutJson()["hosts_to_renew"][0], "h3");
}

TEST_F(AuthorityCommand, RotateBeginsItAndDoesNotWait) {
  EXPECT_EQ(Run({"authority", "rotate", "--yes", "--drop-old-after", "48h"}), 0) << err();
  ASSERT_EQ(controller_.rotations.size(), 1u);
  EXPECT_EQ(controller_.rotations[0].drop_old_after().seconds(), 48 * 3600);
  EXPECT_NE(controller_.rotations[0].request_id(), "");
  EXPECT_THAT(out(), HasSubstr("mtp-cli authority show"));
  EXPECT_EQ(Run({"authority", "rotate", "--yes", "--drop-old-after", "soon"}), 2);
}

TEST_F(AuthorityCommand, RotateAsksAPerson) {
  environment_.in_is_terminal = environment_.out_is_terminal = environment_.err_is_terminal = true;
  answer_ = "n";
  EXPECT_EQ(Run({"authority", "rotate"}), 1);
  EXPECT_TRUE(controller_.rotations.empty());
  answer_ = "y";
  EXPECT_EQ(Run({"authority", "rotate"}), 0);
  EXPECT_EQ(controller_.rotations.size(), 1u);
}

TEST_F(AuthorityCommand, AbortCancelsItUnlessTheControllerRefuses) {
  EXPECT_EQ(Run({"authority", "rotate", "--abort"}), 3);
  EXPECT_THAT(err(), HasSubstr("no rotation"));
  Rotating(false);
  EXPECT_EQ(Run({"authority", "rotate", "--abort"}), 0) << err();
  ASSERT_EQ(controller_.cancelled.size(), 1u);
  EXPECT_EQ(controller_.cancelled[0].name(), controller_.authority.operation());
  EXPECT_THAT(out(), HasSubstr("is being taken back"));
  controller_.refusals = {grpc::Status::OK,  // of the question which operation it is
                          grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                                       "the new authority has issued certificates already")};
  EXPECT_EQ(Run({"authority", "rotate", "--abort"}), 3);
  EXPECT_THAT(err(), HasSubstr("issued certificates already"));
  EXPECT_EQ(out(), "");
}

}  // namespace
}  // namespace mtp::cli
