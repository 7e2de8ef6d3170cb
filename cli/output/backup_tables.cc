#include "cli/output/backup_tables.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/timestamps.h"

namespace mtp::cli {
namespace {

// Backup.reason of what pruning takes along.
constexpr char kCalledOff[] = "called-off";

using Json = nlohmann::ordered_json;

absl::Duration FromDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

// Rounded up, so that only what took no time at all is 0.
int64_t Milliseconds(const google::protobuf::Duration& duration) {
  return absl::ToInt64Milliseconds(absl::Ceil(FromDuration(duration), absl::Milliseconds(1)));
}

std::string DamageText(const v1::Backup& backup) {
  return absl::StrCat("damaged in it, as it was found: ",
                      absl::StrJoin(backup.damaged_databases(), ", "));
}

// A line below a table.
std::string Remark(absl::string_view name, absl::string_view message, Tone tone, int width,
                   bool colour) {
  const std::string line = Visible(absl::StrCat(name, ": ", message));
  return absl::StrCat(Paint(Shorten(line, width), tone, colour), "\n");
}

}  // namespace

std::string Ago(bool set, const google::protobuf::Timestamp& time, absl::Time now) {
  if (!set) return "never";
  return absl::StrCat(HumanDuration(now - FromTimestamp(time)), " ago");
}

std::string HumanBytes(int64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, "B");
  double value = static_cast<double>(bytes) / 1024;
  const char* unit = "KMGTPE";
  while (value >= 1023.95) {
    value /= 1024;
    ++unit;
  }
  return value < 99.95 ? absl::StrFormat("%.1f%c", value, *unit)
                       : absl::StrFormat("%.0f%c", value, *unit);
}

