#include "tests/unit/kv/torn_disk.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

namespace mtp::kv {

using mtp::testing::SeededRandom;

namespace {

constexpr uint64_t kSector = 512;
constexpr char kName[] = "torn";

void WriteAt(std::string* content, uint64_t offset, absl::string_view bytes) {
  if (content->size() < offset + bytes.size()) content->resize(offset + bytes.size(), '\0');
  std::copy(bytes.begin(), bytes.end(), content->begin() + static_cast<int64_t>(offset));
}

std::string ReadWhole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Which of what was not synced reaches the disk.
struct Luck {
  explicit Luck(SeededRandom& random)
      : reaches(random.Below(5) * 250),
        tears(random.Chance(500) ? 100 : 0),
        grows(random.Chance(250)) {}
  // Of 1,000 sectors.
  const uint64_t reaches;
  const uint64_t tears;
  const bool grows;
};

void WriteTorn(SeededRandom& random, const Luck& luck, uint64_t offset, absl::string_view bytes,
               std::string* content) {
  while (!bytes.empty()) {
    const absl::string_view sector = bytes.substr(0, kSector - offset % kSector);
    size_t kept = random.Chance(luck.reaches) ? sector.size() : 0;
    if (kept > 0 && random.Chance(luck.tears)) kept = random.Below(kept);
    if (kept > 0) WriteAt(content, offset, sector.substr(0, kept));
    offset += sector.size();
    bytes.remove_prefix(sector.size());
  }
}

}  // namespace

// SQLite gives room for one; the real file follows it.
struct TornDisk::Handle {
  sqlite3_file base;
  TornDisk* disk;
  File* state;  // Null when not torn.

  static Handle& Of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }
  static sqlite3_file* Real(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(&Of(file) + 1);
  }
};

// A call that goes on to the real file as it is.
template <typename Result, typename... Arguments,
          Result (*sqlite3_io_methods::*kMethod)(sqlite3_file*, Arguments...)>
struct TornDisk::Forward<kMethod> {
  static Result Call(sqlite3_file* file, Arguments... arguments) {
    sqlite3_file* const real = Handle::Real(file);
    return (real->pMethods->*kMethod)(real, arguments...);
  }
};

TornDisk::TornDisk(std::string folder)
    : folder_(std::move(folder)), real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
  vfs_.zName = kName;
  vfs_.pNext = nullptr;
  vfs_.pAppData = this;
  vfs_.szOsFile = static_cast<int>(sizeof(Handle)) + real_->szOsFile;
  vfs_.xOpen = Open;
  vfs_.xDelete = Delete;
  sqlite3_vfs_register(&vfs_, /*makeDflt=*/1);
}

TornDisk::~TornDisk() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(real_, /*makeDflt=*/1);
}

TornDisk::File* TornDisk::Tracked(const char* name) {
  if (name == nullptr || !absl::StartsWith(name, folder_ + "/")) return nullptr;
  return &files_[name];
}

void TornDisk::SyncFolder() {
  for (auto& [path, file] : files_) {
    file.is_settled = true;
    file.before.reset();
  }
}

int TornDisk::Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
  auto* disk = static_cast<TornDisk*>(vfs->pAppData);
  const bool is_new = name != nullptr && access(name, F_OK) != 0;
  const bool is_known = name != nullptr && disk->files_.count(name) > 0;
  auto& handle = Handle::Of(file);
  handle = {};
  sqlite3_file* const real = Handle::Real(file);
  const int result = disk->real_->xOpen(disk->real_, name, real, flags, out);
  if (real->pMethods == nullptr) return result;
  handle.base.pMethods = &Methods();
  handle.disk = disk;
  handle.state = disk->Tracked(name);
  if (handle.state == nullptr) return result;
  handle.state->exists = true;
  // What stood there before the disk began to tear is whole.
  if (!is_new && !is_known) {
    handle.state->durable = ReadWhole(name);
    handle.state->is_settled = true;
  }
  return result;
}

int TornDisk::Delete(sqlite3_vfs* vfs, const char* name, int sync_folder) {
  auto* disk = static_cast<TornDisk*>(vfs->pAppData);
  const int result = disk->real_->xDelete(disk->real_, name, sync_folder);
  const auto file = disk->files_.find(name);
  if (result != SQLITE_OK || file == disk->files_.end()) return result;
  File removed;
  removed.before =
      file->second.is_settled ? std::move(file->second.durable) : std::move(file->second.before);
  file->second = std::move(removed);
  if (sync_folder != 0 && !disk->lies) disk->SyncFolder();
  disk->Happened();
  return result;
}

