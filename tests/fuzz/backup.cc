// Manifests and archives of backups: names are a client's, any bytes but NUL.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "agent/backup/database_line.h"
#include "agent/backup/exclusions.h"
#include "agent/backup/manifest.h"
#include "agent/backup/manifest_file.h"
#include "agent/backup/tar_stream.h"
#include "common/base/file_descriptor.h"
#include "common/base/sha256.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace mtp::fuzz {
namespace {

constexpr int kMaxEntries = 16;

auto Fields(const ManifestEntry& e) {
  return std::tie(e.path, e.type, e.mode, e.uid, e.gid, e.size, e.mtime_s, e.mtime_ns, e.sha256,
                  e.target, e.changed);
}

auto Fields(const ManifestEnd& e) {
  return std::tie(e.archive_sha256, e.archive_bytes, e.entries, e.files, e.content_bytes,
                  e.skipped);
}

// What was read means the same when it is written and read again.
void CheckLine(const ManifestLineValue& value, ManifestOf what) {
  using Kind = ManifestLineValue::Kind;
  if (value.kind == Kind::kHead) return;
  const bool is_end = value.kind == Kind::kEnd;
  const auto again =
      ParseManifestLine(is_end ? ManifestLine(value.end) : ManifestLine(value.entry), what);
  MTP_HOLDS(again.ok() && again->kind == value.kind);
  if (is_end) {
    // A tree has no archive to tell of.
    if (!value.end.archive_sha256.empty()) MTP_HOLDS(Fields(again->end) == Fields(value.end));
    return;
  }
  MTP_HOLDS(!value.entry.path.empty() && (value.entry.mode & ~07777U) == 0);
  if (value.entry.type == EntryType::kSkipped) {
    MTP_HOLDS(again->entry.path == value.entry.path && again->entry.reason == value.entry.reason);
    return;
  }
  // Only files have a hash, only links a target.
  ManifestEntry entry = value.entry;
  const bool is_link = entry.type == EntryType::kSymlink || entry.type == EntryType::kHardlink;
  if (!is_link) entry.target.clear();
  if (entry.type != EntryType::kFile) entry.sha256.clear();
  MTP_HOLDS(Fields(again->entry) == Fields(entry));
}

EntryType TypeOf(absl::string_view word) {
  if (word == "dir") return EntryType::kFolder;
  if (word == "symlink") return EntryType::kSymlink;
  if (word == "hardlink") return EntryType::kHardlink;
  return EntryType::kFile;
}

// Lines: type, path, target or content.
std::vector<ManifestEntry> ReadEntries(Input* lines, std::vector<std::string>* contents) {
  std::vector<ManifestEntry> entries;
  while (entries.size() < kMaxEntries && !lines->empty()) {
    ManifestEntry entry;
    entry.type = TypeOf(lines->Line());
    // As a walk of a folder finds them: one slash between two names, none before and behind them.
    entry.path = absl::StrJoin(absl::StrSplit(lines->Line(), '/', absl::SkipEmpty()), "/");
    const std::string text = lines->Line();
    if (entry.path.empty() || absl::StrContains(entry.path, '\0') ||
        absl::StrContains(text, '\0')) {
      continue;
    }
    entry.mode = 0640;
    entry.uid = entry.gid = 1000;
    entry.mtime_s = 1'767'225'600;
    const bool is_link = entry.type == EntryType::kSymlink || entry.type == EntryType::kHardlink;
    if (is_link && text.empty()) continue;
    if (is_link) entry.target = text;
    if (entry.type == EntryType::kFile) {
      entry.size = static_cast<int64_t>(text.size());
      Sha256 hash;
      hash.Update(text.data(), text.size());
      entry.sha256 = hash.Finish();
    }
    contents->push_back(entry.type == EntryType::kFile ? text : "");
    entries.push_back(std::move(entry));
  }
  return entries;
}

FileDescriptor InMemory(absl::string_view content) {
  FileDescriptor file(memfd_create("fuzz", MFD_CLOEXEC));
  MTP_HOLDS(pwrite(file.get(), content.data(), content.size(), 0) ==
            static_cast<ssize_t>(content.size()));
  return file;
}

// Every entry of an archive until its end or its first damage.
absl::StatusOr<std::vector<ManifestEntry>> ReadArchive(int fd, int64_t* bytes) {
  std::vector<ManifestEntry> entries;
  auto reader = TarReader::Open(fd);
  if (!reader.ok()) return reader.status();
  while (true) {
    ManifestEntry entry;
    const auto more = (*reader)->Next(&entry, [] { return true; });
    if (!more.ok()) return more.status();
    if (!*more) break;
    MTP_HOLDS(entry.size >= 0);
    entries.push_back(std::move(entry));
  }
  std::string sha256;
  (*reader)->Total(&sha256, bytes);
  return entries;
}

void CheckWritten(const std::vector<ManifestEntry>& entries,
                  const std::vector<std::string>& contents) {
  const FileDescriptor file = InMemory("");
  {
    auto writer = TarWriter::Open(file.get());
    MTP_HOLDS(writer.ok());
    for (size_t i = 0; i < entries.size(); ++i) {
      MTP_HOLDS((*writer)->Begin(entries[i], 0).ok());
      MTP_HOLDS((*writer)->Write(contents[i]).ok());
    }
    std::string sha256;
    int64_t bytes = 0;
    MTP_HOLDS((*writer)->Close(&sha256, &bytes).ok());
    MTP_HOLDS(bytes == lseek(file.get(), 0, SEEK_END));
  }
  MTP_HOLDS(lseek(file.get(), 0, SEEK_SET) == 0);
  int64_t bytes = 0;
  const auto read = ReadArchive(file.get(), &bytes);
  MTP_HOLDS(read.ok() && read->size() == entries.size());
  for (size_t i = 0; i < entries.size(); ++i) MTP_HOLDS(Fields((*read)[i]) == Fields(entries[i]));
}

}  // namespace

