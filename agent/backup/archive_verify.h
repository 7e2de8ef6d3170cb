// Comparing an archive with a manifest, both under any name.
#pragma once

#include <absl/status/status.h>

#include <stop_token>
#include <string>

namespace mtp {

// Errors as VerifyArchive's.
absl::Status CompareWithManifest(const std::string& archive, const std::string& manifest,
                                 std::stop_token stop);

}  // namespace mtp
