// Export: a backup is read back from its repository, compared with its manifest, and given away as
// one plain `.tar.gz`, `<tenant>/…`, as the single-host system's backups are. No part of it is held
// in memory.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <functional>
#include <stop_token>

#include "agent/tenants/tenant_tools.h"
#include "mtp/v1/agent.pb.h"

namespace mtp {

// Thread-safe. The tools outlive it.
class Exporter {
 public:
  // Sends one chunk; false when nobody is there any more to take it.
  using Send = std::function<bool(v1::ExportChunk chunk)>;

  explicit Exporter(const TenantTools* tools) : tools_(tools) {}

  // Blocks until all was sent; the last chunk is the one that is `finished`. Takes a place among
  // the host's backups, but not while it sends: a slow reader holds up no backup. What it puts on
  // the disk is gone when it returns, and with the agent's next start should it be killed. Errors:
  //   INVALID_ARGUMENT     malformed request
  //   RESOURCE_EXHAUSTED   another export of this host goes on; the disk is full
  //   DATA_LOSS            the backup is not as its manifest says
  //   FAILED_PRECONDITION  something in it has no place in a `.tar.gz`; it is named
  //   CANCELLED            `stop`, or nobody takes it any more
  // and Repository's.
  absl::Status Export(const v1::ExportFromRepositoryRequest& request, const Send& send,
                      std::stop_token stop);

 private:
  absl::Status Fetch(const v1::ExportFromRepositoryRequest& request, const Send& send,
                     const std::stop_token& stop);

  const TenantTools* const tools_;
  std::atomic<bool> busy_{false};
};

}  // namespace mtp
