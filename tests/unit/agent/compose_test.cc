#include "agent/compose/compose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "agent/compose/project_folder.h"
#include "common/base/atomic_file.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A program in the place of docker that writes down how it was called.
std::string FakeDocker(const std::string& folder, const std::string& script) {
  const std::string path = folder + "/docker";
  EXPECT_TRUE(WriteFileAtomically(path, "#!/bin/sh\n" + script, 0755).ok());
  return path;
}

TEST(ComposeErrors, ShowsTheEnginesOwnSentence) {
  EXPECT_EQ(DistillComposeError(" Network mtp_acme  Creating\n Network mtp_acme  Error\n"
                                "time=\"x\" level=warning msg=\"y\"\n"
                                "Error response from daemon: no space left on device\n"),
            "no space left on device");
}

// As Compose 2.26 says it.
TEST(ComposeErrors, NeverQuotesWhatStandsInTheEnvFile) {
  const std::string sentence = DistillComposeError(
      "failed to read /srv/project/.env: line 4: unterminated quoted value 'planted-secret\n");
  EXPECT_THAT(sentence, HasSubstr("writes it anew"));
  EXPECT_THAT(sentence, Not(HasSubstr("planted-secret")));
}

TEST(ComposeErrors, SaysWhatToDoAboutAPortThatIsTaken) {
  const absl::Status status = ComposeError(
      "Error response from daemon: driver failed programming external connectivity on endpoint "
      "mtp-acme: Bind for 127.0.0.1:18801 failed: port is already allocated");
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(status.message()), HasSubstr("taken by another program"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("restart the engine"));
}

TEST(ComposeErrors, SaysWhatToDoAboutASubnetThatIsTaken) {
  EXPECT_THAT(std::string(ComposeError("failed to create network mtp_acme: Error response from "
                                       "daemon: Pool overlaps with other one on this address space")
                              .message()),
              HasSubstr("--subnet-pool"));
}

TEST(ComposeErrors, TellsAnEngineThatIsAwayFromAFailure) {
  EXPECT_EQ(ComposeError("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon "
                         "running?")
                .code(),
            absl::StatusCode::kUnavailable);
}

TEST(ComposeErrors, ARegistryThatIsAwayIsNoEngineThatIsAway) {
  const absl::Status error = ComposeError(
      "Error response from daemon: Get \"http://127.0.0.1:5000/v2/\": dial tcp 127.0.0.1:5000: "
      "connect: connection refused");
  EXPECT_EQ(error.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(error.message()), HasSubstr("127.0.0.1:5000"));
}

TEST(ComposeErrors, TellsAMissingImage) {
  EXPECT_EQ(ComposeError("Error response from daemon: No such image: openclaw:9").code(),
            absl::StatusCode::kNotFound);
}

TEST(Compose, GivesTheChildNothingOfTheAgentsEnvironment) {
  const testing::TempFolder temp;
  const std::string& folder = temp.path();
  setenv("MTP_TEST_LEAK", "leak", 1);
  auto compose = NewCompose({folder, "unix:///engine.sock",
                             FakeDocker(folder,
                                        "env > env.txt; cat > stdin.txt; echo \"$@\" > "
                                        "argv.txt\n")});
  ASSERT_TRUE(compose->UpOne({"acme", "name: mtp\n"}, nullptr).ok());
  unsetenv("MTP_TEST_LEAK");
  const std::string env = *ReadFile(folder + "/env.txt", 1 << 20);
  EXPECT_THAT(env, Not(HasSubstr("leak")));
  EXPECT_THAT(env, HasSubstr("DOCKER_HOST=unix:///engine.sock"));
  EXPECT_EQ(*ReadFile(folder + "/stdin.txt", 1 << 20), "name: mtp\n");
  EXPECT_THAT(*ReadFile(folder + "/argv.txt", 1 << 20), HasSubstr("up -d --no-deps"));
}

TEST(Compose, NeverAsksTheEngineToKillAtOnce) {
  const testing::TempFolder temp;
  const std::string& folder = temp.path();
  auto compose =
      NewCompose({folder, "unix:///e", FakeDocker(folder, "cat >/dev/null; echo \"$@\" > argv\n")});
  ASSERT_TRUE(compose->StopOne({"acme", ""}, absl::ZeroDuration(), nullptr).ok());
  EXPECT_THAT(*ReadFile(folder + "/argv", 1 << 20), HasSubstr("stop --timeout 1 acme"));
}

TEST(Compose, CallsThePluginItselfWhereItIsKnown) {
  const testing::TempFolder temp;
  const std::string& folder = temp.path();
  auto compose = NewCompose({folder, "unix:///e", "/no/docker",
                             FakeDocker(folder, "cat >/dev/null; echo \"$@\" > argv\n")});
  ASSERT_TRUE(compose->UpOne({"acme", "name: mtp\n"}, nullptr).ok());
  EXPECT_EQ(
      *ReadFile(folder + "/argv", 1 << 20),
      "--project-directory " + folder + " -f - up -d --no-deps --no-build --pull never acme\n");
}