std::string PauseText(const google::protobuf::Duration& pause) {
  const int64_t milliseconds = Milliseconds(pause);
  if (milliseconds == 0) return "-";
  if (milliseconds < 1000) return absl::StrCat(milliseconds, "ms");
  if (milliseconds < 60'000)
    return absl::StrFormat("%.1fs", static_cast<double>(milliseconds) / 1e3);
  return HumanDuration(absl::Milliseconds(milliseconds));
}

Json BackupJson(const v1::Backup& backup) {
  Json damaged = Json::array();
  for (const std::string& path : backup.damaged_databases()) damaged.push_back(path);
  return {
      {"id", ShortName(backup.name())},
      {"tenant", backup.tenant()},
      {"host", backup.host()},
      {"repository", backup.repository()},
      {"started_at", TimeJson(backup.has_start_time(), backup.start_time())},
      {"duration_ms", Milliseconds(backup.duration())},
      {"pause_ms", Milliseconds(backup.pause())},
      {"bytes_scanned", backup.bytes_scanned()},
      {"bytes_added", backup.bytes_added()},
      {"files", backup.files()},
      {"image_digest", backup.image_digest()},
      {"verified_at", TimeJson(backup.has_verify_time(), backup.verify_time())},
      {"proven_at", TimeJson(backup.has_prove_time(), backup.prove_time())},
      {"skipped", backup.skipped()},
      {"databases", backup.databases()},
      {"damaged_databases", std::move(damaged)},
      {"reason", backup.reason()},
      {"snapshot", backup.snapshot()},
      {"manifest_sha256", backup.manifest_sha256()},
  };
}

Json BackupsJson(const std::vector<v1::Backup>& backups) {
  Json rows = Json::array();
  for (const v1::Backup& backup : backups) rows.push_back(BackupJson(backup));
  return {{"backups", std::move(rows)}};
}

std::string BackupsTable(const std::vector<v1::Backup>& backups, absl::Time now, int width,
                         bool colour) {
  Table table({{"ID"},
               {"TENANT", 0, 8},
               {"WHEN", 1, 0, true},
               {"HOST", 4, 4},
               {"REPOSITORY", 5, 6},
               {"SIZE", 2, 0, true},
               {"ADDED", 6, 0, true},
               {"PAUSE", 7, 0, true},
               {"VERIFIED", 3, 0, true},
               {"PROVEN", 3, 0, true}});
  std::string remarks;
  for (const v1::Backup& backup : backups) {
    const std::string id = ShortName(backup.name());
    const bool damaged = backup.damaged_databases_size() > 0;
    table.Add({{id, damaged ? Tone::kWarning : Tone::kStrong},
               {backup.tenant()},
               {Ago(backup.has_start_time(), backup.start_time(), now)},
               {backup.host()},
               {backup.repository()},
               {HumanBytes(backup.bytes_scanned())},
               {HumanBytes(backup.bytes_added())},
               {PauseText(backup.pause())},
               {Ago(backup.has_verify_time(), backup.verify_time(), now),
                backup.has_verify_time() ? Tone::kPlain : Tone::kDim},
               {Ago(backup.has_prove_time(), backup.prove_time(), now),
                backup.has_prove_time() ? Tone::kGood : Tone::kDim}});
    if (damaged)
      absl::StrAppend(&remarks, Remark(id, DamageText(backup), Tone::kWarning, width, colour));
    if (backup.reason() == kCalledOff)
      absl::StrAppend(&remarks, Remark(id, "called off; this is what it may have left behind",
                                       Tone::kDim, width, colour));
  }
  return absl::StrCat(table.Render(width, colour), remarks.empty() ? "" : "\n", remarks);
}

std::string BackupDetails(const v1::Backup& backup, absl::Time now, bool colour) {
  std::string text;
  const DetailLines line{&text, 11, colour};
  const auto when = [&](bool set, const google::protobuf::Timestamp& time) {
    const std::string ago = Ago(set, time, now);
    return set ? absl::StrCat(Rfc3339(FromTimestamp(time)), ", ", ago) : ago;
  };
  line("backup", ShortName(backup.name()), Tone::kStrong);
  line("tenant", backup.tenant());
  line("when", when(backup.has_start_time(), backup.start_time()));
  line("took", HumanDuration(FromDuration(backup.duration())));
  line("pause", Milliseconds(backup.pause()) == 0 ? "none: the tenant was stopped"
                                                  : PauseText(backup.pause()));
  line("host", backup.host());
  line("repository", backup.repository());
  line("size", absl::StrCat(HumanBytes(backup.bytes_scanned()), " in ", backup.files(), " files, ",
                            HumanBytes(backup.bytes_added()), " of it new"));
  if (backup.skipped() > 0) line("left out", absl::StrCat(backup.skipped(), " files"));
  line("databases", absl::StrCat(backup.databases()));
  if (backup.damaged_databases_size() > 0) {
    line("damaged", absl::StrJoin(backup.damaged_databases(), ", "), Tone::kWarning);
  }
  line("image", backup.image_digest());
  line("verified", when(backup.has_verify_time(), backup.verify_time()));
  line("proven", when(backup.has_prove_time(), backup.prove_time()));
  line("reason", backup.reason());
  line("snapshot", backup.snapshot());
  line("manifest", backup.manifest_sha256());
  return text;
}

Json RepositoryJson(const v1::Repository& repository) {
  return {
      {"name", ShortName(repository.name())},
      {"url", repository.url()},
      {"default", repository.is_default()},
      {"backups", repository.backups()},
      {"last_success",
       TimeJson(repository.has_last_success_time(), repository.last_success_time())},
      {"last_failure",
       TimeJson(repository.has_last_failure_time(), repository.last_failure_time())},
      {"last_failure_message",
       repository.last_failure().empty() ? Json(nullptr) : Json(repository.last_failure())},
      {"added", TimeJson(repository.has_create_time(), repository.create_time())},
  };
}

std::string RepositoriesTable(const std::vector<v1::Repository>& repositories, absl::Time now,
                              int width, bool colour) {
  Table table({{"NAME", 0, 12},
               {"DEFAULT", 3},
               {"BACKUPS", 2, 0, true},
               {"LAST SUCCESS", 1, 0, true},
               {"LAST FAILURE", 1, 0, true},
               {"URL", 0, 16}});
  std::string remarks;
  for (const v1::Repository& repository : repositories) {
    const std::string name = ShortName(repository.name());
    const bool failed = repository.has_last_failure_time();
    table.Add({{name, Tone::kStrong},
               {repository.is_default() ? "default" : ""},
               {absl::StrCat(repository.backups())},
               {Ago(repository.has_last_success_time(), repository.last_success_time(), now)},
               {Ago(failed, repository.last_failure_time(), now), failed ? Tone::kBad : Tone::kDim},
               {repository.url(), Tone::kDim}});
    if (!repository.last_failure().empty())
      absl::StrAppend(&remarks, Remark(name, repository.last_failure(), Tone::kBad, width, colour));
  }
  return absl::StrCat(table.Render(width, colour), remarks.empty() ? "" : "\n", remarks);
}

}  // namespace mtp::cli
