#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "cli/commands/log_text.h"
#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class Access : public CliTest {};

TEST_F(Access, LogsAskForWhatTheFlagsSay) {
  EXPECT_EQ(Run({"logs", "acme", "--since", "10m", "--tail", "5", "-f"}), 0);
  EXPECT_EQ(Run({"logs", "admins/h1", "--tail", "0"}), 0);
  ASSERT_THAT(controller_.logs, SizeIs(2));
  EXPECT_EQ(controller_.logs[0].name(), "tenants/acme");
  EXPECT_EQ(controller_.logs[0].since().seconds(), 600);
  EXPECT_EQ(controller_.logs[0].tail(), 5);
  EXPECT_TRUE(controller_.logs[0].follow());
  EXPECT_EQ(controller_.logs[1].name(), "admins/h1");
  EXPECT_EQ(controller_.logs[1].tail(), -1);
}

TEST_F(Access, LogsPassBytesOnInAPipeAndSafeTextOnATerminal) {
  v1::LogChunk chunk;
  chunk.set_data("a\x1b]0;owned\x07\n");
  controller_.log = {chunk};
  EXPECT_EQ(Run({"logs", "acme"}), 0);
  EXPECT_EQ(out(), chunk.data());
  environment_.out_is_terminal = true;
  EXPECT_EQ(Run({"logs", "acme"}), 0);
  EXPECT_EQ(out(), "a\\x1b]0;owned\\x07\n");
}

TEST_F(Access, ExecPassesTheCommandOnAndEndsWithItsExitCode) {
  v1::ExecOutput text;
  text.set_data("hello");
  v1::ExecOutput complaint;
  complaint.set_data("oh");
  complaint.set_stderr(true);
  v1::ExecOutput end;
  end.set_finished(true);
  end.set_exit_code(42);
  controller_.exec_output = {text, complaint, end};
  EXPECT_EQ(Run({"exec", "acme", "--", "sh", "-c", "--json", "--"}), 42);
  EXPECT_THAT(controller_.execs.at(0).command(), ElementsAre("sh", "-c", "--json", "--"));
  EXPECT_EQ(out(), "hello");
  EXPECT_EQ(err(), "oh");
}

TEST_F(Access, ExecIsNeverRepeated) {
  controller_.refusals = {{grpc::StatusCode::UNAVAILABLE, "away"}};
  EXPECT_EQ(Run({"exec", "acme", "--", "true"}), 4);
  EXPECT_THAT(controller_.execs, SizeIs(1));
}

TEST_F(Access, SaysThatAControllerIsTooOldForACall) {
  EXPECT_EQ(Run({"capacity"}), 1);  // the fake one does not know it
  EXPECT_THAT(err(), HasSubstr("older than this mtp-cli"));
}

TEST_F(Access, ExecWithoutACommandIsWrongUsage) {
  EXPECT_EQ(Run({"exec", "acme"}), 2);
  EXPECT_EQ(Run({"exec", "acme", "--"}), 2);
}

TEST_F(Access, RpcPrintsTheAnswer) {
  controller_.gateway_answer = R"({"ok":true})";
  EXPECT_EQ(Run({"rpc", "acme", "health", R"({"probe":true})"}), 0);
  EXPECT_TRUE(OutJson()["ok"]);
  EXPECT_EQ(controller_.gateway_calls.at(0).params_json(), R"({"probe":true})");
  EXPECT_EQ(Run({"rpc", "acme", "health", "[1]"}), 2);
  EXPECT_EQ(Run({"rpc", "acme", "health", "{"}), 2);
}

TEST(LogText, PutsChunksTogetherWhereverTheyAreCut) {
  const std::string all = "grün \x1b[31mrot\x1b[0m\r\n\xff\x1b[2J ende\n";
  const std::string wanted = "grün \x1b[31mrot\x1b[0m\n\\xff\\x1b[2J ende\n";
  for (size_t cut = 0; cut <= all.size(); ++cut) {
    LogText text(/*colour=*/true);
    std::string shown = text.Next(all.substr(0, cut));
    shown += text.Next(all.substr(cut));
    shown += text.Rest();
    if (cut == all.find('\n')) continue;  // a carriage return alone at a chunk's end is shown
    EXPECT_EQ(shown, wanted) << "cut at " << cut;
  }
}

TEST(LogText, DropsColoursThatAreNotWanted) {
  LogText text(/*colour=*/false);
  EXPECT_EQ(text.Next("\x1b[1;32mok\x1b[0m\n"), "ok\n");
}

}  // namespace
}  // namespace mtp::cli
