// The commands that the documents tell people to type are such that this program takes.
#include <absl/strings/match.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>

#include "cli/commands/command.h"
#include "cli/commands/run.h"
#include "common/base/atomic_file.h"
#include "tests/support/paths.h"

namespace mtp::cli {
namespace {

namespace fs = std::filesystem;

// Empty when it parses; nothing is run.
std::string WhyNot(const std::string& command) {
  std::vector<std::string> words;
  static const std::regex kWord(R"('([^']*)'|\"([^\"]*)\"|(\S+))");
  for (std::sregex_iterator at(command.begin(), command.end(), kWord), end; at != end; ++at) {
    const std::string word = (*at)[1].str() + (*at)[2].str() + (*at)[3].str();
    if (word == "--") break;
    words.push_back(word);
  }
  GlobalFlags flags;
  Chosen chosen;
  const auto tree = MakeTree(flags, chosen);
  std::reverse(words.begin(), words.end());
  try {
    tree->parse(words);
  } catch (const CLI::Success&) {
    return "";
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

// What stands behind `mtp-cli` in lines of code blocks, without comments, and in code within text.
std::vector<std::string> CommandsIn(const std::string& document) {
  std::vector<std::string> commands;
  bool in_block = false;
  static const std::regex kPart(
      R"((?:^|\| |&& )(?:\$ )?(?:sudo )?(?:build/bin/)?mtp-cli ([^|&#]*))");
  static const std::regex kInText(R"(`(?:build/bin/)?mtp-cli ([^`]*)`)");
  for (const absl::string_view piece : absl::StrSplit(document, '\n')) {
    const std::string line(piece);
    if (absl::StartsWith(line, "```")) in_block = !in_block;
    const std::regex& pattern = in_block ? kPart : kInText;
    for (std::sregex_iterator at(line.begin(), line.end(), pattern), end; at != end; ++at)
      commands.push_back((*at)[1].str());
  }
  return commands;
}

TEST(Docs, TellOfCommandsAndFlagsThatThereAre) {
  std::vector<fs::path> documents = {testing::SourcePath("README.md")};
  for (const auto& entry : fs::directory_iterator(testing::SourcePath("docs")))
    if (entry.path().extension() == ".md") documents.push_back(entry.path());
  size_t commands = 0;
  for (const fs::path& path : documents) {
    const auto text = ReadFile(path.string(), 1 << 20);
    ASSERT_TRUE(text.ok()) << text.status();
    for (const std::string& command : CommandsIn(*text)) {
      ++commands;
      EXPECT_EQ(WhyNot(command), "") << path << ": mtp-cli " << command;
    }
  }
  // Else they are not found any more.
  EXPECT_GT(commands, 100u);
}

TEST(Docs, WhatIsNotThereIsSeen) {
  EXPECT_EQ(WhyNot("backup restore acme --from ID --yes"), "");
  EXPECT_NE(WhyNot("backup restore acme --form ID"), "");
  EXPECT_NE(WhyNot("restore acme"), "");
  EXPECT_NE(WhyNot("op show"), "");
  EXPECT_THAT(CommandsIn("mtp-cli not in a block\n```\n$ mtp-cli status -w   # live\nx | mtp-cli "
                         "logs acme | less\n```\nthen `mtp-cli op list`.\n"),
              ::testing::ElementsAre("status -w   ", "logs acme ", "op list"));
}

}  // namespace
}  // namespace mtp::cli
