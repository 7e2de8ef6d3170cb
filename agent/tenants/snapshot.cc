// Snapshot: the tenant's data of one moment, into a repository. The tenant works on, but for the
// pause in which the last changes are copied.
#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "agent/backup/exclusions.h"
#include "agent/backup/staging.h"
#include "agent/backup/tree_manifest.h"
#include "agent/tenants/fetch.h"
#include "agent/tenants/repository_script.h"
#include "agent/tenants/room_token.h"
#include "agent/tenants/scripts.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// A tenant stands still no longer than this, plus what the engine takes. What changes too fast for
// it is copied again beforehand, so that less is left.
constexpr absl::Duration kPauseMax = absl::Seconds(2);
constexpr int kAttempts = 4;
// Pauses that the engine cannot make, and how long the tenant works on before the next one.
constexpr int kVainPauses = 10;
constexpr absl::Duration kNextPause = absl::Milliseconds(500);

class SnapshotScript final : public RepositoryScript {
 public:
  SnapshotScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : RepositoryScript(tools, request) {
    Add([this](PhaseContext&) { return Begin(); });
    // The agent may have died in the pause of an earlier life of this action.
    Add([this](PhaseContext&) { return EndPause(); });
    Add([this](PhaseContext& context) { return WaitForSlot(context); });
    Add([this](PhaseContext& context) { return Copy(context); });
    Add([this](PhaseContext& context) { return TakeTheMoment(context); });
    // Again, should the engine have been away at the end of the pause: a client must not stay
    // frozen for as long as the rest takes.
    Add([this](PhaseContext&) { return EndPause(); });
    Add([this](PhaseContext& context) { return Describe(context); });
    Add([this](PhaseContext& context) { return Store(context); });
  }
  std::string DoneMessage() const override { return "backed up"; }

 private:
  PhaseResult Begin() {
    begun_ = tools_->clock->Monotonic();
    return PhaseResult::Of(tools_->journal->Tenant(name_).status());
  }

  PhaseResult EndPause() {
    auto details = tools_->engine->InspectContainer(name_.Container());
    if (absl::IsNotFound(details.status())) return PhaseResult::Done();
    if (!details.ok()) return PhaseResult::Failed(details.status());
    if (details->state != ContainerState::kPaused) return PhaseResult::Done();
    return PhaseResult::Of(tools_->engine->Unpause(name_.Container()));
  }

  PhaseResult Copy(PhaseContext& context) {
    context.progress("copying the data while the tenant works");
    auto root = tools_->restores->SnapshotsPath();
    if (!root.ok()) return PhaseResult::Failed(root.status());
    staging_.reset();
    StagingRequest request;
    request.data_root = tools_->folder->DataPath();
    request.name = name_.value();
    request.staging_root = *root;
    request.exclude = ExcludedFromBackup;
    request.floor = tools_->floor;
    auto staging = Staging::Create(std::move(request));
    if (!staging.ok()) return PhaseResult::Failed(staging.status());
    staging_ = *std::move(staging);
    return PhaseResult::Of(staging_->Refresh({}, context.stop).status());
  }

