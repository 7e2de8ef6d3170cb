// When a certificate is due to be renewed. Pure.
#pragma once

#include <absl/strings/string_view.h>
#include <absl/time/time.h>

namespace mtp::tls {

// After two thirds of its life, and up to a twelfth of it later: by `name`, so that those that were
// made on the same day are not all renewed in the same hour.
absl::Time RenewalTime(absl::Time not_before, absl::Time not_after, absl::string_view name);

// After five sixths of its life: a certificate that is still in use then was not renewed although
// it has been due for a twelfth of its life at least.
absl::Time OverdueTime(absl::Time not_before, absl::Time not_after);

}  // namespace mtp::tls
