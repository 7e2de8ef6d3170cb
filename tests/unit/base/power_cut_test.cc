// Whatever part of a file's replacement a power cut leaves, the file is the old one or the new one,
// and the new one once the call has returned. The program is linked so that these calls of the C
// library come here first; what they may leave is tried out in full, by what POSIX promises and no
// more: any part of what was not synced, names and contents each for themselves.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/atomic_file.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using ::testing::Contains;
using ::testing::IsSubsetOf;

// A folder and what is in it, as calls change it. Folders within are files without content.
class Disk {
 public:
  explicit Disk(std::string folder) : folder_(std::move(folder)) { active = this; }
  ~Disk() { active = nullptr; }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  static Disk* active;
  std::function<void()> on_event;
  int events = 0;

  void Opened(int fd, const std::string& path, int flags) {
    if (fd < 0) return;
    if (path != folder_ && !IsBeneath(path)) return;
    if ((flags & O_DIRECTORY) != 0) {
      folders_[fd] = path;
      return;
    }
    auto& file = names_[path];
    if (file == nullptr) Make(path);
    if ((flags & O_TRUNC) != 0) file->content.clear();
    files_[fd] = file;
    Happened();
  }
  void MadeFolder(const std::string& path) {
    if (!IsBeneath(path)) return;
    Make(path);
    Happened();
  }
  void Wrote(int fd, const std::string& bytes) {
    if (files_.count(fd) == 0) return;
    files_[fd]->content += bytes;
    Happened();
  }
  void Synced(int fd) {
    if (files_.count(fd) > 0) {
      files_[fd]->durable = files_[fd]->content;
    } else if (folders_.count(fd) > 0) {
      std::vector<Change> others;
      for (Change& change : pending_) {
        if (change.folder == folders_[fd]) {
          change.apply(durable_);
        } else {
          others.push_back(std::move(change));
        }
      }
      pending_ = std::move(others);
    } else {
      return;
    }
    Happened();
  }
  void Renamed(const std::string& from, const std::string& to) {
    const auto file = names_.find(from);
    if (file == names_.end()) return;
    pending_.push_back({FolderOf(to), [from, to, moved = file->second](Names& names) {
                          names.erase(from);
                          names[to] = moved;
                        }});
    names_[to] = file->second;
    names_.erase(from);
    Happened();
  }
  void Removed(const std::string& path) {
    if (names_.erase(path) == 0) return;
    pending_.push_back({FolderOf(path), [path](Names& names) { names.erase(path); }});
    Happened();
  }
  void Closed(int fd) {
    files_.erase(fd);
    folders_.erase(fd);
  }

  // What may stand at the path after a cut; nothing when it may be absent.
  std::set<std::optional<std::string>> After(const std::string& path) const {
    std::set<std::optional<std::string>> found;
    for (size_t kept = 0; kept < size_t{1} << pending_.size(); ++kept) {
      Names names = durable_;
      for (size_t i = 0; i < pending_.size(); ++i) {
        if ((kept >> i & 1) != 0) pending_[i].apply(names);
      }
      const auto file = names.find(path);
      if (file == names.end() || !IsReached(names, path)) {
        found.insert(std::nullopt);
        continue;
      }
      const auto& [durable, content] = *file->second;
      found.insert(durable);
      found.insert(content);
      if (durable == content) continue;
      found.insert(content.substr(0, content.size() / 2));
      found.insert(std::string(content.size(), '\0'));
    }
    return found;
  }

 private:
  struct File {
    std::string durable;
    std::string content;
  };
  using Names = std::map<std::string, std::shared_ptr<File>>;
  struct Change {
    std::string folder;  // Whose sync makes it durable.
    std::function<void(Names&)> apply;
  };

  bool IsBeneath(const std::string& path) const { return path.rfind(folder_ + "/", 0) == 0; }
  bool IsReached(const Names& names, const std::string& path) const {
    const std::string folder = FolderOf(path);
    return folder == folder_ || (names.count(folder) > 0 && IsReached(names, folder));
  }
  void Make(const std::string& path) {
    auto file = std::make_shared<File>();
    names_[path] = file;
    pending_.push_back({FolderOf(path), [path, file](Names& names) { names[path] = file; }});
  }
  void Happened() {
    ++events;
    if (on_event) on_event();
  }

  const std::string folder_;
  Names durable_;
  Names names_;
  std::vector<Change> pending_;
  std::map<int, std::shared_ptr<File>> files_;
  std::map<int, std::string> folders_;
};

