// Changes of a tenant that take a new container: secrets, environment, port.
#pragma once

#include <absl/strings/string_view.h>

namespace mtp {

// Whether that path of an update mask is one of them.
bool TakesNewContainer(absl::string_view path);

}  // namespace mtp
