#include "agent/backup/exclusions.h"

namespace mtp {
namespace {

constexpr std::string_view kFolders[] = {".openclaw/cache", ".openclaw/tmp", ".openclaw/logs"};
// node_modules is left out exactly one level below these, where a package.json beside it brings it
// back.
constexpr std::string_view kModuleParents[] = {".openclaw/extensions", ".openclaw/skills",
                                               "workspace/skills"};
constexpr std::string_view kModules = "node_modules";

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool StartsWith(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

// Lock files of dependencies, such as `yarn.lock`, are content: they live in extensions, skills and
// the workspace.
bool IsProcessLock(std::string_view path) {
  return EndsWith(path, ".lock") && StartsWith(path, ".openclaw/") &&
         !StartsWith(path, ".openclaw/extensions/") && !StartsWith(path, ".openclaw/skills/");
}

// `parent/<one component>/node_modules`
bool IsModuleFolder(std::string_view path, std::string_view parent) {
  if (!StartsWith(path, parent)) return false;
  path.remove_prefix(parent.size());
  if (path.empty() || path.front() != '/') return false;
  path.remove_prefix(1);
  const size_t slash = path.find('/');
  return slash != std::string_view::npos && slash > 0 && path.substr(slash + 1) == kModules;
}

}  // namespace

bool ExcludedFromBackup(std::string_view path, bool is_folder) {
  if (!is_folder) return IsProcessLock(path);
  for (std::string_view folder : kFolders) {
    if (path == folder) return true;
  }
  if (path == "workspace/node_modules") return true;
  for (std::string_view parent : kModuleParents) {
    if (IsModuleFolder(path, parent)) return true;
  }
  return false;
}

}  // namespace mtp
