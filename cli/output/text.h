// Text for terminals: what is safe to print, how wide it is, and how quantities are written for
// people.
#pragma once

#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>

namespace mtp::cli {

// The text with everything that could steer a terminal made visible: C0 and C1 controls, DEL,
// bidirectional overrides and bytes that are not UTF-8 become `\x1b`, `\u202e` and so on; a newline
// becomes `\n`. Everything that comes from a tenant, a host or a controller goes through here
// before it is printed in a table or a message.
std::string Visible(absl::string_view text);

// As Visible, but keeps newlines and tabs: for messages of several lines.
std::string VisibleLines(absl::string_view text);

// Columns that valid UTF-8 takes, one for each code point.
int Width(absl::string_view text);

// At most `width` columns; what is cut off shows as one `…` at the end.
std::string Shorten(absl::string_view text, int width);

// `4s`, `3m12s`, `5h07m`, `12d3h`: two units, the largest first. Negative is `0s`.
std::string HumanDuration(absl::Duration duration);

// `512M`, `1.5G`, `118G`, from MiB.
std::string HumanMib(int64_t mib);

// RFC 3339 in UTC with seconds, `2026-01-31T12:00:00Z`.
std::string Rfc3339(absl::Time time);

}  // namespace mtp::cli
