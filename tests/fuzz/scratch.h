// A folder for what a target must read from files.
#pragma once

#include <absl/strings/string_view.h>

#include <fstream>
#include <string>

#include "tests/support/temp_folder.h"

namespace mtp::fuzz {

// One for the process, removed at its end.
inline const std::string& Scratch() {
  static const testing::TempFolder folder;
  return folder.path();
}

// Not synced, unlike the product's own.
inline void PutFile(const std::string& path, absl::string_view content) {
  std::ofstream(path, std::ios::binary)
      .write(content.data(), static_cast<std::streamsize>(content.size()));
}

}  // namespace mtp::fuzz
