// Tells a repeated request from another one under the same request id.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <string>

#include "common/base/secret_string.h"
#include "common/tls/keys.h"

namespace mtp {

// SHA-256 of the request without its request id, the same for equal requests. A hash, since
// requests hold secrets.
template <typename Request>
std::string RequestHash(Request request) {
  request.clear_request_id();
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream output(&stream);
    output.SetSerializationDeterministic(true);
    request.SerializeToCodedStream(&output);
  }
  std::string hash = tls::Sha256Hex(request.GetTypeName() + bytes);
  WipeString(&bytes);
  return hash;
}

}  // namespace mtp
