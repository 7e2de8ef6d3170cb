#include "agent/backup/tree_manifest.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/unit/agent/scratch_folder.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class TreeManifest : public ::testing::Test {
 protected:
  TreeManifest() {
    Write("a", "in a folder's name's way");
    Write("a.b/file", "content");
    Write("d/x/deep", "deep");
    Write("d-e", "sorts between");
    Write("two\nlines \xff", "odd");
    fs::create_symlink("a", folder_ / "tree/link");
    fs::create_hard_link(folder_ / "tree/a", folder_ / "tree/z");
    for (int i = 0; i < 3000; ++i) Write("many/f" + std::to_string(i), std::to_string(i));
    Write("big", std::string(3 << 20, 'x'));
    Describe();
  }
  void Write(const std::string& name, const std::string& content) {
    folder_.Write("tree/" + name, content);
  }
  void Describe() {
    end_ = WriteTreeManifest(folder_ / "tree", {{"fifo", "a fifo"}}, {}, folder_ / "manifest", {});
    ASSERT_TRUE(end_.ok()) << end_.status();
  }
  absl::Status Compare() { return CompareWithTree(folder_ / "tree", folder_ / "manifest", {}, {}); }
  void ExpectDifference(const std::string& words) {
    const absl::Status status = Compare();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  }

  testing::ScratchFolder folder_;
  absl::StatusOr<ManifestEnd> end_;
};

TEST_F(TreeManifest, HoldsForTheTreeItDescribes) {
  EXPECT_EQ(end_->files, 3007);
  EXPECT_EQ(end_->skipped, 1);
  EXPECT_TRUE(Compare().ok()) << Compare();
  EXPECT_FALSE(fs::exists(folder_ / "manifest.partial"));
  // As sha256sum says of `content`.
  EXPECT_THAT(folder_.Read("manifest"),
              HasSubstr("ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"));
}

TEST_F(TreeManifest, NamesWhatIsMissingOrExtra) {
  fs::remove(folder_ / "tree/d/x/deep");
  Describe();
  // The folder's own time would tell first.
  const auto before = fs::last_write_time(folder_ / "tree/d/x");
  Write("d/x/deep", "deep");
  fs::last_write_time(folder_ / "tree/d/x", before);
  ExpectDifference("d/x/deep is not in the manifest");
  Describe();
  fs::remove(folder_ / "tree/z");
  ExpectDifference("z is missing");
  Describe();
  fs::remove(folder_ / "tree/d-e");
  ExpectDifference("d-e is missing");
}

TEST_F(TreeManifest, NamesWhatDiffers) {
  const std::string path = folder_ / "tree/d/x/deep";
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  const timespec times[2] = {info.st_atim, info.st_mtim};
  Write("d/x/deep", "DEEP");
  utimensat(AT_FDCWD, path.c_str(), times, 0);
  ExpectDifference("d/x/deep has another content");
  Write("d/x/deep", "deep");
  utimensat(AT_FDCWD, path.c_str(), times, 0);
  ASSERT_TRUE(Compare().ok()) << Compare();

  chmod(path.c_str(), 0600);
  ExpectDifference("d/x/deep has the mode 0600");
  chmod(path.c_str(), info.st_mode & 07777);
  ASSERT_EQ(chown(path.c_str(), 1000, 0), 0);
  ExpectDifference("d/x/deep belongs to 1000:0");
  ASSERT_EQ(chown(path.c_str(), info.st_uid, info.st_gid), 0);
  const timespec later[2] = {info.st_atim,
                             {info.st_mtim.tv_sec, (info.st_mtim.tv_nsec + 1) % 1000}};
  utimensat(AT_FDCWD, path.c_str(), later, 0);
  ExpectDifference("d/x/deep has another modification time");
}

TEST_F(TreeManifest, IsRefusedWhenItIsCutShort) {
  const std::string whole = folder_.Read("manifest");
  for (const size_t size : {size_t{0}, size_t{30}, whole.size() / 2, whole.size() - 40}) {
    folder_.Write("manifest", whole.substr(0, size));
    EXPECT_TRUE(absl::IsDataLoss(Compare())) << size << " " << Compare();
  }
  fs::remove(folder_ / "manifest");
  EXPECT_TRUE(absl::IsNotFound(Compare()));
}

TEST_F(TreeManifest, ReadsNoHoles) {
  ASSERT_EQ(truncate((folder_ / "tree/big").c_str(), int64_t{1} << 30), 0);
  Describe();
  EXPECT_TRUE(Compare().ok()) << Compare();
}

}  // namespace
}  // namespace mtp
