// One flipped bit, or a file cut short, in a repository: either the restore fails, or every byte is
// right.
//
//   MTP_FLIPS=10000 MTP_FLIP_SEED=1 build/bin/e2e_engine --gtest_filter='Flips.*'
//
// Flip number i is made of the seed and i alone: a failure names the seed that makes it as the only
// one.
#include <absl/strings/numbers.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>
#include <vector>

#include "common/restic/repository.h"
#include "tests/e2e/own_engine.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;
using testing::SeededRandom;
using testing::Shell;
using testing::TempFolder;

uint64_t Setting(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  uint64_t value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

void Write(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::string Read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(in)), {});
}

class Flips : public ::testing::Test {
 protected:
  void SetUp() override {
    if (Shell("restic version") != 0) GTEST_SKIP() << "restic is not installed";
    SeededRandom random(4711);  // The same repository for each seed, but for restic's own keys.
    for (int i = 0; i < 12; ++i) {
      const std::string folder = folder_ / "source/d" + std::to_string(i % 4);
      fs::create_directories(folder);
      Write(folder + "/f" + std::to_string(i), random.Bytes(random.Below(90'000)));
    }
    fs::create_symlink("/etc/passwd", folder_ / "source/link");
    repository_ = Open();
    ASSERT_TRUE(repository_->Init(nullptr).ok());
    snapshot_ = Backup("b1");
    Write(folder_ / "source/more", random.Bytes(50'000));
    snapshot_ = Backup("b2");
    ASSERT_EQ(snapshot_.size(), 64U);
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "repository"))
      if (entry.is_regular_file()) files_.push_back(entry.path());
    // Not by name: restic names files by their content, which is another one each time.
    const auto kind_and_size = [this](const std::string& path) {
      const fs::path inside = fs::path(path).lexically_relative(folder_ / "repository");
      return std::pair(inside.begin()->string(), fs::file_size(path));
    };
    std::sort(files_.begin(), files_.end(), [&](const std::string& a, const std::string& b) {
      return kind_and_size(a) < kind_and_size(b);
    });
    before_ = Tree("source");
  }

  std::unique_ptr<Repository> Open() {
    auto opened = OpenResticRepository(
        {.url = folder_ / "repository", .password = SecretString("secret")},
        {.state_folder = folder_ / "state", .long_deadline = absl::Minutes(15)});
    EXPECT_TRUE(opened.ok()) << opened.status();
    return std::move(*opened);
  }

  std::string Backup(const std::string& id) {
    const auto backup = repository_->Backup({.folder = folder_ / "source",
                                             .identity = {"fleet", "acme", id},
                                             .host = "h1",
                                             .time = absl::FromUnixSeconds(1777000000)},
                                            nullptr, nullptr);
    EXPECT_TRUE(backup.ok()) << backup.status();
    return backup.ok() ? backup->snapshot : "";
  }

  // Every entry with all that is restored of it.
  std::string Tree(const std::string& name) {
    std::string tree;
    Shell("cd " + folder_ / name +
              " && find . -mindepth 1 -printf '%P %y %m %U:%G %l %T@\\n' | sort && "
              "find . -type f -print0 | sort -z | xargs -0 sha256sum",
          &tree);
    return tree;
  }

  absl::Status Restore() {
    fs::remove_all(folder_ / "out");
    fs::create_directory(folder_ / "out");
    return repository_->Restore(snapshot_, folder_ / "out", nullptr);
  }

  // Breaks one file as `seed` says; returns its path and what it held.
  std::pair<std::string, std::string> Break(uint64_t seed) {
    SeededRandom random(seed);
    const std::string& path = files_[random.Below(files_.size())];
    const std::string whole = Read(path);
    std::string broken = whole;
    const size_t at = random.Below(whole.size());
    if (random.Chance(250)) {
      broken.resize(at);
    } else {
      broken[at] = static_cast<char>(broken[at] ^ (1 << random.Below(8)));
    }
    Write(path, broken);
    return {path, whole};
  }

  TempFolder folder_;
  std::unique_ptr<Repository> repository_;
  std::string snapshot_, before_;
  std::vector<std::string> files_;
};

TEST_F(Flips, AreSeenOrHarmless) {
  const uint64_t seed = Setting("MTP_FLIP_SEED", 1), count = Setting("MTP_FLIPS", 100);
  for (const std::string& path : files_) fs::permissions(path, fs::perms::owner_all);
  std::map<absl::StatusCode, uint64_t> seen;
  std::map<absl::StatusCode, std::string> examples;
  uint64_t harmless = 0;
  for (uint64_t i = seed; i < seed + count; ++i) {
    const auto [path, whole] = Break(i);
    const absl::Status restored = Restore();
    Write(path, whole);
    if (restored.ok()) {
      ++harmless;
      ASSERT_EQ(Tree("out"), before_) << path << ", MTP_FLIP_SEED=" << i << " MTP_FLIPS=1";
    } else {
      ++seen[restored.code()];
      examples.emplace(restored.code(), std::string(restored.message()));
      EXPECT_EQ(restored.message().find('\n'), absl::string_view::npos)
          << restored << ", MTP_FLIP_SEED=" << i << " MTP_FLIPS=1";
    }
    if ((i - seed) % 500 == 499) fprintf(stderr, "%lu flips\n", (unsigned long)(i - seed + 1));
  }
  fprintf(stderr, "seeds %lu to %lu: %lu harmless", (unsigned long)seed,
          (unsigned long)(seed + count - 1), (unsigned long)harmless);
  for (const auto& [code, times] : seen)
    fprintf(stderr, ", %lu %s", (unsigned long)times, absl::StatusCodeToString(code).c_str());
  for (const auto& [code, message] : examples)
    fprintf(stderr, "\n  %s: %s", absl::StatusCodeToString(code).c_str(), message.c_str());
  fprintf(stderr, "\n");
  // Most hit what the backup needs.
  if (count >= 100) {
    EXPECT_GT(count - harmless, count / 2);
  }
  EXPECT_TRUE(Restore().ok());
  EXPECT_EQ(Tree("out"), before_);
  const absl::Status whole = repository_->Check(/*read_data=*/true, nullptr);
  EXPECT_TRUE(whole.ok()) << whole;
}

}  // namespace
}  // namespace mtp
