#include "common/manual/manual.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>

#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "common/base/version.h"

namespace mtp {
namespace {

// Text as it is: hyphens that can be copied, no escapes, no line that begins a request.
std::string Escaped(absl::string_view text) {
  std::string escaped = absl::StrReplaceAll(text, {{"\\", "\\e"}, {"-", "\\-"}});
  if (absl::StartsWith(escaped, ".") || absl::StartsWith(escaped, "'")) escaped.insert(0, "\\&");
  return escaped;
}

std::string Bold(absl::string_view text) { return absl::StrCat("\\fB", Escaped(text), "\\fR"); }
std::string Italic(absl::string_view text) { return absl::StrCat("\\fI", Escaped(text), "\\fR"); }

std::string Sentence(absl::string_view text) {
  std::string sentence = Escaped(text);
  if (!sentence.empty() && !absl::EndsWith(sentence, ".")) sentence += ".";
  return sentence;
}

// `mtp-cli backup restore`
std::string FullName(const CLI::App& command) {
  if (command.get_parent() == nullptr) return command.get_name();
  return absl::StrCat(FullName(*command.get_parent()), " ", command.get_name());
}

std::string PageName(const CLI::App& command) {
  return absl::StrReplaceAll(FullName(command), {{" ", "-"}});
}

std::vector<const CLI::App*> CommandsOf(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App* child) { return !child->get_group().empty(); });
}

std::vector<const CLI::Option*> OptionsOf(const CLI::App& command, bool positional) {
  return command.get_options([positional](const CLI::Option* option) {
    return !option->get_group().empty() && option->get_positional() == positional;
  });
}

bool TakesValue(const CLI::Option& option) { return option.get_items_expected_max() > 0; }
bool MayRepeat(const CLI::Option& option) { return option.get_items_expected_max() > 1; }

// `NAME`, `ADDRESS:PORT`: without what checks say of themselves behind it.
std::string ValueName(const CLI::Option& option) {
  std::string name = option.get_type_name();
  for (const char* check : {":{", ":INT in ", ":POSITIVE", ":NONNEGATIVE"}) {
    if (const size_t at = name.find(check); at != std::string::npos) name.resize(at);
  }
  return name.empty() ? "VALUE" : name;
}

// `-o, --output FORMAT`
std::string OptionHead(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back(Bold("-" + name));
  for (const std::string& name : option.get_lnames()) names.push_back(Bold("--" + name));
  std::string head = absl::StrJoin(names, ", ");
  if (TakesValue(option)) absl::StrAppend(&head, " ", Italic(ValueName(option)));
  return head;
}

std::string PositionalHead(const CLI::Option& option) {
  const std::string name = Italic(absl::AsciiStrToUpper(option.get_single_name()));
  const std::string repeated = absl::StrCat(name, MayRepeat(option) ? "..." : "");
  return option.get_required() ? repeated : absl::StrCat("[", repeated, "]");
}

std::string OptionText(const CLI::Option& option) {
  std::string text = Sentence(option.get_description());
  if (!option.get_positional() && option.get_required()) absl::StrAppend(&text, " Required.");
  if (!option.get_default_str().empty())
    absl::StrAppend(&text, " Default: ", Escaped(option.get_default_str()), ".");
  for (const CLI::Option* other : option.get_excludes())
    absl::StrAppend(&text, " Not with ", Bold(other->get_name()), ".");
  return text;
}

void AppendItem(const std::string& head, const std::string& text, std::string* page) {
  absl::StrAppend(page, ".TP\n", head, "\n", text.empty() ? "\\&" : text, "\n");
}

void AppendSynopsis(const CLI::App& command, std::string* page) {
  absl::StrAppend(page, ".SH SYNOPSIS\n", Bold(FullName(command)));
  if (!OptionsOf(command, /*positional=*/false).empty())
    absl::StrAppend(page, " [", Italic("OPTION"), "...]");
  for (const CLI::Option* option : OptionsOf(command, /*positional=*/true))
    absl::StrAppend(page, " ", PositionalHead(*option));
  if (!CommandsOf(command).empty()) {
    const bool needed = command.get_require_subcommand_min() > 0;
    absl::StrAppend(page, needed ? " " : " [", Italic("COMMAND"), needed ? "" : "]");
  }
  absl::StrAppend(page, "\n");
}

