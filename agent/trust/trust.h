// What this host shows and trusts, replaced while the agent runs.
#pragma once

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <string>

#include "common/base/log.h"
#include "common/tls/credentials.h"
#include "mtp/v1/agent.pb.h"

namespace mtp {

// Thread-safe. The folder is an identity folder (common/tls/credentials.h); beside its files there
// is `next-key.pem` from the moment a certificate was asked for until one for it is in place.
class Trust {
 public:
  Trust(std::string folder, tls::Identity self, Log log)
      : folder_(std::move(folder)), self_(std::move(self)), log_(std::move(log)) {}

  // AgentService.ReplaceTrust; errors as there, and those of the disk. Nothing is changed by a
  // request that is refused.
  absl::StatusOr<v1::HostTrust> Replace(const v1::ReplaceTrustRequest& request);

 private:
  absl::StatusOr<SecretString> KeyFor(const tls::CertificateFacts& next) const;
  absl::Status Place(const v1::ReplaceTrustRequest& request, const tls::StoredIdentity& present,
                     const std::string& authorities);
  // The key of the next certificate; made when there is none, or when it is the present one's.
  absl::StatusOr<SecretString> NextKey(const tls::CertificateFacts& present);
  std::string NextKeyPath() const { return folder_ + "/next-key.pem"; }

  const std::string folder_;
  const tls::Identity self_;
  const Log log_;
  absl::Mutex mutex_;
};

}  // namespace mtp
