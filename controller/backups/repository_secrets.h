// Rules for what opens a repository.
#pragma once

#include <absl/status/status.h>

#include "common/restic/repository_place.h"
#include "mtp/v1/backup.pb.h"

namespace mtp {

// That the secrets are those that the kind of repository takes, all that it needs among them, and
// of the form that backup.proto names. INVALID_ARGUMENT names the field, never a value.
absl::Status CheckRepositorySecrets(const RepositoryPlace& place,
                                    const v1::RepositorySecrets& secrets);

// Whether each that is set in `given` is the same in `held`. Takes the same time whatever differs.
bool AgreesWith(const v1::RepositorySecrets& given, const v1::RepositorySecrets& held);

}  // namespace mtp
