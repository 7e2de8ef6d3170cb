#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "cli/commands/completion.h"

namespace mtp::cli {
namespace {

bool TakesValue(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// The option of that name on the command or on those above it.
const CLI::Option* FindOption(const CLI::App* command, const std::string& name) {
  for (; command != nullptr; command = command->get_parent()) {
    if (const CLI::Option* option = command->get_option_no_throw(name)) return option;
  }
  return nullptr;
}

const CLI::App* FindCommand(const CLI::App& command, const std::string& name) {
  const auto children =
      command.get_subcommands([&](const CLI::App* child) { return child->get_name() == name; });
  return children.empty() ? nullptr : children.front();
}

void NoteEndpoint(const CLI::Option& option, const std::string& value, EndpointFlags* endpoint) {
  if (option.check_name("--context")) endpoint->context = value;
  if (option.check_name("--controller")) endpoint->controller = value;
  if (option.check_name("--identity")) endpoint->identity = value;
}

void AddFlags(const CLI::App* command, std::vector<Candidate>* candidates) {
  const CLI::App* root = command;
  while (root->get_parent() != nullptr) root = root->get_parent();
  // Not those of a command in between: `backup --all` is no flag of `backup list`.
  for (const CLI::App* owner : {command, root}) {
    for (const CLI::Option* option : owner->get_options()) {
      if (option->get_positional() || option->get_group().empty()) continue;
      for (const std::string& name : option->get_lnames()) {
        candidates->push_back({"--" + name, option->get_description()});
      }
    }
    if (owner == root) return;
  }
}

void AddCommands(const CLI::App& command, std::vector<Candidate>* candidates) {
  for (const CLI::App* child : command.get_subcommands([](const CLI::App*) { return true; })) {
    if (!child->get_group().empty())
      candidates->push_back({child->get_name(), child->get_description()});
  }
}

void ValuesOf(const CLI::Option& option, CompletionPlace* place) {
  if (option.check_name("--output")) place->fixed = {{"table", ""}, {"json", ""}, {"yaml", ""}};
  if (option.check_name("--role")) place->fixed = {{"viewer", ""}, {"operator", ""}, {"admin", ""}};
  if (option.check_name("--failover")) place->fixed = {{"stay", ""}, {"failover", ""}};
  if (option.check_name("--publish-port")) place->fixed = {{"on", ""}, {"off", ""}};
  if (option.check_name("--remove-key")) {
    place->fixed = {{"anthropic", ""}, {"openai", ""}, {"openrouter", ""}};
  }
  if (option.check_name("--host")) place->wanted = Wanted::kHost;
  if (option.check_name("--target")) place->wanted = Wanted::kTenant;
  if (option.check_name("--context")) place->wanted = Wanted::kContext;
  if (option.check_name("--from")) place->wanted = Wanted::kBackup;
  if (option.check_name("--repository")) place->wanted = Wanted::kRepository;
}

Wanted FirstPositional(const CLI::App& command) {
  const std::string& name = command.get_name();
  const std::string group =
      command.get_parent()->get_parent() == nullptr ? "" : command.get_parent()->get_name();
  if (group == "host") return name == "token" || name == "list" ? Wanted::kNothing : Wanted::kHost;
  if (group == "op") return name == "list" ? Wanted::kNothing : Wanted::kOperation;
  if (group == "backup") {
    if (name == "schedule") return Wanted::kTenant;
    for (const char* reading : {"show", "verify", "export"}) {
      if (name == reading) return Wanted::kBackup;
    }
    return Wanted::kBackedUpTenant;
  }
  if (group == "rollout") return name == "list" ? Wanted::kNothing : Wanted::kRollout;
  if (group == "tenant") return Wanted::kTenant;
  if (group == "repository") return name == "check" ? Wanted::kRepository : Wanted::kNothing;
  if (group == "operator") return name == "remove" ? Wanted::kOperator : Wanted::kNothing;
  if (group == "context")
    return name == "add" || name == "list" ? Wanted::kNothing : Wanted::kContext;
  if (name == "logs" || name == "exec" || name == "rpc") return Wanted::kTarget;
  for (const char* changing :
       {"remove", "start", "stop", "restart", "status", "backup", "update"}) {
    if (name == changing) return Wanted::kTenant;
  }
  return Wanted::kNothing;
}

}  // namespace

CompletionPlace FindPlace(const CLI::App& tree, const std::vector<std::string>& words) {
  CompletionPlace place;
  if (words.empty()) return place;
  const CLI::App* command = &tree;
  const CLI::Option* open = nullptr;  // waits for its value
  int positionals = 0;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {  // what follows is a command inside a container, or more names
      if (command->get_name() == "backup") place.wanted = Wanted::kTenant;
      return place;
    }
    if (open != nullptr) {
      NoteEndpoint(*open, word, &place.endpoint);
      open = nullptr;
    } else if (absl::StartsWith(word, "-")) {
      const size_t equals = word.find('=');
      const CLI::Option* option = FindOption(command, word.substr(0, equals));
      if (option == nullptr) continue;
      if (equals != std::string::npos) {
        NoteEndpoint(*option, word.substr(equals + 1), &place.endpoint);
      } else if (TakesValue(*option)) {
        open = option;
      }
    } else if (const CLI::App* child = FindCommand(*command, word); child != nullptr) {
      command = child;
    } else {
      if (positionals++ == 0 && command->get_name() == "restore") place.tenant = word;
    }
  }
  if (open != nullptr) {
    ValuesOf(*open, &place);
  } else if (absl::StartsWith(words.back(), "-")) {
    AddFlags(command, &place.fixed);
  } else if (positionals == 0) {
    AddCommands(*command, &place.fixed);
    if (command->get_name() == "completion")
      place.fixed = {{"bash", ""}, {"zsh", ""}, {"fish", ""}};
    if (place.fixed.empty() || command->get_name() == "backup")
      place.wanted = FirstPositional(*command);
  } else if (command->get_name() == "backup" || command->get_name() == "update") {
    place.wanted = Wanted::kTenant;
  } else if (command->get_name() == "prune") {
    place.wanted = Wanted::kBackedUpTenant;
  } else if (command->get_name() == "rpc" && positionals == 1) {
    place.fixed = {{"health", "State of the gateway"}, {"status", "Sessions and channels"}};
  }
  return place;
}

}  // namespace mtp::cli
