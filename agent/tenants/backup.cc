// Backup: the data of a stopped tenant as one verified archive in `backups/`.
#include <absl/strings/str_cat.h>
#include <unistd.h>

#include "agent/backup/archive.h"
#include "agent/backup/exclusions.h"
#include "agent/tenants/scripts.h"
#include "agent/tenants/stopping.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr char kFileKey[] = "backup_file";

class BackupScript final : public ActionScript {
 public:
  BackupScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : tools_(tools),
        name_(*TenantName::Parse(request.tenant())),
        backup_id_(request.backup().backup_id()) {
    Add([this](PhaseContext& context) { return NameTheFile(context); });
    Add([this](PhaseContext& context) { return Write(context); });
  }
  std::string DoneMessage() const override { return absl::StrCat("backed up to ", file_); }

 private:
  // The name is written down first: a resumed action replaces its own file and leaves no second.
  PhaseResult NameTheFile(PhaseContext& context) {
    auto known = tools_->journal->Tenant(name_);
    if (!known.ok()) return PhaseResult::Failed(known.status());
    file_ = (*context.result)[kFileKey];
    if (!file_.empty()) return PhaseResult::Done();
    const std::string time =
        absl::FormatTime("%Y%m%dT%H%M%SZ", tools_->clock->Now(), absl::UTCTimeZone());
    file_ = absl::StrCat("backups/", name_.value(), "-", time, "-", backup_id_, ".tar.gz");
    (*context.result)[kFileKey] = file_;
    return PhaseResult::Of(context.save_result());
  }

  PhaseResult Write(PhaseContext& context) {
    absl::Status stopped = ProveStopped(*tools_, name_);
    if (!stopped.ok()) {
      return PhaseResult::Failed(Annotate(stopped, "only a stopped tenant can be backed up"));
    }
    if (!tools_->data->Exists(name_.value())) {
      return PhaseResult::Failed(absl::FailedPreconditionError(
          absl::StrCat("there is no data/", name_.value(), " to back up")));
    }
    ArchiveRequest request;
    request.root = tools_->folder->DataPath();
    request.names = {name_.value()};
    request.output = absl::StrCat(tools_->folder->path(), "/", file_);
    request.exclude = ExcludedFromBackup;
    request.floor = tools_->floor;
    // Of an earlier life of this action, which did not come to record it.
    unlink(request.output.c_str());
    unlink((request.output + ".manifest.json").c_str());
    auto archive = WriteArchive(
        request,
        [&context](const ArchiveProgress& progress) {
          context.progress(absl::StrCat(progress.verifying ? "verifying" : "writing",
                                        " the backup: ", progress.files, " files, ",
                                        progress.content_bytes >> 20, " MiB"));
        },
        context.stop);
    if (!archive.ok()) return PhaseResult::Failed(Annotate(archive.status(), "writing the backup"));
    auto& result = *context.result;
    result["backup_sha256"] = archive->sha256;
    result["backup_bytes"] = absl::StrCat(archive->bytes);
    result["backup_files"] = absl::StrCat(archive->files);
    result["backup_skipped"] = absl::StrCat(archive->skipped);
    absl::Status noted = tools_->journal->SetLastBackup(name_, tools_->clock->Now());
    if (tools_->refresh) tools_->refresh(name_.value());
    return PhaseResult::Of(noted);
  }

  TenantTools* const tools_;
  const TenantName name_;
  const std::string backup_id_;
  std::string file_;
};

}  // namespace

std::unique_ptr<ActionScript> NewBackupScript(TenantTools* tools,
                                              const v1::EnsureActionRequest& request) {
  return std::make_unique<BackupScript>(tools, request);
}

}  // namespace mtp
