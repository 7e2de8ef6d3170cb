// Entries of a client's folder as manifests describe them.
#pragma once

#include <sys/stat.h>

#include <string>

#include "agent/backup/manifest.h"

namespace mtp {

// What stat(2) says of the entry; no nanoseconds, no content, no target.
inline ManifestEntry EntryOf(const std::string& path, EntryType type, const struct stat& info) {
  ManifestEntry entry;
  entry.path = path;
  entry.type = type;
  entry.mode = info.st_mode & 07777;
  entry.uid = info.st_uid;
  entry.gid = info.st_gid;
  entry.mtime_s = info.st_mtim.tv_sec;
  return entry;
}

// Words for an entry that is no file, folder or symbolic link.
inline const char* SpecialKind(mode_t mode) {
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISFIFO(mode)) return "a fifo";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "of an unknown kind";
}

}  // namespace mtp
