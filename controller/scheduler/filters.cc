#include "controller/scheduler/filters.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <array>

namespace mtp::scheduler {
namespace {

using Reason = std::optional<std::string>;

// Above this share of time waiting for memory a host is thrashing, whatever the sums say (kernel
// PSI, `some avg60`).
constexpr double kMaxPressurePercent = 20;
// A new tenant writes about 60 MiB in its first minute; below this the disk is a fault waiting to
// happen.
constexpr int64_t kMinDiskFreeMib = 1024;

Reason PinnedElsewhere(const HostView& host, const Request& request) {
  if (request.host.empty() || request.host == host.name) return std::nullopt;
  return absl::StrCat("the tenant asks for host ", request.host);
}

Reason Cordoned(const HostView& host, const Request&) {
  if (!host.cordoned) return std::nullopt;
  return "it is cordoned";
}

Reason Unreachable(const HostView& host, const Request&) {
  if (host.reachable) return std::nullopt;
  return "its agent cannot be reached";
}

Reason EngineDown(const HostView& host, const Request&) {
  if (host.engine_up) return std::nullopt;
  return "its Docker Engine does not answer";
}

Reason Unguarded(const HostView& host, const Request& request) {
  if (!request.needs_guard || host.guarded) return std::nullopt;
  return "its guard does not run, and the tenant may fail over";
}

Reason LabelMissing(const HostView& host, const Request& request) {
  for (const auto& [key, value] : request.host_labels) {
    const auto it = host.labels.find(key);
    if (it == host.labels.end()) return absl::StrCat("it has no label ", key);
    if (it->second != value) {
      return absl::StrCat("its label ", key, " is ", it->second, ", not ", value);
    }
  }
  return std::nullopt;
}

Reason AntiAffinity(const HostView& host, const Request& request) {
  if (request.anti_affinity.empty()) return std::nullopt;
  for (const Placed& placed : host.placed()) {
    if (placed.tenant != request.tenant && placed.anti_affinity == request.anti_affinity) {
      return absl::StrCat("tenant ", placed.tenant, " with ", request.anti_affinity,
                          " is there already");
    }
  }
  return std::nullopt;
}

Reason MemoryUnknown(const HostView& host, const Request&) {
  if (host.allocatable_mib > 0) return std::nullopt;
  return "its memory is not known yet";
}

Reason NoRoom(const HostView& host, const Request& request) {
  if (request.memory_mib <= host.FreeMib()) return std::nullopt;
  return absl::StrCat(Mib(std::max<int64_t>(0, host.FreeMib())), " free of ",
                      Mib(host.allocatable_mib), " allocatable, ", Mib(request.memory_mib),
                      " needed");
}

// Reservations are promises; this is what is really used. A host whose tenants outgrew their
// reservations takes nobody new, although the sums would allow it.
Reason MeasuredFull(const HostView& host, const Request& request) {
  if (host.memory_total_mib == 0) return std::nullopt;
  const int64_t available_mib = host.memory_total_mib - host.used_mib;
  if (request.memory_mib <= available_mib) return std::nullopt;
  return absl::StrCat("only ", Mib(std::max<int64_t>(0, available_mib)), " of ",
                      Mib(host.memory_total_mib), " is available as measured, ",
                      Mib(request.memory_mib), " needed");
}

Reason Pressure(const HostView& host, const Request&) {
  if (host.memory_pressure_percent <= kMaxPressurePercent) return std::nullopt;
  return absl::StrFormat("it is short of memory now (tasks waited %.0f %% of the last minute)",
                         host.memory_pressure_percent);
}

Reason DiskFull(const HostView& host, const Request&) {
  if (host.disk_free_mib < 0 || host.disk_free_mib >= kMinDiskFreeMib) return std::nullopt;
  return absl::StrCat("only ", Mib(host.disk_free_mib), " of disk is free, ", Mib(kMinDiskFreeMib),
                      " needed");
}

Reason NoPort(const HostView& host, const Request&) {
  if (static_cast<int32_t>(host.ports.size()) <= kLastPort - kFirstPort) return std::nullopt;
  return absl::StrCat("all ports from ", kFirstPort, " to ", kLastPort, " are taken");
}

// What an operator decided comes first, then what is broken, then what is full.
constexpr std::array kFilters = {
    PinnedElsewhere, Cordoned, Unreachable,  EngineDown, Unguarded, LabelMissing, AntiAffinity,
    MemoryUnknown,   NoRoom,   MeasuredFull, Pressure,   DiskFull,  NoPort};

}  // namespace

std::optional<std::string> Refusal(const HostView& host, const Request& request) {
  for (const auto filter : kFilters) {
    if (Reason reason = filter(host, request)) return reason;
  }
  return std::nullopt;
}

std::string Mib(int64_t value) {
  std::string digits = absl::StrCat(value);
  for (int at = static_cast<int>(digits.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3)
    digits.insert(at, 1, ',');
  return digits + " MiB";
}

}  // namespace mtp::scheduler
