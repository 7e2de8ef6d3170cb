#include "common/restic/restic_output.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/base/log.h"
#include "common/base/status.h"

namespace mtp {
namespace {

using nlohmann::json;

// A status line names the files under way; longer lines are none of restic's.
constexpr size_t kShownBytes = 300;

json Parse(absl::string_view text) {
  return json::parse(text.begin(), text.end(), /*cb=*/nullptr, /*allow_exceptions=*/false);
}

// What an int64_t holds of it: 0 for what is no number.
int64_t Whole(double number) {
  constexpr double kEnd = 9223372036854775808.0;  // 2^63
  if (!(number > -kEnd)) return std::isnan(number) ? 0 : std::numeric_limits<int64_t>::min();
  return number < kEnd ? static_cast<int64_t>(number) : std::numeric_limits<int64_t>::max();
}

int64_t Int(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return 0;
  return found->is_number_float() ? Whole(found->get<double>()) : found->get<int64_t>();
}

std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

absl::Status Unreadable(absl::string_view what) {
  return absl::InternalError(absl::StrCat("restic's answer to `", what, "` could not be read"));
}

bool SaysAny(absl::string_view text, std::initializer_list<absl::string_view> phrases) {
  return std::any_of(phrases.begin(), phrases.end(),
                     [text](absl::string_view p) { return absl::StrContains(text, p); });
}

// The line that says why: the last that begins with `Fatal:` or `panic:`, else the last.
std::string Reason(absl::string_view text) {
  absl::string_view reason;
  bool fatal = false;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipWhitespace())) {
    const bool is_fatal =
        absl::ConsumePrefix(&line, "Fatal: ") || absl::StartsWith(line, "panic: ");
    if (fatal && !is_fatal) continue;
    fatal = is_fatal;
    reason = line;
  }
  return reason.empty() ? "it said nothing" : OneLine(reason, kShownBytes);
}

}  // namespace

absl::Status ResticError(int exit_code, absl::string_view said) {
  const std::string reason = Reason(said);
  const auto with = [&reason](absl::string_view sentence) {
    return absl::StrCat(sentence, " (restic: ", reason, ")");
  };
  // From the particular to the general: `unable to open config file` stands around most causes.
  if (SaysAny(said, {"wrong password or no key found"}))
    return absl::PermissionDeniedError(
        "the repository's password is wrong, or its key file is damaged");
  if (SaysAny(said, {"Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"}))
    return absl::FailedPreconditionError(
        SaysAny(said, {"HAS CHANGED"})
            ? "the SFTP server shows another key than the known one; make sure that it is the "
              "right "
              "server, then change the repository's known_hosts line"
            : "the SFTP server's key is not known; add its known_hosts line to the repository");
  if (SaysAny(said, {"Permission denied (", "Too many authentication failures"}))
    return absl::PermissionDeniedError("the SFTP server refuses the user or the private key");
  if (SaysAny(said,
              {"ssh: Could not resolve", "ssh: connect to host", "Connection timed out",
               "Connection closed by", "Connection reset", "connection reset", "connection refused",
               "no such host", "no route to host", "network is unreachable", "i/o timeout",
               "TLS handshake timeout", "Client.Timeout", "connection lost", "broken pipe",
               "server misbehaving", "subprocess ssh: Timeout"}))
    return absl::UnavailableError(with("the repository's server cannot be reached"));
  // restic ends now and then before it has passed on what ssh said.
  if (SaysAny(said, {"unable to start the sftp session"}))
    return absl::FailedPreconditionError(
        "the SFTP server ended the call before it began; see whether its key is the known_hosts "
        "line's, whether it takes the user's private key, and whether it offers SFTP");
  if (SaysAny(said, {"x509: ", "tls: "}))
    return absl::FailedPreconditionError(with("the S3 server's certificate is not trusted"));
  if (SaysAny(said, {"no space left on device", "disk quota exceeded", "QuotaExceeded",
                     "XMinioStorageFull", "file too large"}))
    return absl::ResourceExhaustedError(
        "the repository's disk or quota is full; make room there and try again");
  if (SaysAny(said, {"Access Key Id you provided does not exist", "SignatureDoesNotMatch",
                     "request signature we calculated does not match", "InvalidAccessKeyId",
                     "Access Denied", "Access denied", "AccessDenied"}))
    return absl::PermissionDeniedError("the S3 server refuses the access key or the secret key");
  if (SaysAny(said, {"is already locked"}))
    return absl::AbortedError(with("another process holds the repository's lock"));
  if (SaysAny(said, {"no matching ID found", "no snapshot found"}))
    return absl::NotFoundError("no such snapshot is in the repository");
  if (SaysAny(said,
              {"ciphertext verification failed", "is damaged", "invalid data returned",
               "repository contains errors", "Pack ID does not match", "could not load snapshot",
               "not found in repository", "not found in index", "wrong length", "does not match id",
               "Load(<", "There were", "could not load index", "unexpected EOF",
               "Unmarshal: ", "crypto.KDF: ", "only supported KDF", "repository.OpenKey("}))
    return absl::DataLossError(with("the repository is damaged"));
  if (SaysAny(said, {"unable to open config file", "bucket does not exist"}) &&
      SaysAny(said, {"no such file", "does not exist", "NoSuchBucket", "not a directory"}))
    return absl::NotFoundError("no repository is there");
  if (SaysAny(said, {"permission denied", "read-only file system", "operation not permitted"}))
    return absl::PermissionDeniedError(with("the repository may not be read or written"));
  if (exit_code == 3)
    return absl::FailedPreconditionError(
        with("some of the files could not be read, so there is no backup"));
  return absl::InternalError(absl::StrCat("restic ended with code ", exit_code, ": ", reason));
}

