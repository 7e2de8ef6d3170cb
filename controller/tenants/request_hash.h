// Tells a repeated request from another one under the same request id.
#pragma once

#include <string>

#include "common/base/canonical_bytes.h"
#include "common/base/secret_string.h"
#include "common/tls/keys.h"

namespace mtp {

// SHA-256 of the request without its request id, the same for equal requests. A hash, since
// requests hold secrets.
template <typename Request>
std::string RequestHash(Request request) {
  request.clear_request_id();
  std::string bytes = CanonicalBytes(request);
  std::string hash = tls::Sha256Hex(request.GetTypeName() + bytes);
  WipeString(&bytes);
  return hash;
}

}  // namespace mtp
