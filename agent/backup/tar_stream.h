// A `.tar.gz` as a stream of entries: libarchive behind two small classes. Names are bytes,
// whatever the locale.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/backup/manifest.h"

namespace mtp {

// Writes pax entries, compressed by gzip. Not thread-safe. After an error every later call repeats
// it.
class TarWriter {
 public:
  // Takes the archive's next bytes.
  using Sink = std::function<absl::Status(std::string_view bytes)>;

  static absl::StatusOr<std::unique_ptr<TarWriter>> Open(Sink sink);
  // To a descriptor that stays the caller's; RESOURCE_EXHAUSTED when the disk is full.
  static absl::StatusOr<std::unique_ptr<TarWriter>> Open(int fd);
  ~TarWriter();

  // Begins an entry; a file's content of exactly `entry.size` bytes follows by Write. `mtime_ns` is
  // the part below a second.
  absl::Status Begin(const ManifestEntry& entry, long mtime_ns);
  absl::Status Write(std::string_view bytes);
  // Ends the archive and says what was written: SHA-256 and bytes.
  absl::Status Close(std::string* sha256, int64_t* bytes);

 private:
  struct State;
  explicit TarWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Reads the same. Not thread-safe.
class TarReader {
 public:
  static absl::StatusOr<std::unique_ptr<TarReader>> Open(int fd);
  ~TarReader();

  // The next entry, with content hashed (`sha256` and `size` are those of what was read); false at
  // the end, which is then known to be the archive's true end. DATA_LOSS for anything malformed.
  // CANCELLED when `keep_going` says false.
  absl::StatusOr<bool> Next(ManifestEntry* entry, const std::function<bool()>& keep_going);
  // After the end: SHA-256 and bytes of the whole file.
  void Total(std::string* sha256, int64_t* bytes);

 private:
  struct State;
  explicit TarReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mtp
