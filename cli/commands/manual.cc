#include "common/manual/manual.h"

#include "cli/commands/command.h"
#include "cli/commands/run.h"
#include "common/base/status.h"
#include "common/base/version.h"

namespace mtp::cli {
namespace {

struct ManualOptions {
  std::string folder;
};

// docs/cli.md says the same at more length.
ManualInfo Info() {
  return {.section = 1,
          .version = kVersion,
          .parts = {{"EXIT STATUS",
                     R"(0  done
1  tried and failed
2  wrong usage: a flag, a name, a file; nothing was changed
3  refused by a rule: duplicate, unknown, no room, not allowed
4  the controller is unreachable: repeat it with the same --request-id
5  the wait ended, the operation goes on: mtp-cli op watch ID)"},
                    {"ENVIRONMENT",
                     R"(MTP_CONTEXT  the context to use
MTP_CONFIG   the file with the contexts
NO_COLOR     no colours, whatever its value
COLUMNS      the width of tables in a pipe)"},
                    {"FILES",
                     R"(~/.config/mtp/config.yaml    contexts: where controllers are
~/.config/mtp/identities/    the caller's key and certificate)"},
                    {"EXAMPLES",
                     R"(mtp-cli status --watch
mtp-cli provision acme --telegram-token-file FILE --anthropic-key-file FILE
mtp-cli backup --all
mtp-cli backup restore acme --host h2
mtp-cli update --all --image IMAGE --canary 1
mtp-cli op list --active -o json)"},
                    {"SEE ALSO", "mtp-controller(8), mtp-agent(8)"}}};
}

absl::StatusOr<int> Manual(Invocation&, const ManualOptions& options) {
  GlobalFlags flags;
  Chosen chosen;
  MTP_RETURN_IF_ERROR(WriteManual(ManualPages(*MakeTree(flags, chosen), Info()), options.folder));
  return 0;
}

}  // namespace

void AddManual(CLI::App& root, Chosen& chosen) {
  auto [manual, options] = AddCommand<ManualOptions>(
      root, chosen, "manual", "Write this program's manual pages, for man, into a folder", Manual);
  manual->add_option("FOLDER", options->folder, "Made when it is absent")
      ->required()
      ->type_name("FOLDER");
}

}  // namespace mtp::cli
