#include "cli/commands/invocation.h"

#include <absl/strings/str_cat.h>

#include "cli/commands/renewal.h"
#include "cli/output/failure.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/yaml.h"
#include "common/base/status.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

// no-color.org; a terminal that calls itself dumb has none.
bool WantsColour(const Environment& environment, bool terminal) {
  return terminal && !environment.variable("NO_COLOR") &&
         environment.variable("TERM").value_or("") != "dumb";
}

}  // namespace

bool Invocation::colour() const { return WantsColour(environment, environment.out_is_terminal); }
bool Invocation::err_colour() const {
  return WantsColour(environment, environment.err_is_terminal);
}

void Invocation::Print(const Json& json, const std::function<std::string()>& table) {
  // On a terminal all but ASCII is escaped: a tenant's text must not steer it.
  const bool ascii = environment.out_is_terminal;
  switch (format) {
    case Format::kTable:
      environment.out << table();
      break;
    case Format::kJson:
      environment.out << json.dump(2, ' ', ascii, Json::error_handler_t::replace) << "\n";
      break;
    case Format::kYaml:
      environment.out << YamlText(json);
      break;
  }
  environment.out << std::flush;
}

void Invocation::PrintNext(const Json& json, const std::function<std::string()>& table) {
  switch (format) {
    case Format::kTable:
      environment.out << table();
      break;
    case Format::kJson:
      environment.out << json.dump(-1, ' ', environment.out_is_terminal,
                                   Json::error_handler_t::replace)
                      << "\n";
      break;
    case Format::kYaml:
      environment.out << "---\n" << YamlText(json);
      break;
  }
  environment.out << std::flush;
}

void Invocation::Warn(absl::string_view text) {
  environment.err << Paint("warning:", Tone::kWarning, err_colour()) << " " << Visible(text)
                  << std::endl;
}

std::unique_ptr<Progress> Invocation::NewProgress() {
  if (environment.err_is_terminal && environment.variable("TERM").value_or("") != "dumb") {
    return std::make_unique<LiveProgress>(environment.err, environment.columns, err_colour());
  }
  if (format == Format::kTable) return std::make_unique<PlainProgress>(environment.err);
  return std::make_unique<NoProgress>();
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Invocation::Connected() {
  if (channel) return channel;
  MTP_ASSIGN_OR_RETURN(const Endpoint where, ResolveEndpoint(environment, endpoint));
  controller = where.controller;
  identity_folder = where.identity_folder;
  MTP_ASSIGN_OR_RETURN(channel, environment.connect(where));
  if (renews) RenewIdentity(*this, where.identity_folder);
  return channel;
}

}  // namespace mtp::cli
