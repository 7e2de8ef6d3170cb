// Hosts and requests for scheduler tests, built by hand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controller/scheduler/scheduler.h"

namespace mtp::scheduler {

// A healthy, empty host with that much to give.
inline HostView Host(const std::string& name, int64_t allocatable_mib) {
  HostView host;
  host.name = name;
  host.allocatable_mib = allocatable_mib;
  host.memory_total_mib = allocatable_mib + 2048;
  host.disk_free_mib = 50'000;
  return host;
}

// The same with one tenant, `<name>-tenant`, of that size.
inline HostView HostWith(const std::string& name, int64_t allocatable_mib, int64_t reserved_mib) {
  HostView host = Host(name, allocatable_mib);
  host.Take({name + "-tenant", reserved_mib, ""}, kFirstPort);
  return host;
}

inline Request Tenant(int64_t memory_mib) {
  Request request;
  request.tenant = "newcomer";
  request.memory_mib = memory_mib;
  return request;
}

}  // namespace mtp::scheduler
