#include "tests/unit/agent/random_changes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

namespace mtp {

RandomChanges::RandomChanges(std::string top, uint32_t seed)
    : top_(std::move(top)), random_(seed) {}

void RandomChanges::Change() {
  const std::string path = Path();
  const std::string other = Path();
  std::error_code ignored;
  switch (random_() % 10) {
    case 0:
    case 1:
      if (!std::filesystem::is_symlink(path)) {
        std::ofstream(path, std::ios::app) << std::string(random_() % 70'000, Letter());
      }
      break;
    case 2:
      std::filesystem::create_directory(path, ignored);
      break;
    case 3:
      std::filesystem::remove_all(path, ignored);
      break;
    case 4:
      std::filesystem::rename(path, other, ignored);
      break;
    case 5:
      std::filesystem::create_hard_link(path, other, ignored);
      break;
    case 6:
      std::filesystem::create_symlink("../" + std::string(1, Letter()), path, ignored);
      break;
    case 7:
      if (!std::filesystem::is_symlink(path)) chmod(path.c_str(), 0600 | (random_() % 0100));
      break;
    case 8:
      lchown(path.c_str(), 1000 + random_() % 3, 1000 + random_() % 3);
      break;
    case 9:
      if (std::filesystem::is_regular_file(std::filesystem::symlink_status(path))) {
        truncate(path.c_str(), static_cast<off_t>(random_() % 200'000));
      }
      break;
  }
}

char RandomChanges::Letter() { return static_cast<char>('a' + random_() % 5); }

std::string RandomChanges::Path() {
  std::string path = top_;
  for (uint32_t depth = 1 + random_() % 3; depth > 0; --depth) {
    path += '/';
    path += Letter();
  }
  return path;
}

}  // namespace mtp