TEST(Compose, CreatesWithoutStarting) {
  const testing::TempFolder temp;
  const std::string& folder = temp.path();
  auto compose = NewCompose({folder, "unix:///e", "/no/docker",
                             FakeDocker(folder, "cat >/dev/null; echo \"$@\" > argv\n")});
  ASSERT_TRUE(compose->CreateOne({"acme", "name: mtp\n"}, nullptr).ok());
  EXPECT_THAT(*ReadFile(folder + "/argv", 1 << 20),
              HasSubstr("up --no-start --no-deps --no-build --pull never acme"));
}

TEST(Compose, FindsAUsersOwnPluginBeforeTheMachines) {
  const testing::TempFolder temp;
  const std::string& home = temp.path();
  const char* const set = getenv("HOME");
  const std::string home_before = set == nullptr ? "" : set;
  setenv("HOME", home.c_str(), 1);
  const std::string folder = home + "/.docker/cli-plugins";
  ASSERT_TRUE(MakeFolders(folder, 0755).ok());
  const std::string plugin = folder + "/docker-compose";
  ASSERT_TRUE(WriteFileAtomically(plugin, "", 0644).ok());
  EXPECT_NE(FindComposePlugin(), plugin);
  ASSERT_TRUE(WriteFileAtomically(plugin, "", 0755).ok());
  EXPECT_EQ(FindComposePlugin(), plugin);
  setenv("HOME", home_before.c_str(), 1);
}

TEST(ProjectFolder, NeverReplacesATemplateThatTheOperatorEdited) {
  const testing::TempFolder temp;
  const ProjectFolder folder(temp.path());
  ASSERT_TRUE(folder.Prepare().ok());
  const std::string path = folder.path() + "/config/tenant-template.json5";
  ASSERT_TRUE(WriteFileAtomically(path, "{ /* mine */ }", 0644).ok());
  ASSERT_TRUE(folder.Prepare().ok());
  EXPECT_EQ(*folder.ConfigTemplate(), "{ /* mine */ }");
}

TEST(ProjectFolder, TakesAwayAnEnvFileThatADeathLeftUnfinished) {
  const testing::TempFolder temp;
  const ProjectFolder folder(temp.path());
  ASSERT_TRUE(folder.Prepare().ok());
  ASSERT_TRUE(folder.Write({{".env", "A=1\n", 0600}}).ok());
  const std::string unfinished = folder.path() + "/.env.tmp.4711.3";
  ASSERT_TRUE(WriteFileAtomically(unfinished, "A=former-secret\n", 0600).ok());
  ASSERT_TRUE(folder.Prepare().ok());
  EXPECT_FALSE(std::filesystem::exists(unfinished));
  EXPECT_EQ(*ReadFile(folder.path() + "/.env", 100), "A=1\n");
}

TEST(ProjectFolder, LeavesAFileAloneThatIsRightAlready) {
  const testing::TempFolder temp;
  const ProjectFolder folder(temp.path());
  const std::vector<RenderedFile> files = {{".env", "A=1\n", 0600}};
  ASSERT_TRUE(folder.Write(files).ok());
  struct stat before, after;
  ASSERT_EQ(stat((folder.path() + "/.env").c_str(), &before), 0);
  ASSERT_TRUE(folder.Write(files).ok());
  ASSERT_EQ(stat((folder.path() + "/.env").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST(ProjectFolder, MendsTheModeOfAnEnvFileThatOthersCanRead) {
  const testing::TempFolder temp;
  const ProjectFolder folder(temp.path());
  const std::vector<RenderedFile> files = {{".env", "A=1\n", 0600}};
  ASSERT_TRUE(folder.Write(files).ok());
  const std::string path = folder.path() + "/.env";
  ASSERT_EQ(chmod(path.c_str(), 0644), 0);
  ASSERT_TRUE(folder.Write(files).ok());
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, mode_t{0600});
}

TEST(ProjectFolder, ReadsTheAdminInstancesOptionalSecrets) {
  const testing::TempFolder temp;
  const ProjectFolder folder(temp.path());
  ASSERT_TRUE(folder.Prepare().ok());
  EXPECT_EQ(folder.AdminSecrets()->telegram_token(), "");
  ASSERT_TRUE(
      WriteFileAtomically(folder.path() + "/admin.env", "ADMIN_TELEGRAM_TOKEN=\"1:a\\\"b\"\n", 0600)
          .ok());
  EXPECT_EQ(folder.AdminSecrets()->telegram_token(), "1:a\"b");
}

}  // namespace
}  // namespace mtp
