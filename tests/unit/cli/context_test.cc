#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "cli/commands/contexts.h"
#include "common/tls/keys.h"
#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::HasSubstr;

class Context : public CliTest {
 protected:
  std::string Identity(const std::string& name) {
    std::filesystem::create_directories(folder_ / name);
    File(name + "/cert.pem", "");
    return folder_ / name;
  }
  mode_t ModeOf(const std::string& name) {
    struct stat facts = {};
    return stat((folder_ / name).c_str(), &facts) == 0 ? facts.st_mode & 0777 : 0;
  }
};

TEST_F(Context, TheFirstOneIsUsedByItself) {
  const std::string identity = Identity("me");
  EXPECT_EQ(
      RunBare({"context", "add", "prod", "--controller", "10.0.0.1:7443", "--identity", identity}),
      0)
      << err();
  EXPECT_EQ(ModeOf(".config/mtp/config.yaml"), 0600);
  EXPECT_EQ(RunBare({"status"}), 0) << err();
  EXPECT_EQ(endpoint_.controller, "10.0.0.1:7443");
  EXPECT_EQ(endpoint_.identity_folder, identity);
}

TEST_F(Context, WhatSeveralAddAtOnceIsAllThere) {
  const std::string path = folder_ / ".config/mtp/config.yaml";
  std::vector<std::thread> threads;
  for (int number = 0; number < 8; ++number) {
    threads.emplace_back([&path, number] {
      for (int round = 0; round < 8; ++round) {
        EXPECT_TRUE(ChangeContextFile(path, [&](ContextFile& file) {
                      file.contexts[absl::StrCat("c", number, "-", round)] = {"a:1", "/b"};
                      return absl::OkStatus();
                    }).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ReadContextFile(path)->contexts.size(), 64);
}

TEST_F(Context, AChangeThatFailsWritesNothing) {
  const std::string path = folder_ / ".config/mtp/config.yaml";
  const absl::Status failed = ChangeContextFile(path, [](ContextFile& file) {
    file.current = "a";
    return absl::NotFoundError("no");
  });
  EXPECT_TRUE(absl::IsNotFound(failed));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(Context, FlagsWinOverTheVariableAndTheVariableOverTheCurrentOne) {
  const std::string identity = Identity("me");
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_EQ(RunBare({"context", "add", name, "--controller", name, "--identity", identity}), 0);
  }
  EXPECT_EQ(RunBare({"status"}), 0);
  EXPECT_EQ(endpoint_.controller, "a");
  EXPECT_EQ(RunBare({"context", "use", "b"}), 0);
  EXPECT_EQ(RunBare({"status"}), 0);
  EXPECT_EQ(endpoint_.controller, "b");
  variables_["MTP_CONTEXT"] = "c";
  EXPECT_EQ(RunBare({"status"}), 0);
  EXPECT_EQ(endpoint_.controller, "c");
  EXPECT_EQ(RunBare({"status", "--context", "a"}), 0);
  EXPECT_EQ(endpoint_.controller, "a");
  EXPECT_EQ(RunBare({"status", "--controller", "d"}), 0);
  EXPECT_EQ(endpoint_.controller, "d");
  EXPECT_EQ(RunBare({"context", "list", "-o", "json"}), 0);
  EXPECT_EQ(OutJson()["contexts"].size(), 3u);
}

TEST_F(Context, SaysWhatToDoWithoutOne) {
  EXPECT_EQ(RunBare({"status"}), 2);
  EXPECT_THAT(err(), HasSubstr("mtp-cli context add"));
  EXPECT_EQ(RunBare({"status", "--context", "nope"}), 2);
  EXPECT_EQ(RunBare({"context", "use", "nope"}), 3);
}

TEST_F(Context, RefusesABrokenFile) {
  variables_["MTP_CONFIG"] = File("broken.yaml", "contexts: [unclosed");
  EXPECT_EQ(RunBare({"status"}), 2);
  variables_["MTP_CONFIG"] = File("odd.yaml", "- 1\n- 2\n");
  EXPECT_EQ(RunBare({"status"}), 2);
}

// A carriage return at the end of a value would be read as part of the line's end.
TEST_F(Context, RefusesWhatTheFileWouldNotGiveBack) {
  const std::string identity = Identity("me");
  for (const char* name : {"a\r", "a\nb", "a\tb", "a\xff"}) {
    EXPECT_EQ(RunBare({"context", "add", name, "--controller", "c", "--identity", identity}), 2);
    EXPECT_EQ(RunBare({"context", "add", "a", "--controller", name, "--identity", identity}), 2);
  }
  EXPECT_EQ(ModeOf(".config/mtp/config.yaml"), 0);
  variables_["MTP_CONFIG"] =
      File("returns.yaml", "contexts: {\"a\\r\": {controller: c, identity: /i}}");
  EXPECT_EQ(RunBare({"status", "--context", "a"}), 2);
  EXPECT_THAT(err(), HasSubstr("one line"));
}

TEST_F(Context, OperatorAddMakesTheKeyHereAndKeepsItToTheOwner) {
  EXPECT_EQ(Run({"operator", "add", "alice", "--role", "viewer", "--save-context", "alice"}), 0)
      << err();
  ASSERT_EQ(controller_.added_operators.size(), 1u);
  EXPECT_EQ(controller_.added_operators[0].role(), v1::ROLE_VIEWER);
  EXPECT_TRUE(tls::RequestKeyFingerprint(controller_.added_operators[0].csr_pem()).ok());
  EXPECT_EQ(ModeOf(".config/mtp/identities/alice/key.pem"), 0600);
  EXPECT_EQ(Run({"operator", "add", "alice", "--role", "viewer"}), 2)
      << "an identity is never overwritten";
  EXPECT_EQ(RunBare({"status", "--context", "alice"}), 0);
  EXPECT_EQ(endpoint_.controller, "fake:1");
}

TEST_F(Context, HostTokenPrintsOnlyTheTokenInAPipe) {
  EXPECT_EQ(Run({"host", "token", "h9", "--lifetime", "2h", "--rejoin"}), 0);
  EXPECT_EQ(out(), "join-token-1\n");
  EXPECT_EQ(err(), "");
  EXPECT_EQ(controller_.tokens.at(0).lifetime().seconds(), 7200);
  EXPECT_TRUE(controller_.tokens.at(0).rejoin());
  environment_.out_is_terminal = true;
  EXPECT_EQ(Run({"host", "token", "h9"}), 0);
  EXPECT_THAT(err(), HasSubstr("mtp-agent join -"));
}

}  // namespace
}  // namespace mtp::cli
