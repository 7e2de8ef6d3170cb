// The words that values of the API have wherever people read them: in tables, JSON, sentences and
// figures. A value that this build does not know, from a newer program, is `unknown` or `none`.
#pragma once

#include <absl/strings/string_view.h>

#include <string>

#include "mtp/v1/fleet.pb.h"
#include "mtp/v1/operation.pb.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

// `ready`, `starting`, `degraded`, `down`, `unknown`.
absl::string_view HealthName(v1::TenantHealth health);
// `viewer`, `operator`, `admin`, `none`.
absl::string_view RoleName(v1::Role role);
// `stay`, `failover`.
absl::string_view FailoverName(v1::FailoverPolicy policy);
// `bot token` for `telegram_token`, and so on, of what a reconfiguration changes; another word as
// it is.
absl::string_view SettingName(absl::string_view field);
// How far the operation is: the step that runs and its message, `soak: 20 s of 60 s`; the
// operation's own message while none runs.
std::string StepInTurn(const v1::Operation& operation);

}  // namespace mtp
