// The repository against the real restic. Skipped where restic is not installed.
#include "common/restic/repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/base/atomic_file.h"
#include "tests/e2e/own_engine.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;
using testing::SeededRandom;
using testing::Shell;
using testing::TempFolder;

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

class LocalRepository : public ::testing::Test {
 protected:
  void SetUp() override {
    if (Shell("restic version") != 0) GTEST_SKIP() << "restic is not installed";
    fs::create_directories(folder_ / "source/empty");
    WriteFile(folder_ / "source/big", random_.Bytes(2 << 20));
    WriteFile(folder_ / "source/odd\n\xff", "odd");
    fs::create_symlink("/etc/passwd", folder_ / "source/link");
    fs::create_hard_link(folder_ / "source/big", folder_ / "source/hard");
    chmod((folder_ / "source/odd\n\xff").c_str(), 0640);
    repository_ = Open("secret");
    ASSERT_TRUE(repository_->Init(nullptr).ok());
  }

  std::unique_ptr<Repository> Open(const std::string& password) {
    auto opened =
        OpenResticRepository({.url = folder_ / "repository", .password = SecretString(password)},
                             {.state_folder = folder_ / "state", .lock_wait = absl::Seconds(5)});
    EXPECT_TRUE(opened.ok()) << opened.status();
    return std::move(*opened);
  }

  absl::StatusOr<BackupResult> Backup(const std::string& id) {
    return repository_->Backup({.folder = folder_ / "source",
                                .identity = {"fleet", "acme", id},
                                .host = "h1",
                                .time = absl::FromUnixSeconds(1777000000)},
                               nullptr, nullptr);
  }

  // Runs restic and kills it as soon as it holds its lock, which so stays.
  bool LeavesALock(const std::string& command) {
    WriteFile(folder_ / "password", "secret");
    return Shell("cd " + folder_.path() + R"sh( && for i in 1 2 3 4 5 6 7 8 9 10; do
        restic -r repository --password-file password --no-cache )sh" +
                 command + R"sh( >/dev/null 2>&1 & pid=$!
        until [ -n "$(ls repository/locks)" ] || ! kill -0 $pid 2>/dev/null; do :; done
        kill -9 $pid 2>/dev/null; wait $pid
        [ -n "$(ls repository/locks)" ] && exit 0
      done; exit 1)sh") == 0;
  }

  TempFolder folder_;
  SeededRandom random_{1};
  std::unique_ptr<Repository> repository_;
};

TEST_F(LocalRepository, OpensWithoutWorkAlsoByHand) {
  const std::string only_key =
      R"sh(/repository/keys && [ "$(ls | wc -l)" = 1 ] && grep -q '"N":2,' *)sh";
  EXPECT_EQ(Shell("cd " + folder_.path() + only_key), 0);
  WriteFile(folder_ / "password", "secret");
  EXPECT_EQ(Shell("cd " + folder_.path() +
                  " && restic -r repository --password-file password --no-cache check"),
            0);
}

// As the death of an agent leaves it: a shared lock, and an exclusive one.
TEST_F(LocalRepository, TheLockOfAKilledOneBlocksNobody) {
  const auto first = Backup("b1");
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(LeavesALock("backup source"));
  EXPECT_TRUE(repository_->Check(/*read_data=*/false, nullptr).ok());
  ASSERT_TRUE(LeavesALock("check"));
  const auto second = Backup("b2");
  EXPECT_TRUE(second.ok()) << second.status();
  ASSERT_TRUE(LeavesALock("check"));
  EXPECT_TRUE(repository_->Forget({first->snapshot}, nullptr).ok());
  ASSERT_TRUE(LeavesALock("backup source"));
  const auto freed = repository_->Prune(/*dry_run=*/false, nullptr);
  EXPECT_TRUE(freed.ok()) << freed.status();
}

TEST_F(LocalRepository, CountsItsSnapshots) {
  EXPECT_EQ(repository_->Stats(nullptr)->snapshots, 0);
  ASSERT_TRUE(Backup("b1").ok());
  ASSERT_TRUE(Backup("b2").ok());
  EXPECT_EQ(repository_->Stats(nullptr)->snapshots, 2);
}