void BackupOutput::Add(absl::string_view bytes,
                       const std::function<void(const BackupProgress&)>& progress) {
  lines_.Add(bytes, [&](absl::string_view line) { Line(line, progress); });
}

void BackupOutput::Line(absl::string_view line,
                        const std::function<void(const BackupProgress&)>& progress) {
  const json value = Parse(line);
  if (!value.is_object()) return;
  const std::string type = Text(value, "message_type");
  if (type == "status" && progress) {
    progress({.bytes_done = Int(value, "bytes_done"),
              .bytes_total = Int(value, "total_bytes"),
              .files_done = Int(value, "files_done")});
  } else if (type == "summary") {
    const auto duration = value.find("total_duration");
    summary_ = BackupResult{
        .snapshot = Text(value, "snapshot_id"),
        .bytes_scanned = Int(value, "total_bytes_processed"),
        .bytes_added = Int(value, "data_added"),
        .files = Int(value, "total_files_processed"),
        .duration = absl::Seconds(
            duration != value.end() && duration->is_number() ? duration->get<double>() : 0.0)};
  }
}

absl::StatusOr<BackupResult> BackupOutput::Summary() const {
  if (!summary_.has_value() || summary_->snapshot.empty())
    return absl::DataLossError("restic ended without naming the snapshot it has written");
  return *summary_;
}

absl::StatusOr<std::vector<RepositorySnapshot>> ParseSnapshots(absl::string_view text) {
  const json value = Parse(text);
  if (value.is_null()) return std::vector<RepositorySnapshot>();
  if (!value.is_array()) return Unreadable("snapshots");
  std::vector<RepositorySnapshot> snapshots;
  for (const json& one : value) {
    if (!one.is_object()) return Unreadable("snapshots");
    RepositorySnapshot snapshot{.id = Text(one, "id"), .host = Text(one, "hostname")};
    std::string error;
    if (snapshot.id.size() != 64 ||
        !absl::ParseTime(absl::RFC3339_full, Text(one, "time"), &snapshot.time, &error))
      return Unreadable("snapshots");
    const auto tags = one.find("tags");
    if (tags == one.end() || !tags->is_array()) continue;
    for (const json& tag : *tags) {
      if (!tag.is_string()) continue;
      const std::string tag_text = tag.get<std::string>();
      absl::string_view rest = tag_text;
      if (absl::ConsumePrefix(&rest, "fleet="))
        snapshot.identity.fleet = std::string(rest);
      else if (absl::ConsumePrefix(&rest, "tenant="))
        snapshot.identity.tenant = std::string(rest);
      else if (absl::ConsumePrefix(&rest, "backup="))
        snapshot.identity.backup = std::string(rest);
    }
    if (!snapshot.identity.tenant.empty() && !snapshot.identity.backup.empty())
      snapshots.push_back(std::move(snapshot));
  }
  std::stable_sort(snapshots.begin(), snapshots.end(),
                   [](const auto& a, const auto& b) { return a.time < b.time; });
  return snapshots;
}

absl::StatusOr<RepositoryStats> ParseStats(absl::string_view text) {
  const json value = Parse(text);
  if (!value.is_object() || !value.contains("total_size")) return Unreadable("stats");
  return RepositoryStats{.stored_bytes = Int(value, "total_size"),
                         .snapshots = Int(value, "snapshots_count")};
}

absl::StatusOr<int64_t> ParsePrunedBytes(absl::string_view text) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, "total prune:")) continue;
    const std::vector<absl::string_view> parts = absl::StrSplit(line, " / ");
    if (parts.size() != 2) break;
    const std::vector<absl::string_view> amount =
        absl::StrSplit(parts[1], ' ', absl::SkipWhitespace());
    double number = 0;
    if (amount.size() != 2 || !absl::SimpleAtod(amount[0], &number)) break;
    constexpr absl::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    for (absl::string_view unit : kUnits) {
      if (amount[1] == unit) return Whole(number);
      number *= 1024;
    }
    break;
  }
  return Unreadable("prune");
}

}  // namespace mtp
