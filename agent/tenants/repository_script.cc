#include "agent/tenants/repository_script.h"

#include <absl/strings/str_cat.h>

#include "common/base/status.h"

namespace mtp {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(2);
constexpr absl::Duration kAgainAfter = absl::Seconds(5);

}  // namespace

RepositoryScript::RepositoryScript(TenantTools* tools, const v1::EnsureActionRequest& request)
    : tools_(tools),
      request_(request),
      name_(*TenantName::Parse(request.tenant())),
      ticket_(tools->backups, name_.value()) {}

PhaseResult RepositoryScript::WaitForSlot(PhaseContext& context) {
  const int ahead = ticket_.Ask(context.wake);
  if (ahead == 0) return PhaseResult::Done();
  context.progress(absl::StrCat("waiting for other backups of this host (", ahead, " ahead)"));
  return PhaseResult::WhenWoken();
}

absl::StatusOr<std::unique_ptr<Repository>> RepositoryScript::OpenRepository() const {
  MTP_ASSIGN_OR_RETURN(const v1::RepositoryAccess access, Access());
  return tools_->open_repository(ToAccess(access));
}

absl::StatusOr<v1::RepositoryAccess> RepositoryScript::Access() const {
  return tools_->journal->ActionRepository(request_.key());
}

PhaseResult RepositoryScript::Judge(const absl::Status& status, PhaseContext& context) {
  if (!absl::IsUnavailable(status)) return PhaseResult::Of(status);
  const absl::Duration now = tools_->clock->Monotonic();
  if (!away_since_) away_since_ = now;
  if (now - *away_since_ < kPatience) {
    context.progress(absl::StrCat(std::string(status.message()), "; trying again"));
    return PhaseResult::Again(kAgainAfter);
  }
  return PhaseResult::Failed(absl::FailedPreconditionError(
      absl::StrCat(std::string(status.message()), ", for ", absl::FormatDuration(kPatience))));
}

RepositoryAccess ToAccess(const v1::RepositoryAccess& access) {
  return {.url = access.url(),
          .password = SecretString(access.password()),
          .s3_access_key = access.s3_access_key(),
          .s3_secret_key = SecretString(access.s3_secret_key()),
          .sftp_private_key = SecretString(access.sftp_private_key()),
          .sftp_known_hosts = access.sftp_known_hosts(),
          .ca_certificates = access.ca_certificates()};
}

}  // namespace mtp