void AppendOptions(const CLI::App& command, std::string* page) {
  const auto positionals = OptionsOf(command, /*positional=*/true);
  if (!positionals.empty()) absl::StrAppend(page, ".SH ARGUMENTS\n");
  for (const CLI::Option* option : positionals)
    AppendItem(PositionalHead(*option), OptionText(*option), page);
  const auto options = OptionsOf(command, /*positional=*/false);
  if (!options.empty()) absl::StrAppend(page, ".SH OPTIONS\n");
  for (const CLI::Option* option : options)
    AppendItem(OptionHead(*option), OptionText(*option), page);
}

std::string Reference(const CLI::App& command, int section) {
  return absl::StrCat(Bold(PageName(command)), "(", section, ")");
}

void AppendCommands(const CLI::App& command, int section, std::string* page) {
  const auto commands = CommandsOf(command);
  if (!commands.empty()) absl::StrAppend(page, ".SH COMMANDS\n");
  for (const CLI::App* child : commands)
    AppendItem(Reference(*child, section), Sentence(child->get_description()), page);
}

void AppendPart(const ManualInfo::Part& part, std::string* page) {
  absl::StrAppend(page, ".SH ", part.title, "\n.nf\n");
  for (const absl::string_view line : absl::StrSplit(absl::StripAsciiWhitespace(part.text), '\n'))
    absl::StrAppend(page, line.empty() ? ".sp" : Escaped(line), "\n");
  absl::StrAppend(page, ".fi\n");
}

void AppendPages(const CLI::App& command, const ManualInfo& info, std::vector<ManualPage>* pages) {
  const std::string name = PageName(command);
  const bool is_program = command.get_parent() == nullptr;
  std::string page =
      absl::StrCat(".\\\" Made by the program itself: the command `manual`.\n.TH ",
                   Escaped(absl::AsciiStrToUpper(name)), " ", info.section, " \"\" \"MTP ",
                   Escaped(info.version), "\" \"MTP\"\n.SH NAME\n", Escaped(name), " \\- ",
                   Escaped(absl::StripSuffix(command.get_description(), ".")), "\n");
  AppendSynopsis(command, &page);
  AppendOptions(command, &page);
  AppendCommands(command, info.section, &page);
  if (is_program) {
    for (const ManualInfo::Part& part : info.parts) AppendPart(part, &page);
  } else {
    const CLI::App* root = &command;
    while (root->get_parent() != nullptr) root = root->get_parent();
    std::vector<std::string> others = {Reference(*root, info.section)};
    if (command.get_parent() != root)
      others.push_back(Reference(*command.get_parent(), info.section));
    absl::StrAppend(&page, ".SH SEE ALSO\n", absl::StrJoin(others, ",\n"), "\n");
  }
  pages->push_back({absl::StrCat(name, ".", info.section), std::move(page)});
  for (const CLI::App* child : CommandsOf(command)) AppendPages(*child, info, pages);
}

}  // namespace

std::vector<ManualPage> ManualPages(const CLI::App& program, const ManualInfo& info) {
  std::vector<ManualPage> pages;
  AppendPages(program, info, &pages);
  return pages;
}

ManualInfo ServerManual(const std::string& see_also) {
  return {.section = 8,
          .version = kVersion,
          .parts = {{"EXIT STATUS", "0  done\n1  failed\n2  wrong usage"}, {"SEE ALSO", see_also}}};
}

CLI::App* AddManualCommand(CLI::App& program, std::string* folder) {
  CLI::App* manual =
      program.add_subcommand("manual", "Write this program's manual pages, for man, into a folder");
  manual->add_option("folder", *folder, "Made when it is absent")->required()->type_name("FOLDER");
  return manual;
}

absl::Status WriteManual(const std::vector<ManualPage>& pages, const std::string& folder) {
  MTP_RETURN_IF_ERROR(MakeFolders(folder, 0755));
  for (const ManualPage& page : pages)
    MTP_RETURN_IF_ERROR(WriteFileAtomically(absl::StrCat(folder, "/", page.file), page.text, 0644));
  return absl::OkStatus();
}

}  // namespace mtp
