// A file that gets its name when it is whole: until then it is `FILE.partial`, and whatever ends
// the program takes that away again.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <memory>
#include <string>

#include "common/base/file_descriptor.h"

namespace mtp::cli {

// One at a time in a process: SIGINT, SIGTERM and SIGHUP remove its file while it lives, and then
// end the process as they would have.
class PartialFile {
 public:
  // Mode 0600. ALREADY_EXISTS when there is a `path` and `replace` is not set, or a `FILE.partial`,
  // which may be another run's; INVALID_ARGUMENT for a folder; else why it cannot be made.
  static absl::StatusOr<std::unique_ptr<PartialFile>> Create(const std::string& path, bool replace);
  // Removes what was not published.
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  // RESOURCE_EXHAUSTED when the disk is full.
  absl::Status Write(absl::string_view bytes);
  // Makes it durable and gives it its name. ALREADY_EXISTS when that was taken meanwhile.
  absl::Status Publish();

 private:
  PartialFile(std::string path, bool replace);

  const std::string path_;
  const std::string partial_;
  const bool replace_;
  FileDescriptor fd_;
  bool published_ = false;
};

}  // namespace mtp::cli
