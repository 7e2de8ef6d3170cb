#include "common/base/version.h"

#include <absl/strings/str_cat.h>

#include "cli/commands/command.h"

namespace mtp::cli {
namespace {

struct VersionOptions {};

absl::StatusOr<int> Version(Invocation& invocation, const VersionOptions&) {
  invocation.Print({{"version", kVersion}},
                   [] { return absl::StrCat("mtp-cli ", kVersion, "\n"); });
  return 0;
}

}  // namespace

void AddVersion(CLI::App& root, Chosen& chosen) {
  AddCommand<VersionOptions>(root, chosen, "version", "Show the version of this program", Version);
}

}  // namespace mtp::cli
