// Sortable unique identifiers (ULID: 48 bits of milliseconds, 80 random bits, Crockford base 32, 26
// characters).
#pragma once

#include <absl/strings/string_view.h>

#include <string>

#include "common/base/clock.h"
#include "common/base/random.h"

namespace mtp {

std::string NewUlid(const Clock& clock, Random& random);
bool IsUlid(absl::string_view text);

}  // namespace mtp
