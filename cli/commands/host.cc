#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>

#include "cli/commands/arguments.h"
#include "cli/commands/ask.h"
#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/output/failure.h"
#include "cli/output/fleet_view.h"
#include "cli/output/names.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/names.h"
#include "common/base/timestamps.h"
#include "mtp/v1/host.grpc.pb.h"

namespace mtp::cli {
namespace {

using Stub = v1::HostService::Stub;

struct HostOptions {
  std::string name;
  bool dry_run = false;
};

struct NoOptions {};

absl::StatusOr<int> List(Invocation& invocation, const NoOptions&) {
  v1::FleetStatus fleet;  // only its hosts, for the table
  v1::ListHostsRequest request;
  request.set_page_size(1000);
  do {
    MTP_ASSIGN_OR_RETURN(v1::ListHostsResponse page, Call(invocation, &Stub::ListHosts, request));
    for (v1::Host& host : *page.mutable_hosts()) *fleet.add_hosts() = std::move(host);
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  Json hosts = Json::array();
  for (const v1::Host& host : fleet.hosts()) hosts.push_back(HostJson(host));
  invocation.Print({{"hosts", std::move(hosts)}},
                   [&] { return HostTable(fleet, invocation.columns(), invocation.colour()); });
  return 0;
}

std::string HostDetails(const v1::Host& host, absl::Time now, bool colour) {
  const v1::HostStatus& status = host.status();
  std::string text;
  const DetailLines line{&text, 13, colour};
  const std::string state(StateName(status.state()));
  line("host", ShortName(host.name()), Tone::kStrong);
  line("state", host.cordoned() ? state + ", cordoned: no new tenants" : state, ToneOf(state));
  line("message", status.message(), Tone::kWarning);
  line("agent", absl::StrCat(host.agent_address(), " version ", status.agent_version()));
  line("engine", status.engine_version());
  line("cpus", absl::StrCat(status.cpus()));
  line("memory", absl::StrCat(HumanMib(status.used_mib()), " of ",
                              HumanMib(status.memory_total_mib()), " used, pressure ",
                              absl::StrFormat("%.1f%%", status.memory_pressure_percent())));
  line("reserved",
       absl::StrCat(HumanMib(status.reserved_mib()), " of ", HumanMib(status.allocatable_mib()),
                    " for ", status.tenants(), " tenants"));
  line("disk free", HumanMib(status.disk_free_mib()));
  line("labels", LabelsText(host.labels()));
  if (status.has_last_seen_time()) {
    line("last seen", HumanDuration(now - FromTimestamp(status.last_seen_time())) + " ago");
  }
  if (host.has_create_time()) line("joined", Rfc3339(FromTimestamp(host.create_time())));
  if (host.has_certificate_expire_time()) {
    line("certificate",
         absl::StrCat("until ", Rfc3339(FromTimestamp(host.certificate_expire_time()))));
  }
  if (status.admin().enabled()) {
    line("admin", absl::StrCat(status.admin().container(), ", ", AdminState(host), ", ",
                               AdminHealth(host), ", port ", status.admin().port()));
  }
  return text;
}

void PrintHost(Invocation& invocation, const v1::Host& host, const std::string& sentence) {
  invocation.Print(HostJson(host), [&] {
    return sentence.empty() ? HostDetails(host, invocation.now(), invocation.colour())
                            : sentence + "\n";
  });
}

absl::StatusOr<int> Show(Invocation& invocation, const HostOptions& options) {
  v1::GetHostRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseHost(options.name));
  MTP_ASSIGN_OR_RETURN(const v1::Host host, Call(invocation, &Stub::GetHost, request));
  PrintHost(invocation, host, "");
  return 0;
}

absl::StatusOr<int> Cordon(Invocation& invocation, const HostOptions& options) {
  v1::CordonHostRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseHost(options.name));
  request.set_validate_only(options.dry_run);
  MTP_ASSIGN_OR_RETURN(const v1::Host host, Call(invocation, &Stub::CordonHost, request));
  PrintHost(invocation, host,
            absl::StrCat(options.name, options.dry_run ? " would get" : " gets",
                         " no new tenants; those it has stay"));
  return 0;
}

absl::StatusOr<int> Uncordon(Invocation& invocation, const HostOptions& options) {
  v1::UncordonHostRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseHost(options.name));
  request.set_validate_only(options.dry_run);
  MTP_ASSIGN_OR_RETURN(const v1::Host host, Call(invocation, &Stub::UncordonHost, request));
  PrintHost(
      invocation, host,
      absl::StrCat(options.name, options.dry_run ? " would get" : " gets", " new tenants again"));
  return 0;
}

struct LabelOptions : HostOptions {
  std::vector<std::string> changes;  // K=V sets, K- removes
};

