// The machine's memory, processors and disk. The file system's root is injected, so tests point at
// a folder of fixtures.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace mtp {

struct HostMemory {
  int64_t total_bytes = 0;
  int64_t available_bytes = 0;  // What new work can have without swapping (proc(5), MemAvailable).
  int64_t swap_total_bytes = 0;
  int64_t swap_free_bytes = 0;
  // Share of the last 60 s in which some task waited for memory, percent; 0 on kernels without PSI.
  double pressure_percent = 0;
};

// Thread-safe.
class HostReader {
 public:
  // `root` is put before `/proc`; empty on a real host.
  explicit HostReader(std::string root = "") : root_(std::move(root)) {}

  // INTERNAL when /proc/meminfo cannot be understood.
  absl::StatusOr<HostMemory> Memory() const;
  // Processors that this process may use, at least 1.
  int Cpus() const;
  // Bytes that unprivileged users may still write to the file system that holds `path` (not under
  // `root`). NOT_FOUND when `path` does not exist.
  absl::StatusOr<int64_t> DiskFreeBytes(const std::string& path) const;

 private:
  std::string root_;
};

// `avg60` of the `some` line of a PSI file (kernel: Documentation/accounting/psi.rst), 0 for any
// other text; pure.
double PressurePercent(std::string_view psi);

}  // namespace mtp
