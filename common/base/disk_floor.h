// A part of a file system that is left to those who live on it: who makes large copies there stops
// before it is used up.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <string>

namespace mtp {

struct DiskSpace {
  int64_t total_bytes = 0;
  // What others than root may still write.
  int64_t free_bytes = 0;
};

// Of the file system that has `path`.
absl::StatusOr<DiskSpace> SpaceOf(const std::string& path);

// Thread-safe, and cheap enough to be asked for every piece that is written.
class DiskFloor {
 public:
  // Kept free: 1 GiB, or a twentieth of a file system of less than 20 GiB.
  static constexpr int64_t kMostBytes = int64_t{1} << 30;
  static constexpr int64_t kPart = 20;

  using Read = std::function<absl::StatusOr<DiskSpace>(const std::string& path)>;
  // `path`: anything on the file system.
  explicit DiskFloor(std::string path, Read read = SpaceOf);

  // RESOURCE_EXHAUSTED, with the figures, when less is free than is to be kept. OK when nobody can
  // say: then the write itself tells.
  absl::Status Check() const;
  // Whether `other`, or what will be made there, is on the same file system.
  bool Has(const std::string& other) const;

 private:
  const std::string path_;
  const Read read_;
};

}  // namespace mtp
