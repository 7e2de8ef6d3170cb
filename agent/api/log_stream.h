// A container's log for one caller: redacted by value, followed across restarts.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <stop_token>
#include <string>

#include "agent/api/target.h"
#include "agent/docker/engine.h"
#include "common/base/clock.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

struct LogStreamRequest {
  Target target;
  v1::TenantSecrets secrets;  // Replaced wherever they appear.
  v1::StreamTenantLogsRequest options;
};

// Sends chunks until the log's end or, with `follow`, until `stop`, `send` returns false, or the
// target leaves this host (`still_here` false). Blocks. NOT_FOUND when there is no container and
// nothing is followed.
absl::Status StreamLogs(Engine& engine, const Clock& clock, const LogStreamRequest& request,
                        const std::function<bool(v1::LogChunk)>& send,
                        const std::function<bool()>& still_here, std::stop_token stop);

}  // namespace mtp
