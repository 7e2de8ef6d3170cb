// References to container images, as every program takes them.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

namespace mtp {

// INVALID_ARGUMENT, as a sentence, unless the text can be an image's reference or id: one or more
// parts with `/` between, each of letters, digits and `_.-:@` and beginning with a letter or digit,
// at most 400 characters in all. So it is no flag in a command line and no other path in a URL;
// which image it names, and whether any, is the engine's to say.
absl::Status CheckImageReference(absl::string_view text);

}  // namespace mtp
