// Why a host cannot take a tenant: small filters, each with one reason. Internal to the scheduler.
#pragma once

#include <optional>
#include <string>

#include "controller/scheduler/scheduler.h"

namespace mtp::scheduler {

// A host with the sums that every filter needs, computed once.
struct Candidate {
  const HostView* host = nullptr;
  int64_t reserved_mib = 0;

  int64_t FreeMib() const { return host->allocatable_mib - reserved_mib; }
};

// The first reason, in the order of the table in filters.cc, why the host cannot take the request;
// nothing when it can.
std::optional<std::string> Refusal(const Candidate& candidate, const Request& request);

// `1,024 MiB`.
std::string Mib(int64_t value);

}  // namespace mtp::scheduler
