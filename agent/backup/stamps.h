// By what a changed entry of a client's folder is recognised without reading it.
#pragma once

#include <absl/container/btree_map.h>
#include <sys/stat.h>

#include <cstdint>
#include <optional>

namespace mtp {

// Of the original, as it was when it was read. 40 bytes: there is one for each entry.
struct Stamp {
  uint64_t inode = 0;
  int64_t ctime_ns = 0;
  int64_t size = 0;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  // Whether it may have changed since without another stamp.
  bool racy = false;

  static int64_t CtimeNs(const struct stat& info) {
    return static_cast<int64_t>(info.st_ctim.tv_sec) * 1'000'000'000 + info.st_ctim.tv_nsec;
  }
  static Stamp Of(const struct stat& info) {
    return {info.st_ino, CtimeNs(info), info.st_size, info.st_mode, info.st_uid, info.st_gid};
  }
  // The ctime says that neither content nor attributes changed; nobody can set it.
  bool Matches(const struct stat& info) const {
    return inode == info.st_ino && ctime_ns == CtimeNs(info) && size == info.st_size &&
           mode == info.st_mode && uid == info.st_uid && gid == info.st_gid;
  }
};

// Stamps of originals by the inode of their copy: copies are ours, so a client cannot make two that
// are taken for one, and no path has to be kept. Not thread-safe.
class StampTable {
 public:
  // A copy: the table moves its stamps with each change.
  std::optional<Stamp> Find(uint64_t copy_inode) const {
    const auto found = stamps_.find(copy_inode);
    return found == stamps_.end() ? std::nullopt : std::optional(found->second);
  }
  void Put(uint64_t copy_inode, const Stamp& stamp) { stamps_[copy_inode] = stamp; }
  // Before the copy is changed: one that is left half changed is not known.
  void Forget(uint64_t copy_inode) { stamps_.erase(copy_inode); }

 private:
  absl::btree_map<uint64_t, Stamp> stamps_;
};

}  // namespace mtp
