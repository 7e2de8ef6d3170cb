// agent.yaml: what `mtp-agent join` writes is what `mtp-agent run` reads; what cannot work is
// refused in one sentence.
#include "agent/daemon/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>
#include <string>

#include "common/base/atomic_file.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;
using testing::TempFolder;

AgentSettings Settings(const TempFolder& folder) {
  AgentSettings settings;
  settings.host = "h1";
  settings.fleet = "prod";
  settings.data_dir = folder.path();
  settings.project_dir = folder.path() + "/elsewhere";
  return settings;
}

void Write(const TempFolder& folder, const std::string& text) {
  ASSERT_TRUE(WriteFileAtomically(folder.path() + "/agent.yaml", text, 0600).ok());
}

TEST(AgentSettings, ComeBackAsTheyWereWritten) {
  const TempFolder folder;
  AgentSettings settings = Settings(folder);
  settings.listen = "10.0.0.7:9000";
  settings.docker_host = "unix:///run/other.sock";
  settings.image = "registry.example/openclaw:7";
  settings.memory_total_mib = 4096;
  settings.memory_reserve_mib = 0;
  settings.subnet_pool = "10.9.0.0/20";
  settings.admin = false;
  settings.max_starts = 3;
  settings.start_patience_s = 45;
  settings.log_level = "debug";
  ASSERT_TRUE(SaveSettings(settings).ok());
  const auto read = LoadSettings(folder.path());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->host, settings.host);
  EXPECT_EQ(read->fleet, settings.fleet);
  EXPECT_EQ(read->project_dir, settings.project_dir);
  EXPECT_EQ(read->listen, settings.listen);
  EXPECT_EQ(read->docker_host, settings.docker_host);
  EXPECT_EQ(read->image, settings.image);
  EXPECT_EQ(read->memory_total_mib, settings.memory_total_mib);
  EXPECT_EQ(read->memory_reserve_mib, settings.memory_reserve_mib);
  EXPECT_EQ(read->subnet_pool, settings.subnet_pool);
  EXPECT_EQ(read->admin, settings.admin);
  EXPECT_EQ(read->max_starts, settings.max_starts);
  EXPECT_EQ(read->start_patience_s, settings.start_patience_s);
  EXPECT_EQ(read->log_level, settings.log_level);
  struct stat file {};
  ASSERT_EQ(stat((folder.path() + "/agent.yaml").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);
}

TEST(AgentSettings, WhatAFileDoesNotSayHasItsDefault) {
  const TempFolder folder;
  Write(folder, "host: h1\nfleet: prod\nof_a_newer_agent: [1, 2]\n");
  const auto read = LoadSettings(folder.path());
  ASSERT_TRUE(read.ok()) << read.status();
  const AgentSettings defaults;
  EXPECT_EQ(read->project_dir, folder.path() + "/project");
  EXPECT_EQ(read->listen, defaults.listen);
  EXPECT_EQ(read->start_patience_s, defaults.start_patience_s);
  EXPECT_TRUE(read->admin);
}

TEST(AgentSettings, AHostThatNeverJoinedIsToldHow) {
  const TempFolder folder;
  const auto read = LoadSettings(folder.path());
  EXPECT_EQ(read.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(read.status().message()), HasSubstr("mtp-agent join"));
}

TEST(AgentSettings, AFileThatIsNoneIsNamed) {
  for (const char* text :
       {"host: [", "host: h1\nmax_starts: many\n", "- h1\n", "host: {a: b}\n",
        "host: h1\nfleet: \xa5\n", "host: h1\nfleet: \x01\n", "host: h1\nproject_dir: \"/a\\_b\"\n",
        "host: h1\nlisten: |\n  a:1\n  b\n"}) {
    const TempFolder folder;
    Write(folder, text);
    const auto read = LoadSettings(folder.path());
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(read.status().message()), HasSubstr("agent.yaml")) << text;
  }
}

TEST(AgentSettings, WhatCannotWorkIsNeitherWrittenNorRead) {
  const std::vector<std::pair<const char*, std::function<void(AgentSettings&)>>> cases = {
      {"host", [](AgentSettings& s) { s.host = "H 1"; }},
      {"docker-host", [](AgentSettings& s) { s.docker_host = "tcp://10.0.0.1:2375"; }},
      {"image", [](AgentSettings& s) { s.image = "-v"; }},
      {"10.0.0.0", [](AgentSettings& s) { s.subnet_pool = "10.0.0.0/40"; }},
      {"loud", [](AgentSettings& s) { s.log_level = "loud"; }},
      {"absolute", [](AgentSettings& s) { s.project_dir = "project"; }},
      {"--listen", [](AgentSettings& s) { s.listen = "7443"; }},
      {"one line", [](AgentSettings& s) { s.advertise = "10.0.0.1:7443\n"; }},
      {"negative", [](AgentSettings& s) { s.memory_total_mib = -1; }},
      {"negative", [](AgentSettings& s) { s.memory_reserve_mib = -2; }},
      {"negative", [](AgentSettings& s) { s.max_starts = -1; }},
      {"--start-patience", [](AgentSettings& s) { s.start_patience_s = 9; }},
  };
  for (const auto& [word, spoil] : cases) {
    const TempFolder folder;
    AgentSettings settings = Settings(folder);
    ASSERT_TRUE(CheckSettings(settings).ok());
    spoil(settings);
    const absl::Status saved = SaveSettings(settings);
    EXPECT_EQ(saved.code(), absl::StatusCode::kInvalidArgument) << word;
    EXPECT_THAT(std::string(saved.message()), HasSubstr(word));
    EXPECT_TRUE(absl::IsNotFound(LoadSettings(folder.path()).status())) << word;
  }
}

}  // namespace
}  // namespace mtp
