#include "agent/lease/lease_file.h"

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {

absl::StatusOr<LeaseFile> LeaseFile::Open(const std::string& folder) {
  MTP_RETURN_IF_ERROR(MakeFolders(folder, 0700));
  const std::string path = absl::StrCat(folder, "/", guard::kLeaseFile);
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid()) return absl::ErrnoToStatus(errno, path);
  if (const int error = posix_fallocate(file.get(), 0, guard::kSlots * guard::kSlotBytes);
      error != 0) {
    return absl::ErrnoToStatus(error, path);
  }
  LeaseFile opened(folder, std::move(file));
  if (const auto content = guard::ReadWhole(path, guard::kSlots * guard::kSlotBytes)) {
    opened.last_ = guard::DecodeFile(*content).value_or(guard::Lease());
  }
  return opened;
}

absl::Status LeaseFile::Write(guard::Lease lease) {
  lease.number = last_.number + 1;
  const std::string slot = guard::EncodeSlot(lease);
  if (slot.empty()) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "at most ", guard::kMaxContainers, " tenants of a host may fail over; let others stay"));
  }
  const off_t at = static_cast<off_t>((lease.number % guard::kSlots) * guard::kSlotBytes);
  size_t written = 0;
  while (written < slot.size()) {
    const ssize_t part = pwrite(file_.get(), slot.data() + written, slot.size() - written,
                                at + static_cast<off_t>(written));
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) {
      return absl::ErrnoToStatus(part < 0 ? errno : EIO,
                                 absl::StrCat(folder_, "/", guard::kLeaseFile));
    }
    written += static_cast<size_t>(part);
  }
  last_ = std::move(lease);
  return absl::OkStatus();
}

bool LeaseFile::GuardLives(absl::Duration patience) const {
  const auto content =
      guard::ReadWhole(absl::StrCat(folder_, "/", guard::kBeatFile), guard::kBeatBytes);
  if (!content) return false;
  const auto beat = guard::DecodeBeat(*content);
  if (!beat || beat->boot_id != guard::BootId()) return false;
  const absl::Duration age = absl::Nanoseconds(guard::BootTimeNs() - beat->at_ns);
  return age <= patience;
}

}  // namespace mtp
