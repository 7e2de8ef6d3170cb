// Manual pages, made of a program's own declarations of its commands: one page for the program and
// one for each of its commands (`mtp-cli-backup-restore`), as `git` has them. Hidden commands and
// options have none.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace mtp {

// What the declarations do not say.
struct ManualInfo {
  // 1 for what users call, 8 for what runs on servers.
  int section = 1;
  std::string version;
  // Of the program's own page, behind its options. Lines in `text` stay lines.
  struct Part {
    std::string title;
    std::string text;
  };
  std::vector<Part> parts;
};

struct ManualPage {
  std::string file;  // `mtp-cli-status.1`
  std::string text;  // for man(7)
};

// The same for the same declarations. `program` is the root of the commands.
std::vector<ManualPage> ManualPages(const CLI::App& program, const ManualInfo& info);

// Of a program that runs on servers; `see_also` names others, as `mtp-cli(1), mtp-agent(8)`.
ManualInfo ServerManual(const std::string& see_also);

// Declares the command `manual FOLDER`; what was typed comes into `folder`, which must outlive
// `program`.
CLI::App* AddManualCommand(CLI::App& program, std::string* folder);

// Writes them into `folder`, which it makes when it is absent; pages of that name are replaced.
absl::Status WriteManual(const std::vector<ManualPage>& pages, const std::string& folder);

}  // namespace mtp
