// Where the engine keeps its records in the store.
#pragma once

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <string>

namespace mtp::operations {

inline constexpr char kOperationsPrefix[] = "/operations/";

inline std::string OperationKey(absl::string_view id) {
  return absl::StrCat(kOperationsPrefix, id);
}
inline std::string RequestKey(absl::string_view caller, absl::string_view request_id) {
  return absl::StrCat("/requests/", caller, "/", request_id);
}

}  // namespace mtp::operations