Disk* Disk::active = nullptr;

}  // namespace
}  // namespace mtp

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the linker's names.
extern "C" {
int __real_open(const char* path, int flags, ...);
ssize_t __real_write(int fd, const void* bytes, size_t size);
int __real_fsync(int fd);
int __real_rename(const char* from, const char* to);
int __real_unlink(const char* path);
int __real_mkdir(const char* path, mode_t mode);
int __real_close(int fd);

// Its callers give the mode only where it counts, in the same register.
int __wrap_open(const char* path, int flags, mode_t mode) {
  const int fd = __real_open(path, flags, mode);
  if (mtp::Disk::active != nullptr) mtp::Disk::active->Opened(fd, path, flags);
  return fd;
}
ssize_t __wrap_write(int fd, const void* bytes, size_t size) {
  const ssize_t written = __real_write(fd, bytes, size);
  if (mtp::Disk::active != nullptr && written > 0) {
    mtp::Disk::active->Wrote(
        fd, std::string(static_cast<const char*>(bytes), static_cast<size_t>(written)));
  }
  return written;
}
int __wrap_fsync(int fd) {
  const int result = __real_fsync(fd);
  if (mtp::Disk::active != nullptr && result == 0) mtp::Disk::active->Synced(fd);
  return result;
}
int __wrap_rename(const char* from, const char* to) {
  const int result = __real_rename(from, to);
  if (mtp::Disk::active != nullptr && result == 0) mtp::Disk::active->Renamed(from, to);
  return result;
}
int __wrap_unlink(const char* path) {
  const int result = __real_unlink(path);
  if (mtp::Disk::active != nullptr && result == 0) mtp::Disk::active->Removed(path);
  return result;
}
int __wrap_mkdir(const char* path, mode_t mode) {
  const int result = __real_mkdir(path, mode);
  if (mtp::Disk::active != nullptr && result == 0) mtp::Disk::active->MadeFolder(path);
  return result;
}
int __wrap_close(int fd) {
  if (mtp::Disk::active != nullptr) mtp::Disk::active->Closed(fd);
  return __real_close(fd);
}
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace mtp {
namespace {

using MayStand = std::set<std::optional<std::string>>;

// What cuts may leave while `write` replaces "old" by "new", and once it has returned.
struct Left {
  MayStand meanwhile;
  MayStand afterwards;
};

template <typename Write>
Left CutWhile(Write write, bool is_there = true) {
  const testing::TempFolder folder;
  const std::string path = folder / "file";
  Disk disk(folder.path());
  if (is_there) {
    EXPECT_TRUE(WriteFileAtomically(path, "old", 0600).ok());
  }
  EXPECT_EQ(disk.After(path), (is_there ? MayStand{"old"} : MayStand{std::nullopt}));
  Left left;
  disk.events = 0;
  disk.on_event = [&] { left.meanwhile.merge(disk.After(path)); };
  write(path);
  EXPECT_GE(disk.events, 2) << "its calls do not come here";
  left.afterwards = disk.After(path);
  return left;
}

void WriteHow(const std::string& path, int flags, bool syncs) {
  const int fd = open(path.c_str(), flags, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(write(fd, "new", 3), 3);
  if (syncs) {
    ASSERT_EQ(fsync(fd), 0);
  }
  close(fd);
}

TEST(PowerCut, LeavesTheOldFileOrTheNewOne) {
  const Left left = CutWhile(
      [](const std::string& path) { ASSERT_TRUE(WriteFileAtomically(path, "new", 0600).ok()); });
  EXPECT_THAT(left.meanwhile, IsSubsetOf(MayStand{"old", "new"}));
  EXPECT_EQ(left.afterwards, MayStand{"new"});
}

TEST(PowerCut, LeavesAWholeFileOrNoneWhereThereWasNone) {
  const Left left = CutWhile(
      [](const std::string& path) { ASSERT_TRUE(WriteFileAtomically(path, "new", 0600).ok()); },
      /*is_there=*/false);
  EXPECT_THAT(left.meanwhile, IsSubsetOf(MayStand{std::nullopt, "new"}));
  EXPECT_EQ(left.afterwards, MayStand{"new"});
}

TEST(PowerCut, LeavesFoldersThatWereMade) {
  const testing::TempFolder folder;
  Disk disk(folder.path());
  ASSERT_TRUE(MakeFolders(folder / "a/b/c", 0700).ok());
  EXPECT_EQ(disk.After(folder / "a/b/c"), MayStand{""});
  // One that another has just made may not be on the disk yet.
  ASSERT_EQ(mkdir((folder / "a/d").c_str(), 0700), 0);
  EXPECT_EQ(disk.After(folder / "a/d"), (MayStand{"", std::nullopt}));
}

// The check itself: ways to write a file that a cut breaks.
TEST(PowerCut, OfWhatIsWrittenInPlaceIsNoticed) {
  const Left left = CutWhile([](const std::string& path) {
    WriteHow(path, O_WRONLY | O_TRUNC | O_CLOEXEC, /*syncs=*/true);
  });
  EXPECT_THAT(left.meanwhile, Contains(""));
}

TEST(PowerCut, OfWhatIsRenamedWithoutASyncIsNoticed) {
  const Left left = CutWhile([](const std::string& path) {
    WriteHow(path + ".new", O_WRONLY | O_CREAT | O_CLOEXEC, /*syncs=*/false);
    ASSERT_EQ(rename((path + ".new").c_str(), path.c_str()), 0);
    ASSERT_TRUE(SyncFolder(FolderOf(path)).ok());
  });
  EXPECT_THAT(left.afterwards, Contains(""));
  EXPECT_THAT(left.afterwards, Contains(std::string(3, '\0')));
}

TEST(PowerCut, OfAFolderThatIsNotSyncedIsNoticed) {
  const Left left = CutWhile([](const std::string& path) {
    WriteHow(path + ".new", O_WRONLY | O_CREAT | O_CLOEXEC, /*syncs=*/true);
    ASSERT_EQ(rename((path + ".new").c_str(), path.c_str()), 0);
  });
  EXPECT_EQ(left.afterwards, (MayStand{"old", "new"}));
}

}  // namespace
}  // namespace mtp
