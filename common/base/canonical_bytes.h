#pragma once

#include <google/protobuf/message_lite.h>

#include <string>

namespace mtp {

// The same bytes for the same content, for comparisons and hashes; SerializeAsString writes maps in
// any order. Protobuf promises it for one version of its library. Secrets of the message are in
// them.
std::string CanonicalBytes(const google::protobuf::MessageLite& message);

}  // namespace mtp
