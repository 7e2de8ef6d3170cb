#include "common/restic/vain_retries.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

namespace mtp {
namespace {

constexpr absl::string_view kRetries = " returned error, retrying after ";
// `unexpected EOF`, or `EOF` where the file ends before the first byte that is wanted.
constexpr absl::string_view kTooShort = "EOF";
// restic reads some at a time.
constexpr size_t kReadsMax = 64;

}  // namespace

void VainRetries::Add(absl::string_view said) {
  lines_.Add(said, [this](absl::string_view line) { Line(line); });
}

void VainRetries::Line(absl::string_view line) {
  const size_t at = line.find(kRetries);
  if (at == absl::string_view::npos || !verdict_.empty()) return;
  const std::string read(line.substr(0, at));
  line.remove_prefix(at + kRetries.size());
  const absl::string_view reason = line.substr(std::min(line.find(": "), line.size()));
  if (!absl::EndsWith(reason, kTooShort)) return;
  if (failed_.count(read) > 0) {
    verdict_ = absl::StrCat(read, reason);
  } else if (failed_.size() < kReadsMax) {
    failed_.insert(read);
  }
}

bool VainRetries::cancelled() const {
  return !verdict_.empty() || CancelToken::cancelled() ||
         (outer_ != nullptr && outer_->cancelled());
}

}  // namespace mtp
