// Memory of a container from the kernel's own files, cgroup v1 and v2: cheap enough to ask often,
// unlike the engine's statistics. The file system's root is injected, so tests point at a folder of
// fixtures.
#pragma once

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace mtp {

// Bytes. Figures that this kernel does not keep are unset.
struct CgroupMemory {
  int64_t used_bytes =
      0;  // Usage without inactive page cache: what cannot be had back for nothing.
  int64_t anonymous_bytes = 0;  // Heap and stacks.
  int64_t file_bytes = 0;       // Page cache.
  std::optional<int64_t> swap_bytes;
  std::optional<int64_t>
      peak_bytes;  // Highest usage since the container's start, page cache included.
  std::optional<int64_t> limit_bytes;  // Unset when unlimited.
  int64_t oom_kills = 0;               // Processes of it that the kernel killed for want of memory.
  // Share of the last 60 s in which some task of it waited for memory, percent; v2 only.
  std::optional<double> pressure_percent;
};

// Thread-safe.
class CgroupReader {
 public:
  // `root` is put before `/proc` and `/sys`; empty on a real host.
  explicit CgroupReader(std::string root = "") : root_(std::move(root)) {}

  // Of the cgroup that the process is in. NOT_FOUND when the process is gone or has no memory
  // cgroup (it ended meanwhile); INTERNAL when the files cannot be understood.
  absl::StatusOr<CgroupMemory> Memory(pid_t pid) const;

  // Folder of the process' memory cgroup, such as `/sys/fs/cgroup/memory/docker/<id>`, root
  // included. `is_v2`, when set, tells which kind. Errors as above.
  absl::StatusOr<std::string> MemoryFolder(pid_t pid, bool* is_v2 = nullptr) const;

 private:
  std::string root_;
};

}  // namespace mtp
