// Helpers around absl::Status: context on the way up, and the two ways across a wire.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <grpcpp/support/status.h>

#include "mtp/v1/operation.pb.h"

namespace mtp {

// `context: message`, same code. OK stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

// The message as valid UTF-8, cut after 4,000 bytes: it may quote what a caller sent.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

v1::Error ToError(const absl::Status& status);
absl::Status FromError(const v1::Error& error);

}  // namespace mtp

// Returns the status from the enclosing function unless it is OK.
#define MTP_RETURN_IF_ERROR(expr)                                                   \
  do {                                                                              \
    if (::absl::Status mtp_status_ = (expr); !mtp_status_.ok()) return mtp_status_; \
  } while (false)

#define MTP_CONCAT_INNER_(a, b) a##b
#define MTP_CONCAT_(a, b) MTP_CONCAT_INNER_(a, b)
// MTP_ASSIGN_OR_RETURN(auto x, F()): x is F()'s value, or the status is returned.
// NOLINTBEGIN(bugprone-macro-parentheses): lhs may be a declaration, which cannot stand in
// parentheses.
#define MTP_ASSIGN_OR_RETURN(lhs, expr)                                                     \
  auto MTP_CONCAT_(mtp_or_, __LINE__) = (expr);                                             \
  if (!MTP_CONCAT_(mtp_or_, __LINE__).ok()) return MTP_CONCAT_(mtp_or_, __LINE__).status(); \
  lhs = std::move(MTP_CONCAT_(mtp_or_, __LINE__)).value()
// NOLINTEND(bugprone-macro-parentheses)
