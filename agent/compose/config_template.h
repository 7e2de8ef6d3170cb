// The template of a new tenant's OpenClaw configuration. It is rendered as text: whole-line
// comments `// mtp:if NAME` and `// mtp:end` (nestable) hold what only some tenants get; all else
// stays as the operator wrote it.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <set>
#include <string>

#include "mtp/v1/tenant.pb.h"

namespace mtp {

// The template of this build, deploy/tenant-template.json5. An agent installs it once as
// `config/tenant-template.json5`; from then on that file counts.
absl::string_view DefaultConfigTemplate();

// What a template may ask for: `telegram`, `anthropic`, `openai`, `openrouter` (the tenant has the
// key), `telegram_api`, `anthropic_api` (it uses another address than the public one).
std::set<std::string> TemplateConditions(const v1::TenantSpec& spec,
                                         const v1::TenantSecrets& secrets);

// The text without the marker lines, and without what stands between an `mtp:if` and its `mtp:end`
// when its name is not in `conditions`. INVALID_ARGUMENT names the line of an unknown condition, of
// an `mtp:end` too many, or of an `mtp:if` without end.
absl::StatusOr<std::string> RenderConfig(absl::string_view text,
                                         const std::set<std::string>& conditions);

}  // namespace mtp
