#include "agent/backup/manifest.h"

#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <nlohmann/json.hpp>

namespace mtp {
namespace {

// Keeps the members in the order they are written, so that people find the path first.
using Json = nlohmann::ordered_json;

const char* FormatOf(ManifestOf what) {
  switch (what) {
    case ManifestOf::kArchive:
      return "mtp-archive/1";
    case ManifestOf::kTree:
      return "mtp-tree/1";
  }
  return "";
}

const char* TypeName(EntryType type) {
  switch (type) {
    case EntryType::kFile:
      return "file";
    case EntryType::kFolder:
      return "dir";
    case EntryType::kSymlink:
      return "symlink";
    case EntryType::kHardlink:
      return "hardlink";
    case EntryType::kSkipped:
      return "skipped";
  }
  return "";
}

bool ParseType(const std::string& name, EntryType* type) {
  for (EntryType known : {EntryType::kFile, EntryType::kFolder, EntryType::kSymlink,
                          EntryType::kHardlink, EntryType::kSkipped}) {
    if (name == TypeName(known)) {
      *type = known;
      return true;
    }
  }
  return false;
}

// JSON carries UTF-8 only; other bytes go as `<key>_base64`.
void PutBytes(Json* json, const std::string& key, const std::string& bytes) {
  (*json)[key] = bytes;
  try {
    (void)(*json)[key].dump();
  } catch (const Json::exception&) {
    json->erase(key);
    (*json)[key + "_base64"] = absl::Base64Escape(bytes);
  }
}

std::string Text(const Json& json, const std::string& key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string GetBytes(const Json& json, const std::string& key) {
  std::string bytes;
  if (absl::Base64Unescape(Text(json, key + "_base64"), &bytes) && !bytes.empty()) return bytes;
  return Text(json, key);
}

int64_t Number(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_integer() ? found->get<int64_t>() : -1;
}

}  // namespace

std::string ManifestHeadLine(ManifestOf what) { return Json({{"format", FormatOf(what)}}).dump(); }

std::string ManifestLine(const ManifestEntry& entry) {
  Json json;
  PutBytes(&json, "path", entry.path);
  json["type"] = TypeName(entry.type);
  if (entry.type == EntryType::kSkipped) {
    json["reason"] = entry.reason;
    return json.dump();
  }
  json["mode"] = absl::StrFormat("%04o", entry.mode);
  json["uid"] = entry.uid;
  json["gid"] = entry.gid;
  json["mtime"] = entry.mtime_s;
  if (entry.mtime_ns != 0) json["mtime_ns"] = entry.mtime_ns;
  if (entry.type == EntryType::kFile) {
    json["size"] = entry.size;
    json["sha256"] = entry.sha256;
  }
  if (entry.type == EntryType::kSymlink || entry.type == EntryType::kHardlink) {
    PutBytes(&json, "target", entry.target);
  }
  if (entry.changed) json["changed"] = true;
  return json.dump();
}

std::string ManifestLine(const ManifestEnd& end) {
  Json json = {{"end", true}};
  if (!end.archive_sha256.empty()) {
    json["archive_sha256"] = end.archive_sha256;
    json["archive_bytes"] = end.archive_bytes;
  }
  json["entries"] = end.entries;
  json["files"] = end.files;
  json["content_bytes"] = end.content_bytes;
  json["skipped"] = end.skipped;
  return json.dump();
}

absl::StatusOr<ManifestLineValue> ParseManifestLine(std::string_view line, ManifestOf what) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError("the manifest has a line that is no object");
  ManifestLineValue value;
  if (json.contains("format")) {
    if (Text(json, "format") != FormatOf(what)) {
      return absl::DataLossError(
          absl::StrCat("the manifest is not of the format ", FormatOf(what)));
    }
    return value;
  }
  if (json.contains("end")) {
    value.kind = ManifestLineValue::Kind::kEnd;
    value.end = {Text(json, "archive_sha256"),  Number(json, "archive_bytes"),
                 Number(json, "entries"),       Number(json, "files"),
                 Number(json, "content_bytes"), Number(json, "skipped")};
    return value;
  }
  value.kind = ManifestLineValue::Kind::kEntry;
  ManifestEntry& entry = value.entry;
  entry.path = GetBytes(json, "path");
  if (entry.path.empty() || !ParseType(Text(json, "type"), &entry.type)) {
    return absl::DataLossError("the manifest has a line without a path or a known type");
  }
  entry.reason = Text(json, "reason");
  uint32_t mode = 0;
  for (const char digit : Text(json, "mode")) {
    mode = mode << 3 | static_cast<uint32_t>((digit - '0') & 7);
  }
  entry.mode = mode & 07777;
  entry.uid = static_cast<uid_t>(Number(json, "uid"));
  entry.gid = static_cast<gid_t>(Number(json, "gid"));
  entry.mtime_s = Number(json, "mtime");
  entry.mtime_ns = json.contains("mtime_ns") ? Number(json, "mtime_ns") : 0;
  entry.size = entry.type == EntryType::kFile ? Number(json, "size") : 0;
  entry.sha256 = Text(json, "sha256");
  entry.target = GetBytes(json, "target");
  entry.changed = json.contains("changed");
  return value;
}

}  // namespace mtp