TEST_F(LocalRepository, IsMadeOnceAndOpensOnlyWithItsPassword) {
  EXPECT_TRUE(repository_->Init(nullptr).ok());
  EXPECT_EQ(Open("other")->Init(nullptr).code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(LocalRepository, RestoresWhatWasBackedUp) {
  const auto backup = Backup("b1");
  ASSERT_TRUE(backup.ok()) << backup.status();
  fs::create_directory(folder_ / "out");
  ASSERT_TRUE(repository_->Restore(backup->snapshot, folder_ / "out", nullptr).ok());
  const std::string list =
      " && find . -printf '%P %y %m %U %G %n %l %T@ %s\\n' | grep -v '^ ' | sort";
  std::string before, after;
  // Sizes of folders are the file system's own affair; on one file system they are equal.
  Shell("cd " + folder_ / "source" + list, &before);
  Shell("cd " + folder_ / "out" + list, &after);
  EXPECT_EQ(before, after);
  EXPECT_EQ(Shell("diff -r --no-dereference " + folder_ / "source" + " " + folder_ / "out"), 0);
}

TEST_F(LocalRepository, KeepsOneSnapshotOfOneIdentity) {
  const auto first = Backup("b1");
  ASSERT_TRUE(first.ok()) << first.status();
  const auto again = Backup("b1");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_LT(again->bytes_added, 10000);
  EXPECT_EQ(repository_->List("fleet", "acme", nullptr)->size(), 1U);
  const auto second = Backup("b2");
  ASSERT_TRUE(second.ok());
  EXPECT_LT(second->bytes_added, 10000);
}

// As a backup whose agent died after it had stored the first copy: of as many bytes, and others.
TEST_F(LocalRepository, KeepsTheLastCopyOfOneIdentity) {
  WriteFile(folder_ / "source/said", "first");
  ASSERT_TRUE(Backup("b1").ok());
  WriteFile(folder_ / "source/said", "later");
  const auto again = Backup("b1");
  ASSERT_TRUE(again.ok()) << again.status();
  fs::create_directory(folder_ / "out");
  ASSERT_TRUE(repository_->Restore(again->snapshot, folder_ / "out", nullptr).ok());
  EXPECT_EQ(Shell("grep -qx later " + folder_ / "out/said"), 0);
}

TEST_F(LocalRepository, NeverTakesDamagedDataForGood) {
  const auto backup = Backup("b1");
  ASSERT_TRUE(backup.ok());
  std::vector<std::string> files;
  for (const char* part : {"data", "index", "snapshots", "keys"})
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "repository/" + part))
      if (entry.is_regular_file()) files.push_back(entry.path());
  int detected = 0;
  for (int i = 0; i < 24; ++i) {
    const std::string& path = files[random_.Below(files.size())];
    std::ifstream in(path, std::ios::binary);
    const std::string whole((std::istreambuf_iterator<char>(in)), {});
    std::string broken = whole;
    const size_t at = random_.Below(whole.size());
    if (random_.Chance(250))
      broken.resize(at);
    else
      broken[at] = static_cast<char>(broken[at] ^ (1 << random_.Below(8)));
    fs::permissions(path, fs::perms::owner_all);
    WriteFile(path, broken);
    const std::string out = folder_ / absl::StrCat("out-", i);
    fs::create_directory(out);
    const absl::Status restored = repository_->Restore(backup->snapshot, out, nullptr);
    if (restored.ok()) {
      EXPECT_EQ(Shell("diff -r --no-dereference " + folder_ / "source" + " " + out), 0)
          << path << " at " << at;
    } else {
      ++detected;
    }
    fs::remove_all(out);
    WriteFile(path, whole);
  }
  EXPECT_GT(detected, 0);
  EXPECT_TRUE(repository_->Check(/*read_data=*/true, nullptr).ok());
}

// restic itself would read it again and again for 15 minutes.
TEST_F(LocalRepository, AFileThatWasCutShortIsToldOfAtOnce) {
  const auto backup = Backup("b1");
  ASSERT_TRUE(backup.ok());
  std::string largest;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "repository/data")) {
    if (entry.is_regular_file() && (largest.empty() || entry.file_size() > fs::file_size(largest)))
      largest = entry.path();
  }
  fs::permissions(largest, fs::perms::owner_all);
  const auto hasty =
      OpenResticRepository({.url = folder_ / "repository", .password = SecretString("secret")},
                           {.state_folder = folder_ / "state", .long_deadline = absl::Minutes(2)});
  ASSERT_TRUE(hasty.ok()) << hasty.status();
  // In the middle of what is read, and before it.
  for (const uintmax_t size : {fs::file_size(largest) / 2, uintmax_t{1}}) {
    fs::resize_file(largest, size);
    fs::remove_all(folder_ / "out");
    fs::create_directory(folder_ / "out");
    const absl::Status restored = (*hasty)->Restore(backup->snapshot, folder_ / "out", nullptr);
    EXPECT_TRUE(absl::IsDataLoss(restored)) << restored;
    EXPECT_NE(restored.message().find("EOF"), absl::string_view::npos) << restored;
    EXPECT_EQ(restored.message().find("retrying"), absl::string_view::npos) << restored;
    EXPECT_EQ(Shell("ls " + folder_ / "repository/locks" + " | grep ."), 1) << "a lock is left";
  }
}

TEST_F(LocalRepository, ADamagedKeyFileIsToldOf) {
  const std::string key = fs::directory_iterator(folder_ / "repository/keys")->path();
  fs::permissions(key, fs::perms::owner_all);
  const std::string whole = ReadFile(key, 4096).value_or("");
  const auto replaced = [&](const std::string& what, const std::string& by) {
    std::string damaged = whole;
    damaged.replace(damaged.find(what), what.size(), by);
    return damaged;
  };
  for (const std::string& damaged :
       {whole.substr(0, whole.size() / 2), replaced("\"N\":2", "\"N\":3"),
        replaced("scrypt", "script"), replaced("\"data\"", "\"date\""), replaced("==", "=!")}) {
    WriteFile(key, damaged);
    const auto stats = repository_->Stats(nullptr);
    EXPECT_TRUE(absl::IsDataLoss(stats.status())) << damaged << "\n" << stats.status();
    EXPECT_EQ(stats.status().message().find('\n'), absl::string_view::npos) << stats.status();
  }
  WriteFile(key, whole);
  EXPECT_TRUE(repository_->Stats(nullptr).ok());
}

TEST_F(LocalRepository, ForgetsAndPrunes) {
  const auto backup = Backup("b1");
  ASSERT_TRUE(backup.ok());
  ASSERT_TRUE(repository_->Forget({backup->snapshot}, nullptr).ok());
  EXPECT_EQ(repository_->Find({"fleet", "acme", "b1"}, nullptr).status().code(),
            absl::StatusCode::kNotFound);
  const auto freed = repository_->Prune(/*dry_run=*/false, nullptr);
  ASSERT_TRUE(freed.ok()) << freed.status();
  EXPECT_GT(*freed, 1 << 20);
}

}  // namespace
}  // namespace mtp
