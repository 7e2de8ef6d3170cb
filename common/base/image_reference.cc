#include "common/base/image_reference.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <vector>

namespace mtp {
namespace {

constexpr size_t kMaxBytes = 400;

bool IsPart(absl::string_view text) {
  return !text.empty() && absl::ascii_isalnum(static_cast<unsigned char>(text.front())) &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  absl::string_view("_.-:@").find(c) != absl::string_view::npos;
         });
}

}  // namespace

absl::Status CheckImageReference(absl::string_view text) {
  if (text.size() <= kMaxBytes) {
    const std::vector<absl::string_view> parts = absl::StrSplit(text, '/');
    if (std::all_of(parts.begin(), parts.end(), IsPart)) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "the image is not an image reference such as ghcr.io/openclaw/openclaw:2026.9.6");
}

}  // namespace mtp