absl::StatusOr<int> Label(Invocation& invocation, const LabelOptions& options) {
  v1::GetHostRequest get;
  MTP_ASSIGN_OR_RETURN(*get.mutable_name(), ParseHost(options.name));
  std::vector<std::string> removed;
  std::vector<std::string> set;
  for (const std::string& change : options.changes) {
    if (absl::EndsWith(change, "-") && !absl::StrContains(change, "=")) {
      removed.push_back(change.substr(0, change.size() - 1));
    } else {
      set.push_back(change);
    }
  }
  v1::SetHostLabelsRequest parsed;
  MTP_RETURN_IF_ERROR(ParseLabels(set, "host label", parsed.mutable_labels()));

  // The etag keeps a change that someone makes in between.
  MTP_ASSIGN_OR_RETURN(const v1::Host before, Call(invocation, &Stub::GetHost, get));
  v1::SetHostLabelsRequest request;
  request.set_name(get.name());
  request.set_etag(before.etag());
  *request.mutable_labels() = before.labels();
  for (const auto& [key, value] : parsed.labels()) (*request.mutable_labels())[key] = value;
  for (const std::string& key : removed) request.mutable_labels()->erase(key);
  MTP_ASSIGN_OR_RETURN(const v1::Host host, Call(invocation, &Stub::SetHostLabels, request));
  const std::string labels = Visible(LabelsText(host.labels()));
  PrintHost(invocation, host,
            absl::StrCat(options.name, labels.empty() ? " has no labels" : " has " + labels));
  return 0;
}

struct RemoveOptions : HostOptions {
  bool lost = false;
  bool yes = false;
};

Json LostJson(const v1::RemoveHostResponse& response) {
  Json tenants = Json::array();
  for (const v1::LostTenant& tenant : response.tenants()) {
    const bool has = !tenant.backup().empty();
    tenants.push_back({{"tenant", ShortName(tenant.name())},
                       {"backup", has ? Json(ShortName(tenant.backup())) : Json(nullptr)},
                       {"backup_time",
                        has ? Json(Rfc3339(FromTimestamp(tenant.backup_time()))) : Json(nullptr)}});
  }
  return tenants;
}

// One line a tenant: what is left of it.
std::string LostText(const v1::RemoveHostResponse& response, const Invocation& invocation) {
  size_t width = 0;
  for (const v1::LostTenant& tenant : response.tenants()) {
    width = std::max(width, ShortName(tenant.name()).size());
  }
  std::string text;
  for (const v1::LostTenant& tenant : response.tenants()) {
    const std::string name = ShortName(tenant.name());
    absl::StrAppend(&text, "  ", Paint(name, Tone::kStrong, invocation.colour()),
                    std::string(width + 2 - name.size(), ' '));
    if (tenant.backup().empty()) {
      absl::StrAppend(&text, Paint("no backup", Tone::kBad, invocation.colour()),
                      ": its data is lost with the host\n");
    } else {
      absl::StrAppend(&text, "last backup ",
                      HumanDuration(invocation.now() - FromTimestamp(tenant.backup_time())),
                      " ago: `mtp-cli backup restore ", name, "`\n");
    }
  }
  return text;
}

// A host that is gone for good is not taken out without a word from a person, or the flag of a
// script.
absl::Status ConfirmLost(Invocation& invocation, const RemoveOptions& options,
                         const v1::RemoveHostRequest& request) {
  v1::RemoveHostRequest preview = request;
  preview.set_validate_only(true);
  MTP_ASSIGN_OR_RETURN(const v1::RemoveHostResponse plan,
                       Call(invocation, &Stub::RemoveHost, preview));
  invocation.Warn(absl::StrCat("if the machine of ", options.name,
                               " still runs, its tenants do, unseen: turn it off for good before "
                               "any of them is restored elsewhere, since two pollers on one bot "
                               "steal each other's messages"));
  if (options.yes) return absl::OkStatus();
  const std::string what =
      plan.tenants().empty()
          ? absl::StrCat(options.name, " leaves the fleet")
          : absl::StrCat(options.name, " leaves the fleet, with ", plan.tenants_size(),
                         plan.tenants_size() == 1 ? " tenant" : " tenants");
  if (!PersonIsThere(invocation)) {
    return WithHint(absl::InvalidArgumentError(absl::StrCat(what, "; nothing was changed")),
                    "--dry-run shows what is left of its tenants; --yes says that it may be");
  }
  invocation.environment.err << LostText(plan, invocation);
  return Confirm(invocation, absl::StrCat(what, ". Go on? [y/N] "), "nothing was changed");
}

