#include <gmock/gmock.h>

#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

v1::Operation Restarting(v1::OperationState state) {
  return MakeOperation("restart", "tenants/acme", state);
}

class Waiting : public CliTest {
 protected:
  Waiting() { controller_.accepted = Restarting(v1::OPERATION_STATE_PENDING); }
};

TEST_F(Waiting, WritesALineForEachNewWordOfAStepInAPipe) {
  v1::Operation running = Restarting(v1::OPERATION_STATE_RUNNING);
  auto* step = running.add_steps();
  step->set_name("start-container");
  step->set_state(v1::STEP_STATE_RUNNING);
  step->set_message("waiting for /readyz");
  v1::Operation done = running;
  done.set_state(v1::OPERATION_STATE_SUCCEEDED);
  done.mutable_steps(0)->set_state(v1::STEP_STATE_DONE);
  controller_.streams.push_back({.operations = {running, running, done}});
  EXPECT_EQ(Run({"restart", "acme"}), 0);
  EXPECT_EQ(err(), "0s start-container: waiting for /readyz\n0s start-container: done\n");
}

TEST_F(Waiting, GoesOnAfterALostConnection) {
  controller_.streams.push_back({.status = {grpc::StatusCode::UNAVAILABLE, "killed"}});
  controller_.streams.push_back(
      {.operations = {Restarting(v1::OPERATION_STATE_RUNNING)}});  // an orderly stop
  controller_.streams.push_back({.operations = {Restarting(v1::OPERATION_STATE_SUCCEEDED)}});
  EXPECT_EQ(Run({"restart", "acme"}), 0) << err();
  EXPECT_EQ(sleeps_, 2);
  EXPECT_THAT(err(), HasSubstr("connection"));
}

TEST_F(Waiting, EndsWithOneWhenTheOperationFails) {
  v1::Operation failed = Restarting(v1::OPERATION_STATE_FAILED);
  failed.mutable_error()->set_code(static_cast<int>(grpc::StatusCode::RESOURCE_EXHAUSTED));
  failed.mutable_error()->set_message("the disk of h1 is full");
  controller_.streams.push_back({.operations = {failed}});
  EXPECT_EQ(Run({"restart", "acme"}), 1);
  EXPECT_THAT(err(), HasSubstr("error: restart acme failed: the disk of h1 is full"));
}

TEST_F(Waiting, EndsWithOneWhenTheOperationIsCancelled) {
  controller_.streams.push_back({.operations = {Restarting(v1::OPERATION_STATE_CANCELLED)}});
  EXPECT_EQ(Run({"restart", "acme"}), 1);
}

TEST_F(Waiting, EndsWithFiveWhileTheOperationGoesOn) {
  controller_.streams.push_back(
      {.operations = {Restarting(v1::OPERATION_STATE_RUNNING)}, .hang = true});
  EXPECT_EQ(Run({"restart", "acme", "--timeout", "0.2"}), 5);
  EXPECT_THAT(err(), HasSubstr("op watch 01ARZ3NDEKTSV4RRFFQ69G5FAV"));
}

TEST_F(Waiting, RefusesATimeoutThatMakesNoSenseBeforeSending) {
  EXPECT_EQ(Run({"restart", "acme", "--timeout", "soon"}), 2);
  EXPECT_EQ(controller_.calls, 0);
}

TEST_F(Waiting, RemoveAsksOnATerminalAndTakesNoForAnAnswer) {
  environment_.in_is_terminal = environment_.err_is_terminal = true;
  variables_["TERM"] = "dumb";
  answer_ = "n";
  EXPECT_EQ(Run({"remove", "acme"}), 1);
  EXPECT_THAT(controller_.removes, SizeIs(0));
  controller_.accepted = MakeOperation("remove", "tenants/acme", v1::OPERATION_STATE_SUCCEEDED);
  answer_ = "y";
  EXPECT_EQ(Run({"remove", "acme", "--keep-data"}), 0) << err();
  ASSERT_THAT(controller_.removes, SizeIs(1));
  EXPECT_TRUE(controller_.removes[0].keep_data());
  EXPECT_THAT(prompts_, SizeIs(2));
}

TEST_F(Waiting, RemoveAsksNobodyInAScript) {
  controller_.accepted = MakeOperation("remove", "tenants/acme", v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(Run({"remove", "acme"}), 0);
  EXPECT_THAT(prompts_, SizeIs(0));
}

}  // namespace
}  // namespace mtp::cli