const sqlite3_io_methods& TornDisk::Methods() {
  static const sqlite3_io_methods methods = {
      .iVersion = 2,
      .xClose = Forward<&sqlite3_io_methods::xClose>::Call,
      .xRead = Forward<&sqlite3_io_methods::xRead>::Call,
      .xWrite =
          [](sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
            sqlite3_file* const real = Handle::Real(file);
            const int result = real->pMethods->xWrite(real, from, size, offset);
            const Handle& handle = Handle::Of(file);
            if (result != SQLITE_OK || handle.state == nullptr) return result;
            handle.state->pending.push_back(
                {static_cast<uint64_t>(offset),
                 std::string(static_cast<const char*>(from), static_cast<size_t>(size))});
            handle.disk->Happened();
            return result;
          },
      .xTruncate =
          [](sqlite3_file* file, sqlite3_int64 size) {
            sqlite3_file* const real = Handle::Real(file);
            const int result = real->pMethods->xTruncate(real, size);
            const Handle& handle = Handle::Of(file);
            if (result != SQLITE_OK || handle.state == nullptr) return result;
            handle.state->pending.push_back(
                {.offset = static_cast<uint64_t>(size), .truncates = true});
            handle.disk->Happened();
            return result;
          },
      .xSync =
          [](sqlite3_file* file, int /*flags*/) {
            const Handle& handle = Handle::Of(file);
            if (handle.state == nullptr) return SQLITE_OK;
            handle.disk->Happened();
            if (handle.disk->lies) return SQLITE_OK;
            for (const Change& change : std::exchange(handle.state->pending, {})) {
              if (change.truncates) {
                handle.state->durable.resize(change.offset, '\0');
              } else {
                WriteAt(&handle.state->durable, change.offset, change.bytes);
              }
            }
            // SQLite's first sync of a file that it has made is one of its folder, too.
            if (!handle.state->is_settled) handle.disk->SyncFolder();
            handle.disk->Happened();
            return SQLITE_OK;
          },
      .xFileSize = Forward<&sqlite3_io_methods::xFileSize>::Call,
      .xLock = Forward<&sqlite3_io_methods::xLock>::Call,
      .xUnlock = Forward<&sqlite3_io_methods::xUnlock>::Call,
      .xCheckReservedLock = Forward<&sqlite3_io_methods::xCheckReservedLock>::Call,
      .xFileControl = Forward<&sqlite3_io_methods::xFileControl>::Call,
      .xSectorSize = Forward<&sqlite3_io_methods::xSectorSize>::Call,
      .xDeviceCharacteristics = Forward<&sqlite3_io_methods::xDeviceCharacteristics>::Call,
      .xShmMap = Forward<&sqlite3_io_methods::xShmMap>::Call,
      .xShmLock = Forward<&sqlite3_io_methods::xShmLock>::Call,
      .xShmBarrier = Forward<&sqlite3_io_methods::xShmBarrier>::Call,
      .xShmUnmap = Forward<&sqlite3_io_methods::xShmUnmap>::Call,
      .xFetch = nullptr,
      .xUnfetch = nullptr,
  };
  return methods;
}

bool TornDisk::IsUnsynced(const std::string& name) const {
  const auto file = files_.find(folder_ + "/" + name);
  return file != files_.end() && !file->second.pending.empty();
}

std::optional<std::string> TornDisk::AfterCut(SeededRandom& random, const File& file) {
  if (!file.is_settled && random.Chance(500)) return file.before;
  if (!file.exists) return std::nullopt;
  const Luck luck(random);
  std::string content = file.durable;
  uint64_t whole = content.size();
  for (const Change& change : file.pending) {
    if (!change.truncates) {
      WriteTorn(random, luck, change.offset, change.bytes, &content);
      whole = std::max(whole, change.offset + change.bytes.size());
    } else if (random.Chance(luck.reaches)) {
      content.resize(change.offset, '\0');
    }
  }
  if (luck.grows && content.size() < whole) content.resize(whole, '\0');
  return content;
}

void TornDisk::Cut(SeededRandom& random, const std::string& target) const {
  for (const auto& [path, file] : files_) {
    const std::optional<std::string> content = AfterCut(random, file);
    if (!content) continue;
    const std::string name = std::filesystem::path(path).filename();
    std::ofstream(absl::StrCat(target, "/", name), std::ios::binary) << *content;
    // The log's index is memory of a process that is gone.
    if (absl::EndsWith(name, "-wal") && random.Chance(500)) {
      const std::string index = name.substr(0, name.size() - 4) + "-shm";
      std::ofstream(absl::StrCat(target, "/", index), std::ios::binary) << random.Bytes(32 << 10);
    }
  }
}

}  // namespace mtp::kv
