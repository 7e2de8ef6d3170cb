// The agent's end of the file that it shares with the guard (agent/guard/lease_text.h).
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "agent/guard/lease_text.h"
#include "common/base/file_descriptor.h"

namespace mtp {

// Not thread-safe.
class LeaseFile {
 public:
  // `folder` is made when it is not there. The file is made with all its space.
  static absl::StatusOr<LeaseFile> Open(const std::string& folder);

  // The newest that is whole; an empty one when there is none.
  const guard::Lease& last() const { return last_; }
  // Writes it, numbered after the last, into the other slot. After an error the last one stands.
  absl::Status Write(guard::Lease lease);
  // Whether the guard has said so within the last `patience`, in this boot.
  bool GuardLives(absl::Duration patience) const;

 private:
  LeaseFile(std::string folder, FileDescriptor file)
      : folder_(std::move(folder)), file_(std::move(file)) {}

  std::string folder_;
  FileDescriptor file_;
  guard::Lease last_;
};

}  // namespace mtp
