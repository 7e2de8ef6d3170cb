#include "agent/api/target.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include "agent/compose/render.h"
#include "common/base/status.h"

namespace mtp {

absl::StatusOr<Target> Targets::Find(absl::string_view resource) const {
  absl::string_view rest = resource;
  if (absl::ConsumePrefix(&rest, "admins/")) {
    if (rest != host_) {
      return absl::NotFoundError(absl::StrCat("this host is ", host_, ", not ", rest));
    }
    if (!writer_->settings().admin_enabled) {
      return absl::NotFoundError("this host has no admin instance (--no-admin)");
    }
    return Target{kAdminService, kAdminContainer};
  }
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::ParseResource(resource));
  MTP_RETURN_IF_ERROR(journal_->Tenant(name).status());
  return Target{name.value(), name.Container()};
}

absl::StatusOr<v1::TenantSecrets> Targets::Secrets(const Target& target) const {
  if (target.name == kAdminService) return writer_->AdminSecrets();
  MTP_ASSIGN_OR_RETURN(const TenantName name, TenantName::Parse(target.name));
  return journal_->Secrets(name);
}

}  // namespace mtp
