// Gives sparse files their holes back: restic 0.14 restores zeros where they were.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <stop_token>
#include <string>

namespace mtp {

// Files that are smaller are left alone: reading each again would cost more than it frees.
inline constexpr int64_t kHolesFrom = int64_t{16} << 20;

// In each file of `folder` of at least `from` bytes, gives long runs of zeros back to the file
// system. Content, size, mode, owner and modification times stay. No symbolic link is followed;
// nothing else may change the folder meanwhile. Nothing happens on a file system without holes.
// CANCELLED soon after a stop request; else what the system calls say.
absl::Status DigHoles(const std::string& folder, std::stop_token stop, int64_t from = kHolesFrom);

}  // namespace mtp
