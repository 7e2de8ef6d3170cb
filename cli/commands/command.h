// How commands are declared. Each file of this folder adds one group of commands to the tree and
// leaves what is to be run in Chosen.
#pragma once

#include <absl/status/statusor.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "cli/commands/invocation.h"

namespace mtp::cli {

// Runs one command; the value is the exit code, 0 but for `exec`. Errors become exit codes by
// ExitOf.
using Action = std::function<absl::StatusOr<int>(Invocation&)>;

// The action of the command that was typed.
struct Chosen {
  Action run;
};

// Adds a command whose arguments are in `options`, which lives as long as the command may run:
//   auto [command, options] = AddCommand<StopOptions>(parent, chosen, "stop", "Stop a tenant",
//   Stop); command->add_option("NAME", options->name)->required();
template <class Options>
struct Added {
  CLI::App* command;
  std::shared_ptr<Options> options;
};

template <class Options>
Added<Options> AddCommand(CLI::App& parent, Chosen& chosen, const std::string& name,
                          const std::string& description,
                          absl::StatusOr<int> (*run)(Invocation&, const Options&)) {
  auto options = std::make_shared<Options>();
  CLI::App* command = parent.add_subcommand(name, description);
  command->callback([&chosen, options, run] {
    chosen.run = [options, run](Invocation& invocation) { return run(invocation, *options); };
  });
  return {command, options};
}

void AddProvision(CLI::App& root, Chosen& chosen);
void AddLifecycle(CLI::App& root, Chosen& chosen);  // remove, start, stop, restart
void AddStatus(CLI::App& root, Chosen& chosen);     // status
void AddTenant(CLI::App& root, Chosen& chosen);     // tenant show, tenant set, tenant failover
// Added to `tenant`.
void AddTenantSet(CLI::App& tenant, Chosen& chosen);
void AddTenantFailover(CLI::App& tenant, Chosen& chosen);
void AddBackup(CLI::App& root, Chosen& chosen);   // backup, backup …
void AddUpdate(CLI::App& root, Chosen& chosen);   // update
void AddRollout(CLI::App& root, Chosen& chosen);  // rollout …
void AddRepository(CLI::App& root, Chosen& chosen);
void AddRecoveryKit(CLI::App& root, Chosen& chosen);
void AddCapacity(CLI::App& root, Chosen& chosen);
void AddTenantAccess(CLI::App& root, Chosen& chosen);  // logs, exec, rpc
void AddHost(CLI::App& root, Chosen& chosen);
void AddOperation(CLI::App& root, Chosen& chosen);  // op …
void AddAudit(CLI::App& root, Chosen& chosen);
void AddOperator(CLI::App& root, Chosen& chosen);
void AddAuthority(CLI::App& root, Chosen& chosen);
void AddContext(CLI::App& root, Chosen& chosen);
void AddCompletion(CLI::App& root, Chosen& chosen);  // completion, and the hidden __complete
void AddManual(CLI::App& root, Chosen& chosen);
void AddVersion(CLI::App& root, Chosen& chosen);

}  // namespace mtp::cli