absl::StatusOr<int> Remove(Invocation& invocation, const RemoveOptions& options) {
  v1::RemoveHostRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseHost(options.name));
  request.set_validate_only(options.dry_run);
  request.set_lost(options.lost);
  if (options.lost && !options.dry_run) {
    MTP_RETURN_IF_ERROR(ConfirmLost(invocation, options, request));
  }
  MTP_ASSIGN_OR_RETURN(const v1::RemoveHostResponse response,
                       Call(invocation, &Stub::RemoveHost, request));
  Json json = {{"host", options.name}, {"removed", !options.dry_run}};
  if (options.lost) json["tenants"] = LostJson(response);
  invocation.Print(json, [&] {
    const std::string rest =
        response.tenants().empty()
            ? ""
            : absl::StrCat(options.dry_run ? "With it would go:\n" : "With it went:\n",
                           LostText(response, invocation));
    return absl::StrCat(
        options.dry_run
            ? "Nothing speaks against it; nothing was changed.\n"
            : absl::StrCat(options.name, " has left the fleet; its certificate is revoked\n"),
        rest);
  });
  return 0;
}

struct TokenOptions : HostOptions {
  std::string lifetime;
  bool rejoin = false;
};

absl::StatusOr<int> Token(Invocation& invocation, const TokenOptions& options) {
  MTP_ASSIGN_OR_RETURN(const HostName name, HostName::Parse(options.name));
  v1::CreateJoinTokenRequest request;
  request.set_host_id(name.value());
  request.set_rejoin(options.rejoin);
  if (!options.lifetime.empty()) {
    MTP_ASSIGN_OR_RETURN(const absl::Duration lifetime, ParseWait(options.lifetime, "--lifetime"));
    request.mutable_lifetime()->set_seconds(absl::ToInt64Seconds(lifetime));
  }
  const auto response = Call(invocation, &Stub::CreateJoinToken, request);
  if (absl::IsAlreadyExists(response.status())) {
    return WithHint(response.status(), "--rejoin lets a host that has joined before join again");
  }
  MTP_RETURN_IF_ERROR(response.status());
  const std::string expires = Rfc3339(FromTimestamp(response->expire_time()));
  invocation.Print({{"host", name.value()},
                    {"token", response->token()},
                    {"expires", expires},
                    {"command", response->command()}},
                   [&] { return response->token() + "\n"; });
  if (invocation.environment.out_is_terminal && invocation.format == Format::kTable) {
    invocation.environment.err << "\nGood once, for " << name.value() << ", until " << expires
                               << ". On that host, as root, run this and paste the token:\n  "
                               << Visible(response->command()) << std::endl;
  }
  return 0;
}

template <class Options>
void AddNamed(CLI::App& parent, Chosen& chosen, const char* name, const char* description,
              absl::StatusOr<int> (*run)(Invocation&, const Options&), bool dry_run) {
  auto [command, options] = AddCommand<Options>(parent, chosen, name, description, run);
  command->add_option("NAME", options->name, "Host")->required();
  if (dry_run) command->add_flag("--dry-run", options->dry_run, "Only check; change nothing");
}

}  // namespace

void AddHost(CLI::App& root, Chosen& chosen) {
  CLI::App& host = *root.add_subcommand("host", "Hosts of the fleet");
  host.require_subcommand(1);
  AddCommand<NoOptions>(host, chosen, "list", "Show all hosts", List);
  AddNamed(host, chosen, "show", "Show one host in full", Show, false);
  AddNamed(host, chosen, "cordon", "Give a host no new tenants", Cordon, true);
  AddNamed(host, chosen, "uncordon", "Give a host new tenants again", Uncordon, true);

  auto [remove, remove_options] = AddCommand<RemoveOptions>(
      host, chosen, "remove",
      "Take a host out of the fleet: an empty one, or with --lost one that is gone for good",
      Remove);
  remove->add_option("NAME", remove_options->name, "Host")->required();
  remove->add_flag("--lost", remove_options->lost,
                   "Its machine is gone for good: what is placed there is taken off with it. First "
                   "`tenant failover` those that have a backup; they keep all settings then");
  remove->add_flag("-y,--yes", remove_options->yes, "With --lost: do not ask");
  remove->add_flag("--dry-run", remove_options->dry_run, "Only check; change nothing");

  auto [label, label_options] = AddCommand<LabelOptions>(
      host, chosen, "label", "Change a host's labels: label h1 disk=ssd zone-", Label);
  label->add_option("NAME", label_options->name, "Host")->required();
  label->add_option("CHANGE", label_options->changes, "KEY=VALUE sets, KEY- removes")
      ->required()
      ->expected(1, 64);

  auto [token, token_options] = AddCommand<TokenOptions>(
      host, chosen, "token",
      "Make a single-use token with which a host joins; in a pipe only the token", Token);
  token->add_option("NAME", token_options->name, "Name that the host will have")->required();
  token
      ->add_option("--lifetime", token_options->lifetime,
                   "How long it is good; one hour when not given")
      ->type_name("TIME");
  token->add_flag("--rejoin", token_options->rejoin,
                  "Let a host that has joined before join again");
}

}  // namespace mtp::cli
