// Copies of the controller's state. They are sealed, so a stranger's bytes end at the seal; behind
// it stands what some version of the controller has written.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <zstd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "common/base/secret_box.h"
#include "common/base/utf8.h"
#include "controller/recovery/collect.h"
#include "controller/recovery/copy_pack.h"
#include "controller/recovery/copy_seal.h"
#include "controller/recovery/data_folder.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace mtp::fuzz {
namespace {

namespace fs = std::filesystem;

// A copy says its own size, and it is believed behind the seal.
constexpr uint64_t kMaxUnpackedBytes = 4 << 20;
constexpr int kMaxParts = 12;

std::string Text(const std::string& bytes) { return ValidUtf8(bytes, bytes.size()); }

// Lines: `file` and a path, or a key; then the content.
state::v1::StateCopy ReadCopy(Input* lines) {
  state::v1::StateCopy copy;
  copy.set_format(kCopyFormat);
  copy.set_fleet("fleet1");
  for (int i = 0; i < kMaxParts && !lines->empty(); ++i) {
    const std::string name = Text(lines->Line());
    const std::string content = lines->Line();
    if (absl::StartsWith(name, "file ")) {
      auto* file = copy.add_files();
      file->set_path(name.substr(5));
      file->set_content(content);
    } else {
      auto* record = copy.add_records();
      record->set_key(name);
      record->set_value(content);
      record->set_secrets(static_cast<int32_t>(content.size() % 3));
    }
  }
  copy.add_secrets("a secret");
  return copy;
}

void CheckSealed(absl::string_view packed, size_t at) {
  const SecretString key = CopyKey(std::string(64, 'a'), "fleet1");
  const auto sealed = SealCopy(packed, key);
  MTP_HOLDS(sealed.ok());
  const auto opened = OpenCopy(*sealed, key);
  MTP_HOLDS(opened.ok() && opened->Equals(packed));
  std::string changed = *sealed;
  changed[at % changed.size()] ^= 1;
  MTP_HOLDS(!OpenCopy(changed, key).ok());
  MTP_HOLDS(!OpenCopy(sealed->substr(0, at % sealed->size()), key).ok());
  MTP_HOLDS(!OpenCopy(*sealed, CopyKey(std::string(64, 'a'), "fleet2")).ok());
}

// All that is in the folder, relative to it.
std::set<std::string> FilesIn(const std::string& folder) {
  std::set<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    files.insert(fs::relative(entry.path(), folder));
  }
  return files;
}

}  // namespace

// The bytes are a packed copy, a sealed one, a sealed secret; and lines of ReadCopy.
void RecoveryCopy(absl::string_view input) {
  const auto opened = OpenCopy(input, CopyKey(std::string(64, 'a'), "fleet1"));
  MTP_HOLDS(absl::IsDataLoss(opened.status()) || absl::IsInvalidArgument(opened.status()));
  static const SecretBox box = SecretBox::ForTest();
  MTP_HOLDS(absl::IsDataLoss(box.Open(input, "/tenants/acme").status()));
  const std::string sealed = box.Seal(input, "/tenants/acme");
  MTP_HOLDS(box.Open(sealed, "/tenants/acme")->Equals(input));
  MTP_HOLDS(!box.Open(sealed, "/tenants/acm").ok());

  const uint64_t size = ZSTD_getFrameContentSize(input.data(), input.size());
  if (size <= kMaxUnpackedBytes || size == ZSTD_CONTENTSIZE_ERROR ||
      size == ZSTD_CONTENTSIZE_UNKNOWN) {
    const auto unpacked = UnpackCopy(input);
    MTP_HOLDS(unpacked.ok() || absl::IsDataLoss(unpacked.status()) ||
              absl::IsFailedPrecondition(unpacked.status()));
  }
  Input lines(input);
  const state::v1::StateCopy copy = ReadCopy(&lines);
  const auto packed = PackCopy(copy);
  MTP_HOLDS(packed.ok());
  const auto again = UnpackCopy(packed->Reveal());
  MTP_HOLDS(again.ok() && again->SerializeAsString() == copy.SerializeAsString());
  CheckSealed(packed->Reveal(), input.size() * 7);
}

// Lines of ReadCopy, become a data folder. Nothing is written beside it.
void RecoveryFolder(absl::string_view input) {
  Input lines(input);
  state::v1::StateCopy copy = ReadCopy(&lines);
  const std::string home = Scratch() + "/recovery";
  const std::string folder = home + "/data";
  fs::remove_all(home);
  fs::create_directories(home);
  const auto done = WriteDataFolder(&copy, folder, absl::FromUnixSeconds(1'767'225'600));
  for (const std::string& file : FilesIn(home)) {
    MTP_HOLDS(file == "data" || absl::StartsWith(file, "data/"));
  }
  if (!done.ok()) {
    // `run` refuses it, and it can be written again.
    MTP_HOLDS(!fs::exists(folder + "/controller.yaml") && CheckDataFolder(folder).ok());
    return;
  }
  for (const char* path : kCopiedFiles) MTP_HOLDS(fs::exists(absl::StrCat(folder, "/", path)));
  MTP_HOLDS(!fs::exists(folder + "/recovering"));
  std::set<std::string> others = FilesIn(folder);
  for (const char* path : kCopiedFiles) others.erase(path);
  for (const std::string& file : others) {
    MTP_HOLDS(file == "pki" || absl::StartsWith(file, "state.db"));
  }
}

}  // namespace mtp::fuzz
