#include <absl/strings/str_cat.h>
#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "agent/backup/tar_stream.h"
#include "agent/backup/utf8_names.h"
#include "common/base/sha256.h"

namespace mtp {

struct TarReader::State {
  int fd = -1;
  archive* in = nullptr;
  Sha256 hash;
  int64_t bytes = 0;
  std::array<char, 256 * 1024> buffer;

  ~State() {
    if (in != nullptr) archive_read_free(in);
  }

  la_ssize_t Read() {
    while (true) {
      const ssize_t size = read(fd, buffer.data(), buffer.size());
      if (size < 0 && errno == EINTR) continue;
      if (size > 0) {
        hash.Update(buffer.data(), static_cast<size_t>(size));
        bytes += size;
      }
      return size;
    }
  }

  static la_ssize_t OnRead(archive* in, void* user, const void** data) {
    auto* state = static_cast<State*>(user);
    const la_ssize_t size = state->Read();
    if (size < 0) archive_set_error(in, errno, "read");
    *data = state->buffer.data();
    return size;
  }

  absl::Status Failed() const {
    const char* reason = archive_error_string(in);
    return absl::DataLossError(
        absl::StrCat("read the archive: ", reason == nullptr ? "unknown error" : reason));
  }
};

TarReader::TarReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
TarReader::~TarReader() = default;

absl::StatusOr<std::unique_ptr<TarReader>> TarReader::Open(int fd) {
  auto state = std::make_unique<State>();
  state->fd = fd;
  state->in = archive_read_new();
  if (state->in == nullptr) return absl::ResourceExhaustedError("out of memory");
  if (archive_read_support_format_tar(state->in) != ARCHIVE_OK ||
      archive_read_support_filter_gzip(state->in) != ARCHIVE_OK ||
      archive_read_open(state->in, state.get(), nullptr, State::OnRead, nullptr) != ARCHIVE_OK) {
    return state->Failed();
  }
  return std::unique_ptr<TarReader>(new TarReader(std::move(state)));
}

absl::StatusOr<bool> TarReader::Next(ManifestEntry* entry,
                                     const std::function<bool()>& keep_going) {
  const Utf8Names names;
  archive_entry* header = nullptr;
  const int result = archive_read_next_header(state_->in, &header);
  if (result == ARCHIVE_EOF) {
    // What stands behind the end (gzip's checksum) is read too, so that the whole file is hashed.
    la_ssize_t size = 0;
    while ((size = state_->Read()) > 0) {
    }
    if (size < 0) return absl::DataLossError("read the archive: its end cannot be read");
    return false;
  }
  // A warning means that something of the header was not understood.
  if (result != ARCHIVE_OK) return state_->Failed();
  *entry = ManifestEntry();
  const char* path = archive_entry_pathname(header);
  if (path == nullptr) return absl::DataLossError("read the archive: an entry has no name");
  entry->path = path;
  entry->mode = archive_entry_perm(header);
  entry->uid = static_cast<uid_t>(archive_entry_uid(header));
  entry->gid = static_cast<gid_t>(archive_entry_gid(header));
  entry->mtime_s = archive_entry_mtime(header);
  if (const char* hardlink = archive_entry_hardlink(header)) {
    entry->type = EntryType::kHardlink;
    entry->target = hardlink;
    return true;
  }
  if (archive_entry_filetype(header) == AE_IFDIR) {
    entry->type = EntryType::kFolder;
    // Folders come back with a slash at the end.
    while (entry->path.size() > 1 && entry->path.back() == '/') entry->path.pop_back();
    return true;
  }
  if (archive_entry_filetype(header) == AE_IFLNK) {
    const char* target = archive_entry_symlink(header);
    entry->type = EntryType::kSymlink;
    entry->target = target == nullptr ? "" : target;
    return true;
  }
  entry->type = EntryType::kFile;
  Sha256 hash;
  std::array<char, 64 * 1024> buffer;
  while (true) {
    if (!keep_going()) return absl::CancelledError("stopped on request");
    const la_ssize_t size = archive_read_data(state_->in, buffer.data(), buffer.size());
    if (size < 0) return state_->Failed();
    if (size == 0) break;
    hash.Update(buffer.data(), static_cast<size_t>(size));
    entry->size += size;
  }
  entry->sha256 = hash.Finish();
  return true;
}

void TarReader::Total(std::string* sha256, int64_t* bytes) {
  *sha256 = state_->hash.Finish();
  *bytes = state_->bytes;
}

}  // namespace mtp
