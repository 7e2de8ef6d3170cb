#include "agent/memory/cgroup.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <map>
#include <vector>

#include "agent/memory/host.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kMaxFile = 64 * 1024;
// cgroup v1 says "no limit" as the largest multiple of the page size; no machine has half of it.
constexpr int64_t kUnlimitedFrom = int64_t{1} << 62;

using Figures = std::map<std::string, int64_t>;

// `name number` per line; other lines are passed over.
Figures ParseFigures(const std::string& text) {
  Figures figures;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    int64_t number = 0;
    if (words.size() == 2 && absl::SimpleAtoi(words[1], &number)) figures[words[0]] = number;
  }
  return figures;
}

int64_t Get(const Figures& figures, const std::string& name) {
  const auto found = figures.find(name);
  return found == figures.end() ? 0 : std::max<int64_t>(0, found->second);
}

std::optional<std::string> Text(const std::string& folder, const char* name) {
  absl::StatusOr<std::string> text = ReadFile(absl::StrCat(folder, "/", name), kMaxFile);
  if (!text.ok()) return std::nullopt;
  return std::move(*text);
}

std::optional<int64_t> Number(const std::string& folder, const char* name) {
  const std::optional<std::string> text = Text(folder, name);
  int64_t number = 0;
  if (!text.has_value() || !absl::SimpleAtoi(*text, &number)) return std::nullopt;
  return number;
}

Figures FiguresOf(const std::string& folder, const char* name) {
  return ParseFigures(Text(folder, name).value_or(""));
}

std::optional<int64_t> Limit(std::optional<int64_t> number) {
  if (!number.has_value() || *number >= kUnlimitedFrom) return std::nullopt;
  return number;
}

CgroupMemory ReadV1(const std::string& folder, int64_t usage) {
  const Figures stat = FiguresOf(folder, "memory.stat");
  CgroupMemory memory;
  memory.used_bytes = std::max<int64_t>(0, usage - Get(stat, "total_inactive_file"));
  memory.anonymous_bytes = Get(stat, "total_rss");
  memory.file_bytes = Get(stat, "total_cache");
  if (stat.contains("total_swap")) memory.swap_bytes = Get(stat, "total_swap");
  memory.peak_bytes = Number(folder, "memory.max_usage_in_bytes");
  memory.limit_bytes = Limit(Number(folder, "memory.limit_in_bytes"));
  memory.oom_kills = Get(FiguresOf(folder, "memory.oom_control"), "oom_kill");
  return memory;
}

CgroupMemory ReadV2(const std::string& folder, int64_t usage) {
  const Figures stat = FiguresOf(folder, "memory.stat");
  CgroupMemory memory;
  memory.used_bytes = std::max<int64_t>(0, usage - Get(stat, "inactive_file"));
  memory.anonymous_bytes = Get(stat, "anon");
  memory.file_bytes = Get(stat, "file");
  memory.swap_bytes = Number(folder, "memory.swap.current");
  memory.peak_bytes = Number(folder, "memory.peak");
  memory.limit_bytes = Limit(Number(folder, "memory.max"));  // `max` is no number: no limit.
  memory.oom_kills = Get(FiguresOf(folder, "memory.events"), "oom_kill");
  if (const auto pressure = Text(folder, "memory.pressure")) {
    memory.pressure_percent = PressurePercent(*pressure);
  }
  return memory;
}

}  // namespace

absl::StatusOr<std::string> CgroupReader::MemoryFolder(pid_t pid, bool* is_v2) const {
  absl::StatusOr<std::string> text =
      ReadFile(absl::StrCat(root_, "/proc/", pid, "/cgroup"), kMaxFile);
  if (!text.ok()) return absl::NotFoundError(absl::StrCat("process ", pid, " is gone"));
  // `4:memory:/docker/<id>` in v1, `0::/system.slice/…` in v2 (cgroups(7)). Where v1 has the memory
  // controller, v2 has none.
  std::optional<std::string> v1;
  std::optional<std::string> v2;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(*text, '\n'))) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    if (std::find(controllers.begin(), controllers.end(), "memory") != controllers.end()) {
      v1 = parts[2];
    }
    if (parts[0] == "0" && parts[1].empty()) v2 = parts[2];
  }
  if (!v1.has_value() && !v2.has_value()) {
    return absl::NotFoundError(absl::StrCat("process ", pid, " has no memory cgroup"));
  }
  const std::string& path = v1.has_value() ? *v1 : *v2;
  if (path.empty() || path.front() != '/' || absl::StrContains(path, "/..")) {
    return absl::InternalError(
        absl::StrCat("the cgroup of process ", pid, " is outside this cgroup namespace"));
  }
  if (is_v2 != nullptr) *is_v2 = !v1.has_value();
  return absl::StrCat(root_, v1.has_value() ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup",
                      path == "/" ? "" : path);
}

absl::StatusOr<CgroupMemory> CgroupReader::Memory(pid_t pid) const {
  bool is_v2 = false;
  MTP_ASSIGN_OR_RETURN(const std::string folder, MemoryFolder(pid, &is_v2));
  const char* name = is_v2 ? "memory.current" : "memory.usage_in_bytes";
  const std::optional<std::string> text = Text(folder, name);
  if (!text.has_value()) {
    return absl::NotFoundError(absl::StrCat("process ", pid, " has no memory cgroup any more"));
  }
  int64_t usage = 0;
  if (!absl::SimpleAtoi(*text, &usage) || usage < 0) {
    return absl::InternalError(absl::StrCat(folder, "/", name, " is not a number"));
  }
  return is_v2 ? ReadV2(folder, usage) : ReadV1(folder, usage);
}

}  // namespace mtp
