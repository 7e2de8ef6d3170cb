#include "agent/memory/host.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "common/base/atomic_file.h"
#include "common/base/disk_floor.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kMaxFile = 64 * 1024;

// `MemTotal:  24683620 kB` per line, in bytes.
std::map<std::string, int64_t> ParseMemInfo(const std::string& text) {
  std::map<std::string, int64_t> figures;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(": \t"), absl::SkipEmpty());
    int64_t kib = 0;
    if (words.size() == 3 && words[2] == "kB" && absl::SimpleAtoi(words[1], &kib) && kib >= 0 &&
        kib < (int64_t{1} << 50)) {
      figures[words[0]] = kib * 1024;
    }
  }
  return figures;
}

}  // namespace

double PressurePercent(std::string_view psi) {
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(std::string(psi), '\n'))) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.empty() || words[0] != "some") continue;
    for (const std::string& word : words) {
      double percent = 0;
      if (word.rfind("avg60=", 0) == 0 && absl::SimpleAtod(word.substr(6), &percent) &&
          std::isfinite(percent)) {
        return std::clamp(percent, 0.0, 100.0);
      }
    }
  }
  return 0;
}

absl::StatusOr<HostMemory> HostReader::Memory() const {
  const std::string path = absl::StrCat(root_, "/proc/meminfo");
  MTP_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxFile));
  std::map<std::string, int64_t> figures = ParseMemInfo(text);
  if (figures["MemTotal"] <= 0 || !figures.contains("MemAvailable")) {
    return absl::InternalError(absl::StrCat(path, " has no MemTotal or MemAvailable"));
  }
  HostMemory memory;
  memory.total_bytes = figures["MemTotal"];
  memory.available_bytes = std::min(figures["MemAvailable"], memory.total_bytes);
  memory.swap_total_bytes = figures["SwapTotal"];
  memory.swap_free_bytes = figures["SwapFree"];
  const absl::StatusOr<std::string> psi =
      ReadFile(absl::StrCat(root_, "/proc/pressure/memory"), kMaxFile);
  if (psi.ok()) memory.pressure_percent = PressurePercent(*psi);
  return memory;
}

int HostReader::Cpus() const {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

absl::StatusOr<int64_t> HostReader::DiskFreeBytes(const std::string& path) const {
  MTP_ASSIGN_OR_RETURN(const DiskSpace space, SpaceOf(path));
  return space.free_bytes;
}

}  // namespace mtp
