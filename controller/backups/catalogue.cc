#include "controller/backups/catalogue.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <limits>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/base/ulid.h"
#include "controller/tenants/secrets.h"

namespace mtp {
namespace {

using operations::StepContext;

constexpr char kPrefix[] = "backups/";
constexpr int kMaxDamaged = 20;

// A fact that an earlier snapshot of the operation left stays as it was, so what this step heard
// goes first.
std::string Said(const StepContext& context, const std::string& name) {
  const auto heard = context.new_results().find(name);
  return heard == context.new_results().end() ? context.Fact(name) : heard->second;
}

// What an agent does not say, or says badly, reads as 0.
int64_t Number(const StepContext& context, const std::string& fact) {
  int64_t number = 0;
  return absl::SimpleAtoi(Said(context, fact), &number) ? std::max<int64_t>(number, 0) : 0;
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration proto;
  proto.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
  return proto;
}

void AddDamaged(const std::string& json, v1::Backup& backup) {
  google::protobuf::ListValue list;
  if (json.empty() || !google::protobuf::util::JsonStringToMessage(json, &list).ok()) return;
  for (const auto& value : list.values()) {
    if (backup.damaged_databases_size() == kMaxDamaged) return;
    backup.add_damaged_databases(value.string_value());
  }
}

}  // namespace

std::string OperationIdOf(const state::v1::OperationRecord& record) {
  return std::string(absl::StripPrefix(record.operation().name(), "operations/"));
}

std::string OperationIdOf(const StepContext& context) { return OperationIdOf(context.record()); }

absl::StatusOr<std::string> ParseBackup(absl::string_view resource) {
  if (!absl::ConsumePrefix(&resource, kPrefix) || !IsUlid(resource)) {
    return absl::InvalidArgumentError(
        "a backup is named backups/ and 26 letters and digits; see `mtp-cli backup list`");
  }
  return std::string(resource);
}

absl::StatusOr<kv::Row<state::v1::BackupRecord>> FindBackup(const Tables& tables,
                                                            const std::string& id) {
  auto row = tables.backups.Get(id);
  if (absl::IsNotFound(row.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no backup ", id, "; `mtp-cli backup list` shows all"));
  }
  return row;
}

absl::StatusOr<v1::Backup> BackupFromFacts(const StepContext& context, const std::string& id) {
  v1::Backup backup;
  backup.set_name(kPrefix + id);
  backup.set_snapshot(Said(context, "snapshot"));
  backup.set_manifest_sha256(Said(context, "manifest_sha256"));
  absl::Time start;
  std::string error;
  if (backup.snapshot().empty() || backup.manifest_sha256().empty() ||
      !absl::ParseTime(absl::RFC3339_full, Said(context, "start_time"), &start, &error)) {
    return absl::InternalError(
        "the agent's answer does not say which snapshot it wrote, with which manifest and when; is "
        "it of another version?");
  }
  *backup.mutable_start_time() = ToTimestamp(start);
  *backup.mutable_duration() = ToProto(absl::Milliseconds(Number(context, "duration_ms")));
  *backup.mutable_pause() = ToProto(absl::Microseconds(Number(context, "pause_us")));
  backup.set_bytes_scanned(Number(context, "bytes_scanned"));
  backup.set_bytes_added(Number(context, "bytes_added"));
  backup.set_files(Number(context, "files"));
  backup.set_skipped(Number(context, "skipped"));
  backup.set_databases(static_cast<int32_t>(
      std::min<int64_t>(Number(context, "databases"), std::numeric_limits<int32_t>::max())));
  AddDamaged(Said(context, "damaged_databases"), backup);
  backup.set_image_digest(Said(context, "image_digest"));
  return backup;
}

absl::StatusOr<std::string> ResealSecrets(const Tables& tables, const SecretBox& box,
                                          const std::string& tenant,
                                          const std::string& backup_key) {
  MTP_ASSIGN_OR_RETURN(const auto sealed, tables.secrets.Get(tenant));
  auto plain = box.Open(sealed.value.sealed(), tables.secrets.Key(tenant));
  if (!plain.ok()) return Annotate(plain.status(), "the tenant's secrets");
  return box.Seal(plain->Reveal(), backup_key);
}

absl::StatusOr<v1::TenantSecrets> SecretsOf(const Tables& tables, const SecretBox& box,
                                            const kv::Row<state::v1::BackupRecord>& row) {
  auto secrets = OpenTenantSecrets(box, row.value.sealed_secrets(), tables.backups.Key(row.id));
  if (!secrets.ok()) return Annotate(secrets.status(), "the backup's secrets");
  return secrets;
}

v1::BackupReference ReferenceTo(const v1::Backup& backup, const std::string& fleet) {
  v1::BackupReference reference;
  reference.set_backup_id(std::string(absl::StripPrefix(backup.name(), kPrefix)));
  reference.set_fleet(fleet);
  reference.set_tenant(backup.tenant());
  reference.set_manifest_sha256(backup.manifest_sha256());
  return reference;
}

}  // namespace mtp
