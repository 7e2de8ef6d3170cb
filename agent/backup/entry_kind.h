// What of a client's folder cannot be in a backup.
#pragma once

#include <sys/stat.h>

namespace mtp {

// Words for an entry that is no file, folder or symbolic link.
inline const char* SpecialKind(mode_t mode) {
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISFIFO(mode)) return "a fifo";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "of an unknown kind";
}

}  // namespace mtp
