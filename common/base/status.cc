#include "common/base/status.h"

#include <absl/strings/str_cat.h>

#include "common/base/utf8.h"

namespace mtp {
namespace {

constexpr size_t kMaxMessageBytes = 8192;
// A message travels with all else that ends a call in at most 8 KiB of headers; beyond that the
// caller would hear of nothing but that.
constexpr size_t kMaxGrpcMessageBytes = 4000;

absl::Status Make(int code, absl::string_view message) {
  // A code from a newer build becomes UNKNOWN instead of a value that no switch expects.
  const bool known = code >= 0 && code <= 16;
  return absl::Status(known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
                      message);
}

}  // namespace

absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      ValidUtf8(status.message(), kMaxGrpcMessageBytes));
}

absl::Status FromGrpc(const grpc::Status& status) {
  return Make(static_cast<int>(status.error_code()), status.error_message());
}

v1::Error ToError(const absl::Status& status) {
  v1::Error error;
  error.set_code(static_cast<int>(status.code()));
  error.set_message(ValidUtf8(status.message(), kMaxMessageBytes));
  return error;
}

absl::Status FromError(const v1::Error& error) { return Make(error.code(), error.message()); }

}  // namespace mtp
