#include "common/tls/renewal.h"

#include <cstdint>
#include <string>

#include "common/tls/keys.h"

namespace mtp::tls {
namespace {

// 0 to 255, the same on every machine and in every version.
int64_t SpreadOf(absl::string_view name) {
  return std::stoll(Sha256Hex(name).substr(0, 2), nullptr, 16);
}

}  // namespace

absl::Time RenewalTime(absl::Time not_before, absl::Time not_after, absl::string_view name) {
  const absl::Duration life = not_after - not_before;
  return not_before + life * 2 / 3 + life / 12 * SpreadOf(name) / 255;
}

absl::Time OverdueTime(absl::Time not_before, absl::Time not_after) {
  return not_before + (not_after - not_before) * 5 / 6;
}

}  // namespace mtp::tls
