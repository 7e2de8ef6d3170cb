// The inputs that are kept, through the targets: what a fuzzer found once stays found.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/fuzz/target.h"
#include "tests/support/paths.h"

namespace mtp::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxCorpusBytes = 300 << 10;

std::string Corpus() { return testing::SourcePath("tests/fuzz/corpus"); }

std::vector<fs::path> InputsOf(const std::string& target) {
  std::vector<fs::path> inputs;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(Corpus() + "/" + target, none)) {
    inputs.push_back(entry.path());
  }
  return inputs;
}

std::string Content(const fs::path& path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

TEST(Fuzz, WhatIsKeptHolds) {
  for (const Target& target : Targets()) {
    for (const fs::path& input : InputsOf(target.name)) {
      try {
        target.run(Content(input));
      } catch (const std::exception& broken) {
        ADD_FAILURE() << input << "\n" << broken.what();
      }
    }
  }
}

TEST(Fuzz, NothingIsToAnyTargetTooLittle) {
  for (const Target& target : Targets()) {
    EXPECT_NO_THROW(target.run("")) << target.name;
    EXPECT_NO_THROW(target.run(absl::string_view("\0\n\0\n", 4))) << target.name;
  }
}

TEST(Fuzz, EveryTargetHasSeedsAndEverySeedATarget) {
  std::set<std::string> folders;
  uintmax_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(Corpus())) {
    if (entry.is_directory()) folders.insert(entry.path().filename());
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  for (const Target& target : Targets()) {
    EXPECT_FALSE(InputsOf(target.name).empty()) << target.name;
    for (const fs::path& input : InputsOf(target.name)) {
      EXPECT_LE(fs::file_size(input), target.max_bytes) << input;
    }
    folders.erase(target.name);
  }
  EXPECT_TRUE(folders.empty()) << *folders.begin();
  EXPECT_LE(bytes, kMaxCorpusBytes);
}

TEST(Fuzz, ABrokenPromiseIsNamedWithItsPlace) {
  try {
    MTP_HOLDS(1 + 1 == 3);
    FAIL();
  } catch (const BrokenPromise& broken) {
    EXPECT_NE(std::string(broken.what()).find("replay_test.cc"), std::string::npos);
    EXPECT_NE(std::string(broken.what()).find("1 + 1 == 3"), std::string::npos);
  }
}

}  // namespace
}  // namespace mtp::fuzz