  PhaseResult TakeTheMoment(PhaseContext& context) {
    absl::Status last;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      if (attempt > 0) {
        absl::Status again = staging_->Refresh({}, context.stop).status();
        if (!again.ok()) return PhaseResult::Failed(again);
      }
      auto details = tools_->engine->InspectContainer(name_.Container());
      if (!details.ok() && !absl::IsNotFound(details.status())) {
        return PhaseResult::Failed(details.status());
      }
      const bool runs = details.ok() && details->HasProcesses();
      context.progress(runs ? "pausing the tenant for the last changes"
                            : "copying the data of the stopped tenant");
      last = runs ? CopyPaused(*details, context)
                  : CopyStopped(details.ok() ? details->started_at : std::nullopt, context);
      if (last.ok()) return PhaseResult::Done();
      // Another state than a moment ago, more changes than the pause had time for, or a writer that
      // is not the tenant: all of that may be over.
      if (!absl::IsFailedPrecondition(last) && !absl::IsDeadlineExceeded(last) &&
          !absl::IsAborted(last)) {
        break;
      }
    }
    // runc gives up on processes that do not stand still within its tries, since they fork, or the
    // machine has no time for them; a little later they do.
    if (!stood_still_ && ++vain_pauses_ < kVainPauses) {
      stood_still_ = true;
      return PhaseResult::Again(kNextPause);
    }
    if (absl::IsDeadlineExceeded(last)) {
      last = absl::FailedPreconditionError(
          absl::StrCat("the data of ", name_.value(), " changes faster than it can be copied in a ",
                       "pause of ", absl::FormatDuration(kPauseMax),
                       "; back up when it is quieter, or stop it with `mtp-cli stop` before"));
    }
    return PhaseResult::Failed(last);
  }

  absl::Status CopyPaused(const ContainerDetails& details, PhaseContext& context) {
    const absl::Duration paused = tools_->clock->Monotonic();
    // Thawed whatever happens, also when it is not known whether the pause took effect.
    auto thaw =
        absl::MakeCleanup([this] { tools_->engine->Unpause(name_.Container()).IgnoreError(); });
    const absl::Status standing = tools_->engine->Pause(name_.Container());
    stood_still_ = !absl::IsInternal(standing);
    MTP_RETURN_IF_ERROR(standing);
    moment_ = tools_->clock->Now();
    const auto copied = staging_->Refresh({.frozen = true, .allowed = kPauseMax}, context.stop);
    std::move(thaw).Invoke();
    pause_ = tools_->clock->Monotonic() - paused;
    MTP_RETURN_IF_ERROR(copied.status());
    image_ = details.image_id;
    return Settled(*copied);
  }

  absl::Status CopyStopped(const std::optional<absl::Time>& last_start, PhaseContext& context) {
    moment_ = tools_->clock->Now();
    pause_ = absl::ZeroDuration();
    image_.clear();
    MTP_ASSIGN_OR_RETURN(const RefreshResult copied,
                         staging_->Refresh({.frozen = true}, context.stop));
    auto details = tools_->engine->InspectContainer(name_.Container());
    if (!details.ok() && !absl::IsNotFound(details.status())) return details.status();
    // One that keeps ending has begun and ended meanwhile when it was begun since.
    if (details.ok() && (details->HasProcesses() || details->started_at != last_start)) {
      return absl::FailedPreconditionError("the tenant started while it was copied");
    }
    return Settled(copied);
  }

  static absl::Status Settled(const RefreshResult& copied) {
    if (copied.unsettled.empty()) return absl::OkStatus();
    return absl::AbortedError(absl::StrCat("something other than the tenant writes into its data (",
                                           copied.unsettled.front(),
                                           "); end that and back up again"));
  }

  // Only the copy is written to from here on.
  PhaseResult Describe(PhaseContext& context) {
    context.progress("checking the copy's databases");
    auto report = tools_->check_databases(staging_->folder(), context.cancel);
    if (!report.ok()) return PhaseResult::Failed(report.status());
    NoteDatabases(*report, context);
    context.progress("describing every file");
    const std::string home = FolderOf(staging_->folder());
    const std::string manifest = absl::StrCat(home, "/", kBackupManifest);
    auto totals = WriteTreeManifest(staging_->folder(), staging_->skipped(), TreeScanLimits(),
                                    manifest, context.stop);
    if (!totals.ok()) return PhaseResult::Failed(totals.status());
    auto hash = HashFile(manifest);
    if (!hash.ok()) return PhaseResult::Failed(hash.status());
    auto& result = *context.result;
    result["manifest_sha256"] = *hash;
    result["files"] = absl::StrCat(totals->files);
    result["skipped"] = absl::StrCat(totals->skipped);
    result["bytes_scanned"] = absl::StrCat(totals->content_bytes);
    return PhaseResult::Of(WriteTenant(home));
  }

  // For whoever restores by hand. No secret is in it.
  absl::Status WriteTenant(const std::string& home) {
    MTP_ASSIGN_OR_RETURN(const auto record, tools_->journal->Tenant(name_));
    std::string spec;
    if (!google::protobuf::util::MessageToJsonString(record.spec(), &spec).ok()) {
      return absl::InternalError("the tenant's spec cannot be written as JSON");
    }
    nlohmann::ordered_json text = {{"format", "mtp-tenant/1"},
                                   {"tenant", name_.value()},
                                   {"fleet", request_.snapshot().fleet()},
                                   {"host", tools_->host},
                                   {"backup", request_.snapshot().backup_id()},
                                   {"time", Rfc3339(moment_)},
                                   {"image_digest", image_},
                                   {"port", record.port()},
                                   {"spec", nlohmann::ordered_json::parse(spec, nullptr, false)}};
    return WriteFileAtomically(
        absl::StrCat(home, "/", kBackupTenant),
        text.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace), 0600);
  }

  static std::string Rfc3339(absl::Time time) {
    return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
  }

  // Made only when a backup finds none: to ask beforehand would open the repository once more.
  absl::StatusOr<BackupResult> Write(PhaseContext& context) {
    MTP_ASSIGN_OR_RETURN(const v1::RepositoryAccess access, Access());
    MTP_ASSIGN_OR_RETURN(const auto repository, tools_->open_repository(ToAccess(access)));
    // A repository elsewhere takes nothing from the tenants.
    std::vector<const DiskFloor*> floors;
    if (tools_->floor->Has(access.url())) floors.push_back(tools_->floor);
    const RoomToken room(context.cancel, std::move(floors));
    BackupRequest backup;
    backup.folder = FolderOf(staging_->folder());
    backup.identity = {.fleet = request_.snapshot().fleet(),
                       .tenant = name_.value(),
                       .backup = request_.snapshot().backup_id()};
    backup.host = tools_->host;
    backup.time = moment_;
    const auto progress = [&context](const BackupProgress& progress) {
      context.progress(absl::StrCat("storing: ", progress.files_done, " files, ",
                                    progress.bytes_done >> 20, " of ", progress.bytes_total >> 20,
                                    " MiB"));
    };
    context.progress("opening the repository");
    auto stored = repository->Backup(backup, progress, &room);
    if (absl::IsNotFound(stored.status())) {
      MTP_RETURN_IF_ERROR(repository->Init(context.cancel));
      stored = repository->Backup(backup, progress, &room);
    }
    if (!stored.ok()) MTP_RETURN_IF_ERROR(room.Ended());
    return stored;
  }

  PhaseResult Store(PhaseContext& context) {
    const auto stored = Write(context);
    if (!stored.ok()) return Judge(stored.status(), context);
    auto& result = *context.result;
    result["snapshot"] = stored->snapshot;
    result["bytes_added"] = absl::StrCat(stored->bytes_added);
    result["pause_us"] = absl::StrCat(absl::ToInt64Microseconds(pause_));
    result["start_time"] = Rfc3339(moment_);
    result["duration_ms"] =
        absl::StrCat(absl::ToInt64Milliseconds(tools_->clock->Monotonic() - begun_));
    result["image_digest"] = image_;
    absl::Status noted = tools_->journal->SetLastBackup(name_, moment_);
    if (tools_->refresh) tools_->refresh(name_.value());
    return PhaseResult::Of(noted);
  }

  std::unique_ptr<Staging> staging_;
  absl::Duration begun_;
  absl::Time moment_;
  absl::Duration pause_;
  bool stood_still_ = true;
  int vain_pauses_ = 0;
  std::string image_;
};

}  // namespace

std::unique_ptr<ActionScript> NewSnapshotScript(TenantTools* tools,
                                                const v1::EnsureActionRequest& request) {
  return std::make_unique<SnapshotScript>(tools, request);
}

}  // namespace mtp