// The text is a manifest; its first line is also an entry's path.
void BackupManifest(absl::string_view input) {
  for (const absl::string_view line : absl::StrSplit(input, '\n')) {
    for (const ManifestOf what : {ManifestOf::kArchive, ManifestOf::kTree}) {
      const auto value = ParseManifestLine(Std(line), what);
      MTP_HOLDS(value.ok() || absl::IsDataLoss(value.status()));
      if (value.ok()) CheckLine(*value, what);
    }
  }
  const std::string path = Scratch() + "/manifest";
  PutFile(path, input);
  ManifestReader reader(path, ManifestOf::kTree);
  MTP_HOLDS(reader.IsOpen());
  absl::StatusOr<ManifestLineValue> value;
  do {
    value = reader.Next();
    MTP_HOLDS(value.ok() || absl::IsDataLoss(value.status()));
  } while (value.ok() && value->kind != ManifestLineValue::Kind::kEnd);

  ManifestEntry entry;
  entry.path = Input(input).Line();
  if (entry.path.empty()) return;
  entry.type = EntryType::kSymlink;
  entry.target = entry.path;
  const auto again = ParseManifestLine(ManifestLine(entry));
  MTP_HOLDS(again.ok() && Fields(again->entry) == Fields(entry));
  MTP_HOLDS(!absl::StrContains(ManifestLine(entry), '\n'));
  // Pure, and its answer for folders and files is not the same.
  ExcludedFromBackup(entry.path, true);
  ExcludedFromBackup(entry.path, false);
}

// The text is what the child that checks databases says; and a path and a problem, a line each.
void DatabaseLines(absl::string_view input) {
  const auto line = ParseDatabaseLine(input);
  if (line.ok()) {
    for (const absl::string_view part : absl::StrSplit(line->path, '/')) {
      MTP_HOLDS(line->is_end || (!part.empty() && part != "." && part != ".."));
    }
    MTP_HOLDS(line->problem.size() <= kDatabaseProblemBytesMax && line->checked >= 0);
  } else {
    MTP_HOLDS(absl::IsInvalidArgument(line.status()));
  }
  Input lines(input);
  const DatabaseLine said{.path = lines.Line(), .problem = lines.Line()};
  std::string text = FormatDatabaseLine(said);
  MTP_HOLDS(text.back() == '\n');
  text.pop_back();
  MTP_HOLDS(!absl::StrContains(text, '\n'));
  const auto again = ParseDatabaseLine(text);
  if (!again.ok()) return;
  MTP_HOLDS(again->path == said.path && again->problem == PrintableProblem(said.problem));
  MTP_HOLDS(said.path.front() != '/');
}

// The bytes are an archive, and lines of entries to write into one.
void BackupArchive(absl::string_view input) {
  const FileDescriptor file = InMemory(input);
  int64_t bytes = 0;
  const auto entries = ReadArchive(file.get(), &bytes);
  // The end is known to be the true end.
  MTP_HOLDS(entries.ok() ? bytes == static_cast<int64_t>(input.size())
                         : absl::IsDataLoss(entries.status()));

  Input lines(input);
  std::vector<std::string> contents;
  const std::vector<ManifestEntry> written = ReadEntries(&lines, &contents);
  CheckWritten(written, contents);
}

}  // namespace mtp::fuzz
