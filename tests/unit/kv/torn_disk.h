// A disk that tears, for SQLite: it remembers what was written and not yet synced, and makes files
// as a power cut at this moment may leave them.
//
// What it takes from a write is what SQLite expects of disks at worst, no more
// (https://www.sqlite.org/psow.html and atomiccommit.html): of what was not synced, any sectors of
// 512 bytes reach the disk, in any order, of some only the first bytes; a file grows without its
// content, which is zeros then; a file that was made or removed since is there or not. Bytes beside
// those written, and what was synced, stay as they are.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/seeded_random.h"

namespace mtp::kv {

// Not thread-safe: the store that it tears, and what `on_event` opens, are used on one thread.
class TornDisk {
 public:
  // While it lives, files beneath `folder` that SQLite opens are torn. Those elsewhere are as ever,
  // but for syncs: nobody cuts their power, so no real disk is waited for. One at a time.
  explicit TornDisk(std::string folder);
  ~TornDisk();
  TornDisk(const TornDisk&) = delete;
  TornDisk& operator=(const TornDisk&) = delete;

  // Called after each write, truncation and removal, before and after each sync.
  std::function<void()> on_event;
  // A planted defect: syncs do nothing.
  bool lies = false;

  // Whether something of the file with that name was written and not yet synced.
  bool IsUnsynced(const std::string& name) const;

  // Makes the files anew in `target`, which exists and is empty, as a cut right now may leave them.
  void Cut(mtp::testing::SeededRandom& random, const std::string& target) const;

 private:
  struct Change {
    uint64_t offset = 0;
    std::string bytes;
    bool truncates = false;  // To `offset`.
  };
  struct File {
    std::string durable;
    std::vector<Change> pending;
    bool exists = false;
    // Made, removed or both since its folder was synced: it may be absent, or as it was `before`.
    bool is_settled = false;
    std::optional<std::string> before;
  };
  struct Handle;
  template <auto kMethod>
  struct Forward;

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out);
  static int Delete(sqlite3_vfs* vfs, const char* name, int sync_folder);
  static const sqlite3_io_methods& Methods();

  File* Tracked(const char* name);
  void SyncFolder();
  // Nothing when it is absent.
  static std::optional<std::string> AfterCut(mtp::testing::SeededRandom& random, const File& file);
  void Happened() const {
    if (on_event) on_event();
  }

  const std::string folder_;
  sqlite3_vfs* const real_;
  sqlite3_vfs vfs_;
  std::map<std::string, File> files_;
};

}  // namespace mtp::kv
