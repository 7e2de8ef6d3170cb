// Why a host cannot take a tenant: small filters, each with one reason. Internal to the scheduler.
#pragma once

#include <optional>
#include <string>

#include "controller/scheduler/scheduler.h"

namespace mtp::scheduler {

// The first reason, in the order of the table in filters.cc, why the host cannot take the request;
// nothing when it can.
std::optional<std::string> Refusal(const HostView& host, const Request& request);

// `1,024 MiB`.
std::string Mib(int64_t value);

}  // namespace mtp::scheduler
