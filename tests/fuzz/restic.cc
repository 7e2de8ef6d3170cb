// What restic says, and where a repository is.
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_split.h>

#include <algorithm>

#include "common/restic/repository_place.h"
#include "common/restic/restic_command.h"
#include "common/restic/restic_output.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace mtp::fuzz {
namespace {

struct Told {
  std::vector<int64_t> figures;
  absl::StatusOr<BackupResult> summary;
};

Told Tell(absl::string_view text, size_t piece) {
  Told told;
  BackupOutput output;
  const auto progress = [&told](const BackupProgress& made) {
    told.figures.insert(told.figures.end(), {made.bytes_done, made.bytes_total, made.files_done});
  };
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    output.Add(text.substr(0, piece), progress);
  }
  told.summary = output.Summary();
  return told;
}

void CheckBackup(absl::string_view text, size_t piece) {
  const Told whole = Tell(text, std::max<size_t>(1, text.size()));
  const Told pieces = Tell(text, piece);
  MTP_HOLDS(whole.figures == pieces.figures);
  MTP_HOLDS(whole.summary.status() == pieces.summary.status());
  if (!whole.summary.ok()) {
    MTP_HOLDS(absl::IsDataLoss(whole.summary.status()));
    return;
  }
  MTP_HOLDS(!whole.summary->snapshot.empty());
  MTP_HOLDS(whole.summary->snapshot == pieces.summary->snapshot);
  MTP_HOLDS(whole.summary->bytes_added == pieces.summary->bytes_added);
}

void CheckSnapshots(absl::string_view text) {
  const auto snapshots = ParseSnapshots(text);
  MTP_HOLDS(snapshots.ok() || absl::IsInternal(snapshots.status()));
  if (!snapshots.ok()) return;
  for (const RepositorySnapshot& snapshot : *snapshots) {
    MTP_HOLDS(snapshot.id.size() == 64);
    MTP_HOLDS(!snapshot.identity.tenant.empty() && !snapshot.identity.backup.empty());
  }
  MTP_HOLDS(std::is_sorted(snapshots->begin(), snapshots->end(),
                           [](const auto& a, const auto& b) { return a.time < b.time; }));
}

void CheckFigures(absl::string_view text) {
  for (const absl::Status& status : {ParseStats(text).status(), ParsePrunedBytes(text).status()}) {
    MTP_HOLDS(status.ok() || absl::IsInternal(status));
  }
}

void CheckError(absl::string_view text, int exit_code) {
  const absl::Status error = ResticError(exit_code, text);
  MTP_HOLDS(!error.ok() && !error.message().empty() && error.message().size() < 2000);
  MTP_HOLDS(std::none_of(error.message().begin(), error.message().end(), [](char c) {
    return absl::ascii_iscntrl(static_cast<unsigned char>(c));
  }));
}

bool IsWord(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c)) &&
           !absl::StrContains("'\"\\$`;|&", c);
  });
}

// What is said to a shell-like splitter, and to ssh, is one word each and no option.
void CheckArguments(const RepositoryPlace& place) {
  const auto address = ParseRepositoryUrl(place.url());
  MTP_HOLDS(address.ok() && address->port == place.port());
  RepositoryAccess access;
  const std::vector<std::string> arguments =
      ResticArguments("restic", *address, access, {"/run/call", "/cache"}, /*use_cache=*/true);
  MTP_HOLDS(arguments[3] == address->restic_url);
  if (place.kind() != RepositoryPlace::Kind::kSftp) return;
  MTP_HOLDS(IsWord(place.user()) && place.user()[0] != '-');
  const std::vector<absl::string_view> words = absl::StrSplit(arguments.back(), ' ');
  const auto l = std::find(words.begin(), words.end(), "-l");
  MTP_HOLDS(words.end() - l == 5 && l[1] == place.user() && l[3] == "-s" && l[4] == "sftp");
  MTP_HOLDS(IsWord(l[2]) && l[2][0] != '-');
}

}  // namespace

// The first line says what the rest is; its second byte, in which pieces it comes.
void ResticOutput(absl::string_view input) {
  Input bytes(input);
  const std::string which = bytes.Line();
  const size_t piece = 1 + (which.size() > 1 ? static_cast<uint8_t>(which[1]) % 64 : 0);
  const absl::string_view text = bytes.Rest();
  switch (which.empty() ? '\0' : which[0]) {
    case 'b':  // backup
      return CheckBackup(text, piece);
    case 's':  // snapshots
      return CheckSnapshots(text);
    case 'f':  // figures of stats and prune
      return CheckFigures(text);
    default:
      return CheckError(text, static_cast<int>(piece));
  }
}

// The text is the url of a repository.
void RepositoryUrls(absl::string_view input) {
  const auto place = RepositoryPlace::Parse(input);
  if (!place.ok()) {
    MTP_HOLDS(absl::IsInvalidArgument(place.status()));
    // People put passwords into urls. What is said anyway is no secret.
    const std::string usual(RepositoryPlace::Parse("?").status().message());
    MTP_HOLDS(input.size() < 24 || absl::StrContains(usual, input) ||
              !absl::StrContains(place.status().message(), input));
    return;
  }
  const auto again = RepositoryPlace::Parse(place->url());
  MTP_HOLDS(again.ok() && again->url() == place->url());
  MTP_HOLDS(again->kind() == place->kind() && again->host() == place->host() &&
            again->port() == place->port() && again->user() == place->user() &&
            again->path() == place->path());
  MTP_HOLDS(place->url().size() <= RepositoryPlace::kMaxBytes);
  for (const absl::string_view part : absl::StrSplit(place->url(), '/')) {
    MTP_HOLDS(part != "." && part != "..");
  }
  const bool is_server = place->kind() != RepositoryPlace::Kind::kFolder;
  MTP_HOLDS(!is_server || (place->port() >= 1 && place->port() <= 65535 && IsWord(place->host())));
  CheckArguments(*place);
}

}  // namespace mtp::fuzz
