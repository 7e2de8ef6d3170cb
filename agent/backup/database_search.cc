#include "agent/backup/database_search.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "agent/backup/beneath.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// https://www.sqlite.org/fileformat2.html, sections 1.3, 3 and 4.1: the first bytes.
constexpr absl::string_view kMainMagic("SQLite format 3\0", 16);
constexpr absl::string_view kWalMagic = "\x37\x7f\x06";  // then 0x82 or 0x83
constexpr absl::string_view kJournalMagic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
// Of what cannot be read, only the name tells.
constexpr absl::string_view kNameEnds[] = {".db", ".sqlite", ".sqlite3"};
constexpr absl::string_view kCompanions[] = {"-wal", "-journal", "-shm"};

bool IsUnreadable(int error) { return error == EACCES || error == EPERM; }
// Gone, or not what it was: nobody else should be here, but a client's tree proves nothing.
bool IsNoMatter(int error) {
  return error == ENOENT || error == ELOOP || error == EXDEV || error == ENXIO || error == ENOTDIR;
}

class Search {
 public:
  Search(const DatabaseSearchLimits& limits,
         const std::function<absl::Status(const FoundDatabase&)>& take)
      : limits_(limits), take_(take) {}

  absl::Status Visit(int folder, const std::string& path, int depth) {
    const auto names = ListFolder(folder, static_cast<size_t>(limits_.max_entries - entries_));
    if (!names.ok()) return names.status();
    entries_ += static_cast<int64_t>(names->size());
    std::vector<std::string> taken;  // Sorted, as the names are.
    for (const std::string& name : *names) {
      struct stat info {};
      if (fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISDIR(info.st_mode)) {
        MTP_RETURN_IF_ERROR(VisitFolder(folder, name, path, depth));
      } else if (S_ISREG(info.st_mode) && !BelongsToOneOf(taken, name)) {
        MTP_RETURN_IF_ERROR(VisitFile(folder, name, path, &taken));
      }
    }
    return absl::OkStatus();
  }

 private:
  absl::Status VisitFolder(int folder, const std::string& name, const std::string& path,
                           int depth) {
    if (depth >= limits_.max_depth) {
      return absl::ResourceExhaustedError(
          absl::StrCat("a folder with databases is deeper than ", limits_.max_depth, " levels"));
    }
    int error = 0;
    const FileDescriptor inner = OpenBeneath(folder, name, O_RDONLY | O_DIRECTORY, &error);
    // Read permission alone does not let anyone look into it.
    if (inner.valid() && faccessat(inner.get(), ".", X_OK, 0) != 0) error = errno;
    if (IsUnreadable(error)) {
      return take_({folder, name, path + name, "the check may not look into this folder"});
    }
    if (IsNoMatter(error)) return absl::OkStatus();
    if (!inner.valid()) return ErrnoStatus(error, "open a folder of the copy");
    return Visit(inner.get(), absl::StrCat(path, name, "/"), depth + 1);
  }

  absl::Status VisitFile(int folder, const std::string& name, const std::string& path,
                         std::vector<std::string>* taken) {
    int error = 0;
    const std::string begin = Begin(folder, name, kMainMagic.size(), &error);
    const bool unreadable = IsUnreadable(error);
    if (!unreadable && error != 0 && !IsNoMatter(error)) return ErrnoStatus(error, "read a file");
    const bool found = begin == kMainMagic ||
                       absl::StartsWith(Begin(folder, name + "-wal", 4, &error), kWalMagic) ||
                       Begin(folder, name + "-journal", 8, &error) == kJournalMagic;
    const bool hidden = unreadable && (found || IsNamedAsDatabase(name));
    if (!found && !hidden) return absl::OkStatus();
    taken->push_back(name);
    return take_(
        {folder, name, path + name, hidden ? "the check may not read this file" : std::string()});
  }

  static bool IsNamedAsDatabase(const std::string& name) {
    return std::any_of(std::begin(kNameEnds), std::end(kNameEnds),
                       [&](absl::string_view end) { return absl::EndsWith(name, end); });
  }

  // The file's first bytes, at most `size`; nothing of what is no regular file. `*error` is 0 or
  // an errno.
  static std::string Begin(int folder, const std::string& name, size_t size, int* error) {
    *error = 0;
    // A fifo does not block it, and is seen below.
    const FileDescriptor file = OpenBeneath(folder, name, O_RDONLY | O_NONBLOCK, error);
    struct stat info {};
    if (!file.valid() || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return "";
    std::string bytes(size, '\0');
    const ssize_t got = pread(file.get(), bytes.data(), size, 0);
    if (got < 0) *error = errno;
    bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return bytes;
  }

  static bool BelongsToOneOf(const std::vector<std::string>& databases, const std::string& name) {
    return std::any_of(std::begin(kCompanions), std::end(kCompanions), [&](absl::string_view end) {
      return absl::EndsWith(name, end) &&
             std::binary_search(databases.begin(), databases.end(),
                                name.substr(0, name.size() - end.size()));
    });
  }

  const DatabaseSearchLimits limits_;
  const std::function<absl::Status(const FoundDatabase&)>& take_;
  int64_t entries_ = 0;
};

}  // namespace

absl::Status FindDatabases(const DatabaseSearchLimits& limits,
                           const std::function<absl::Status(const FoundDatabase& found)>& take) {
  MTP_ASSIGN_OR_RETURN(const FileDescriptor top, OpenFolder("."));
  return Search(limits, take).Visit(top.get(), "", 0);
}

}  // namespace mtp
