#include "agent/tenants/fetch.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "agent/backup/manifest_file.h"
#include "agent/backup/sha256.h"
#include "agent/backup/tree_manifest.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr absl::Duration kPatience = absl::Minutes(2);
constexpr absl::Duration kAgainAfter = absl::Seconds(5);

absl::Status CheckManifest(const std::string& path, const std::string& wanted) {
  MTP_ASSIGN_OR_RETURN(const std::string found, HashFile(path));
  if (found == wanted) return absl::OkStatus();
  return absl::DataLossError("the backup's manifest is not the one that was recorded");
}

absl::StatusOr<ManifestEnd> ReadTotals(const std::string& path) {
  ManifestReader lines(path, ManifestOf::kTree);
  while (true) {
    MTP_ASSIGN_OR_RETURN(const ManifestLineValue line, lines.Next());
    if (line.kind == ManifestLineValue::Kind::kEnd) return line.end;
  }
}

}  // namespace

RepositoryAccess ToAccess(const v1::RepositoryAccess& access) {
  return {.url = access.url(),
          .password = SecretString(access.password()),
          .s3_access_key = access.s3_access_key(),
          .s3_secret_key = SecretString(access.s3_secret_key()),
          .sftp_private_key = SecretString(access.sftp_private_key()),
          .sftp_known_hosts = access.sftp_known_hosts(),
          .ca_certificates = access.ca_certificates()};
}

BackupIdentity IdentityOf(const v1::BackupReference& backup) {
  return {.fleet = backup.fleet(), .tenant = backup.tenant(), .backup = backup.backup_id()};
}

absl::StatusOr<std::unique_ptr<Repository>> OpenRepository(const TenantTools& tools,
                                                           const std::string& key) {
  MTP_ASSIGN_OR_RETURN(const v1::RepositoryAccess access, tools.journal->ActionRepository(key));
  return tools.open_repository(ToAccess(access));
}

absl::StatusOr<std::string> HashFile(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, path);
  Sha256 hash;
  std::string buffer(kReadBytes, '\0');
  while (true) {
    const ssize_t got = read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, path);
    if (got == 0) return hash.Finish();
    hash.Update(buffer.data(), static_cast<size_t>(got));
  }
}

void NoteDatabases(const DatabaseReport& report, PhaseContext& context) {
  nlohmann::json damaged = nlohmann::json::array();
  for (const DatabaseProblem& problem : report.damaged) damaged.push_back(problem.path);
  auto& result = *context.result;
  result["databases"] = absl::StrCat(report.checked);
  result["damaged_databases"] =
      damaged.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::Status FetchBackup(const TenantTools& tools, const std::string& key, const TenantName& name,
                         const v1::BackupReference& backup, PhaseContext& context) {
  MTP_ASSIGN_OR_RETURN(const std::unique_ptr<Repository> repository, OpenRepository(tools, key));
  context.progress("looking the backup up in its repository");
  MTP_ASSIGN_OR_RETURN(const RepositorySnapshot snapshot,
                       repository->Find(IdentityOf(backup), context.cancel));
  MTP_ASSIGN_OR_RETURN(const std::string folder, tools.restores->Make(name.value()));
  auto remove = absl::MakeCleanup([&] { tools.restores->Remove(name.value()).IgnoreError(); });
  context.progress("reading the backup");
  MTP_RETURN_IF_ERROR(repository->Restore(snapshot.id, folder, context.cancel));
  context.progress("comparing every file with the manifest");
  const std::string manifest = absl::StrCat(folder, "/", kBackupManifest);
  const std::string data = absl::StrCat(folder, "/", kBackupData);
  MTP_RETURN_IF_ERROR(CheckManifest(manifest, backup.manifest_sha256()));
  MTP_RETURN_IF_ERROR(CompareWithTree(data, manifest, TreeScanLimits(), context.stop));
  MTP_ASSIGN_OR_RETURN(const ManifestEnd totals, ReadTotals(manifest));
  context.progress("checking the databases");
  MTP_ASSIGN_OR_RETURN(const DatabaseReport report, tools.check_databases(data, context.cancel));
  NoteDatabases(report, context);
  auto& result = *context.result;
  result["snapshot"] = snapshot.id;
  result["files"] = absl::StrCat(totals.files);
  result["bytes"] = absl::StrCat(totals.content_bytes);
  std::move(remove).Cancel();
  return absl::OkStatus();
}

PhaseResult RepositoryPatience::Judge(const absl::Status& status, PhaseContext& context) {
  if (!absl::IsUnavailable(status)) return PhaseResult::Of(status);
  const absl::Duration now = clock_->Monotonic();
  if (!since_) since_ = now;
  if (now - *since_ < kPatience) {
    context.progress(absl::StrCat(std::string(status.message()), "; trying again"));
    return PhaseResult::Again(kAgainAfter);
  }
  return PhaseResult::Failed(absl::FailedPreconditionError(
      absl::StrCat(std::string(status.message()), ", for ", absl::FormatDuration(kPatience))));
}

PhaseResult WaitForBackupSlot(StartTicket& ticket, PhaseContext& context) {
  const int ahead = ticket.Ask();
  if (ahead == 0) return PhaseResult::Done();
  context.progress(absl::StrCat("waiting for other backups of this host (", ahead, " ahead)"));
  return PhaseResult::Again(absl::Milliseconds(200));
}

}  // namespace mtp
