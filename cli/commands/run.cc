#include "cli/commands/run.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>

#include "cli/output/failure.h"
#include "common/base/version.h"

namespace mtp::cli {
namespace {

absl::StatusOr<Format> ParseFormat(const GlobalFlags& flags) {
  if (flags.json || flags.output == "json") return Format::kJson;
  if (flags.output == "yaml") return Format::kYaml;
  if (flags.output == "table") return Format::kTable;
  return absl::InvalidArgumentError("-o takes table, json or yaml");
}

int Fail(Invocation& invocation, const absl::Status& status) {
  invocation.environment.out << std::flush;
  invocation.environment.err << (invocation.format == Format::kTable
                                     ? FailureText(status, invocation.err_colour())
                                     : FailureJson(status))
                             << std::flush;
  return static_cast<int>(ExitOf(status));
}

// Words that were left over may be secrets that were meant for a flag: only names of flags are
// repeated.
std::string Unexpected(const CLI::App& tree) {
  std::vector<std::string> flags;
  for (const std::string& word : tree.remaining(/*recurse=*/true)) {
    if (absl::StartsWith(word, "-")) flags.push_back(word.substr(0, word.find('=')));
  }
  if (flags.empty()) return "there are more arguments than the command takes";
  return absl::StrCat("the command does not know ", absl::StrJoin(flags, ", "));
}

const CLI::App& Deepest(const CLI::App& tree) {
  const auto parsed = tree.get_subcommands();
  return parsed.empty() ? tree : Deepest(*parsed.back());
}

// A word where a command should stand.
std::string UnknownCommand(const CLI::App& tree) {
  const CLI::App& deepest = Deepest(tree);
  const std::vector<std::string> words = tree.remaining(/*recurse=*/true);
  const bool takes_commands = deepest.get_require_subcommand_min() > 0;
  if (!takes_commands || words.empty() || absl::StartsWith(words[0], "-")) return "";
  return absl::StrCat("there is no command ", words[0]);
}

// A command for a container; or tenants to back up, which may be named like commands of `backup`.
bool TakesTrailing(const CLI::App& tree) {
  if (tree.got_subcommand("exec") || tree.got_subcommand("__complete")) return true;
  return tree.got_subcommand("backup") && &Deepest(tree) == tree.get_subcommand("backup");
}

std::string FullName(const CLI::App& command) {
  if (command.get_parent() == nullptr) return command.get_name();
  return absl::StrCat(FullName(*command.get_parent()), " ", command.get_name());
}

absl::Status UsageError(const CLI::App& tree, const std::string& message) {
  return WithHint(absl::InvalidArgumentError(message),
                  absl::StrCat(FullName(Deepest(tree)), " --help"));
}

// What a sentence of CLI11 says, beginning as ours do.
std::string Sentence(std::string text) {
  if (const size_t line = text.find('\n'); line != std::string::npos) text.resize(line);
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z')
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

}  // namespace

std::unique_ptr<CLI::App> MakeTree(GlobalFlags& flags, Chosen& chosen) {
  auto tree = std::make_unique<CLI::App>("Runs many clients' OpenClaw containers on several hosts.",
                                         "mtp-cli");
  tree->fallthrough();  // global flags may stand behind the command, too
  tree->require_subcommand(1);
  tree->set_version_flag("--version", kVersion);
  tree->get_formatter()->column_width(34);
  tree->add_option("-o,--output", flags.output, "table, json or yaml")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "yaml"}));
  tree->add_flag("--json", flags.json, "The same as -o json");
  tree->add_option("--context", flags.endpoint.context,
                   "Context to use; else $MTP_CONTEXT, else the current one")
      ->type_name("NAME");
  tree->add_option("--controller", flags.endpoint.controller, "Where the controller is")
      ->type_name("ADDRESS:PORT");
  tree->add_option("--identity", flags.endpoint.identity,
                   "Folder with key.pem, cert.pem and ca.pem")
      ->type_name("FOLDER");
  AddProvision(*tree, chosen);
  AddLifecycle(*tree, chosen);
  AddStatus(*tree, chosen);
  AddTenant(*tree, chosen);
  AddBackup(*tree, chosen);
  AddUpdate(*tree, chosen);
  AddRollout(*tree, chosen);
  AddRepository(*tree, chosen);
  AddRecoveryKit(*tree, chosen);
  AddTenantAccess(*tree, chosen);
  AddHost(*tree, chosen);
  AddCapacity(*tree, chosen);
  AddOperation(*tree, chosen);
  AddAudit(*tree, chosen);
  AddOperator(*tree, chosen);
  AddAuthority(*tree, chosen);
  AddContext(*tree, chosen);
  AddCompletion(*tree, chosen);
  AddManual(*tree, chosen);
  AddVersion(*tree, chosen);
  return tree;
}

int RunCli(const std::vector<std::string>& arguments, Environment& environment) {
  GlobalFlags flags;
  Chosen chosen;
  Invocation invocation{.environment = environment};
  // What stands behind `--` belongs to exec, or is a name for backup, and is nobody's flag.
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  std::vector<std::string> words(arguments.begin(), dashes);
  invocation.has_trailing = dashes != arguments.end();
  if (invocation.has_trailing) invocation.trailing.assign(dashes + 1, arguments.end());
  // Known before parsing, so that a refusal to parse already comes in the wanted form.
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--json" || words[i] == "-ojson" || words[i] == "--output=json" ||
        ((words[i] == "-o" || words[i] == "--output") && i + 1 < words.size() &&
         words[i + 1] == "json")) {
      invocation.format = Format::kJson;
    }
  }

  const std::unique_ptr<CLI::App> tree = MakeTree(flags, chosen);
  try {
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    tree->parse(words);
  } catch (const CLI::CallForHelp&) {
    environment.out << tree->help() << std::flush;
    return 0;
  } catch (const CLI::CallForVersion&) {
    environment.out << "mtp-cli " << kVersion << std::endl;
    return 0;
  } catch (const CLI::ExtrasError&) {
    return Fail(invocation, UsageError(*tree, Unexpected(*tree)));
  } catch (const CLI::RequiredError& error) {
    const std::string unknown = UnknownCommand(*tree);
    return Fail(invocation, UsageError(*tree, unknown.empty() ? Sentence(error.what()) : unknown));
  } catch (const CLI::ParseError& error) {
    return Fail(invocation, UsageError(*tree, Sentence(error.what())));
  }
  const absl::StatusOr<Format> format = ParseFormat(flags);
  if (!format.ok()) return Fail(invocation, format.status());
  invocation.format = *format;
  invocation.endpoint = flags.endpoint;
  if (invocation.has_trailing && !TakesTrailing(*tree)) {
    return Fail(invocation, UsageError(*tree, "only exec and backup take words behind --"));
  }
  const absl::StatusOr<int> done = chosen.run(invocation);
  return done.ok() ? *done : Fail(invocation, done.status());
}

}  // namespace mtp::cli
