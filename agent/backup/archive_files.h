// Where an archive, its manifest and their unfinished forms are.
#pragma once

#include <string>

namespace mtp {

inline constexpr char kManifestSuffix[] = ".manifest.json";
// Of files that are being written. Nothing else in a backup folder begins so.
inline constexpr char kPartialPrefix[] = ".mtp-partial-";

inline std::string ArchiveFolder(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}
inline std::string ArchiveName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace mtp
