// The CLI as a function: arguments in, exit code out.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands/command.h"
#include "cli/commands/environment.h"

namespace mtp::cli {

// Flags of the root that stand before or after any command.
struct GlobalFlags {
  EndpointFlags endpoint;
  std::string output = "table";
  bool json = false;
};

// The whole tree of commands.
std::unique_ptr<CLI::App> MakeTree(GlobalFlags& flags, Chosen& chosen);

// `arguments` without the program's name. Never throws; everything it has to say goes to the
// environment's streams.
int RunCli(const std::vector<std::string>& arguments, Environment& environment);

}  // namespace mtp::cli
