#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <optional>

#include "cli/commands/arguments.h"
#include "cli/commands/backup.h"
#include "cli/commands/call.h"
#include "cli/output/failure.h"
#include "cli/output/schedule_tables.h"
#include "cli/output/values.h"
#include "mtp/v1/backup.grpc.pb.h"
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;
using Stub = v1::BackupService::Stub;

constexpr int kMinutesOfDay = 24 * 60;

struct ScheduleOptions {
  std::string name;
  std::optional<std::string> every;
  std::optional<std::string> window;
  std::optional<int> keep_last;
  std::optional<int> keep_days;
  std::optional<std::string> repository;
  std::optional<std::string> drill_every;
  bool off = false;
  bool on = false;
  bool inherit = false;

  bool Changes() const {
    return every || window || keep_last || keep_days || repository || drill_every || off || on;
  }
};

// `6h`, `1d`, `1d12h`; whole seconds.
absl::StatusOr<google::protobuf::Duration> ParseSpan(absl::string_view text,
                                                     absl::string_view flag) {
  const absl::Status bad =
      absl::InvalidArgumentError(absl::StrCat(flag, " takes a time such as 6h, 1d or 1d12h"));
  absl::Duration span;
  absl::string_view rest = text;
  if (const size_t mark = text.find('d'); mark != absl::string_view::npos) {
    int days = 0;
    if (!absl::SimpleAtoi(text.substr(0, mark), &days) || days <= 0) return bad;
    span = absl::Hours(24) * days;
    rest = text.substr(mark + 1);
  }
  absl::Duration more;
  if (!rest.empty() && !absl::ParseDuration(rest, &more)) return bad;
  span += more;
  if (more < absl::ZeroDuration() || span <= absl::ZeroDuration() ||
      span % absl::Seconds(1) != absl::ZeroDuration() || span > absl::Hours(24 * 366)) {
    return bad;
  }
  google::protobuf::Duration proto;
  proto.set_seconds(absl::ToInt64Seconds(span));
  return proto;
}

// Minutes after midnight; nothing for what is no time of day.
std::optional<int> ParseTimeOfDay(absl::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  int hour = 0;
  int minute = 0;
  if (parts.size() != 2 || parts[1].size() != 2 || !absl::SimpleAtoi(parts[0], &hour) ||
      !absl::SimpleAtoi(parts[1], &minute) || hour < 0 || minute < 0 || minute > 59 ||
      hour * 60 + minute > kMinutesOfDay) {
    return std::nullopt;
  }
  return hour * 60 + minute;
}

// `01:00-05:00`; `22:00-02:00` goes over midnight, and twice the same is all day.
absl::Status ParseWindow(absl::string_view text, v1::BackupPolicy* policy) {
  const std::vector<std::string> ends = absl::StrSplit(text, '-');
  const auto begin = ends.size() == 2 ? ParseTimeOfDay(ends[0]) : std::nullopt;
  const auto end = ends.size() == 2 ? ParseTimeOfDay(ends[1]) : std::nullopt;
  if (!begin || !end || *begin == kMinutesOfDay) {
    return absl::InvalidArgumentError("--window takes hours of UTC such as 01:00-05:00");
  }
  const int length = (*end - *begin + kMinutesOfDay) % kMinutesOfDay;
  policy->set_window_start_minute(*begin);
  policy->mutable_window()->set_seconds(60 * (length == 0 ? kMinutesOfDay : length));
  return absl::OkStatus();
}

// Only what is given.
absl::Status Apply(const ScheduleOptions& options, v1::BackupPolicy* policy) {
  if (options.every) {
    MTP_ASSIGN_OR_RETURN(*policy->mutable_interval(), ParseSpan(*options.every, "--every"));
  }
  if (options.window) MTP_RETURN_IF_ERROR(ParseWindow(*options.window, policy));
  if (options.keep_last) policy->set_keep_last(*options.keep_last);
  if (options.keep_days) policy->set_keep_days(*options.keep_days);
  if (options.repository) {
    policy->set_repository(std::string(absl::StripPrefix(*options.repository, "repositories/")));
  }
  if (options.drill_every == "off") {
    policy->mutable_drill_interval()->set_seconds(0);
  } else if (options.drill_every) {
    MTP_ASSIGN_OR_RETURN(*policy->mutable_drill_interval(),
                         ParseSpan(*options.drill_every, "--drill-every"));
  }
  if (options.off) policy->set_off(true);
  if (options.on) policy->set_off(false);
  return absl::OkStatus();
}

absl::Status CheckFlags(const ScheduleOptions& options) {
  v1::BackupPolicy nowhere;
  MTP_RETURN_IF_ERROR(Apply(options, &nowhere));
  if (options.on && options.off) {
    return absl::InvalidArgumentError("--on and --off exclude each other");
  }
  if (!options.inherit) return absl::OkStatus();
  if (options.Changes()) {
    return absl::InvalidArgumentError("--inherit takes the fleet's policy as it is");
  }
  if (options.name.empty()) {
    return WithHint(absl::InvalidArgumentError("--inherit needs a tenant"),
                    "mtp-cli backup schedule NAME --inherit");
  }
  return absl::OkStatus();
}

// `tenants/acme`; empty means the fleet.
absl::StatusOr<v1::BackupPolicy> Fetch(Invocation& invocation, const std::string& tenant) {
  v1::GetBackupPolicyRequest request;
  request.set_tenant(tenant);
  return Call(invocation, &Stub::GetBackupPolicy, request);
}

absl::StatusOr<v1::BackupPolicy> Change(Invocation& invocation, const ScheduleOptions& options,
                                        const std::string& tenant) {
  v1::SetBackupPolicyRequest request;
  request.set_tenant(tenant);
  if (!options.inherit) {
    MTP_ASSIGN_OR_RETURN(*request.mutable_policy(), Fetch(invocation, tenant));
    MTP_RETURN_IF_ERROR(Apply(options, request.mutable_policy()));
  }
  return Call(invocation, &Stub::SetBackupPolicy, request);
}

// The fleet's, then those of all tenants. A tenant that goes meanwhile is left out.
absl::StatusOr<std::vector<NamedPolicy>> FetchAll(Invocation& invocation) {
  std::vector<NamedPolicy> all;
  MTP_ASSIGN_OR_RETURN(v1::BackupPolicy fleet, Fetch(invocation, ""));
  all.push_back({"", std::move(fleet)});
  v1::ListTenantsRequest request;
  request.set_page_size(1000);
  do {
    MTP_ASSIGN_OR_RETURN(const v1::ListTenantsResponse page,
                         Call(invocation, &v1::TenantService::Stub::ListTenants, request));
    for (const v1::Tenant& tenant : page.tenants()) {
      auto policy = Fetch(invocation, tenant.name());
      if (absl::IsNotFound(policy.status())) continue;
      MTP_RETURN_IF_ERROR(policy.status());
      all.push_back({ShortName(tenant.name()), *std::move(policy)});
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return all;
}

std::string Text(const Invocation& invocation, const std::vector<NamedPolicy>& policies) {
  return PoliciesTable(policies, invocation.now(), invocation.columns(), invocation.colour());
}

absl::StatusOr<int> Schedule(Invocation& invocation, const ScheduleOptions& options) {
  MTP_RETURN_IF_ERROR(CheckFlags(options));
  std::string tenant;
  if (!options.name.empty()) {
    MTP_ASSIGN_OR_RETURN(tenant, ParseTenant(options.name));
  }
  const bool changes = options.Changes() || options.inherit;
  if (tenant.empty() && !changes) {
    MTP_ASSIGN_OR_RETURN(const std::vector<NamedPolicy> all, FetchAll(invocation));
    Json tenants = Json::array();
    for (size_t i = 1; i < all.size(); ++i) tenants.push_back(PolicyJson(all[i]));
    invocation.Print({{"fleet", PolicyJson(all[0])}, {"tenants", std::move(tenants)}},
                     [&] { return Text(invocation, all); });
    return 0;
  }
  MTP_ASSIGN_OR_RETURN(v1::BackupPolicy policy,
                       changes ? Change(invocation, options, tenant) : Fetch(invocation, tenant));
  const NamedPolicy named{ShortName(tenant), std::move(policy)};
  invocation.Print(PolicyJson(named), [&] { return Text(invocation, {named}); });
  return 0;
}

}  // namespace

void AddBackupSchedule(CLI::App& backup, Chosen& chosen) {
  auto [command, options] = AddCommand<ScheduleOptions>(
      backup, chosen, "schedule",
      "Show or change when backups and drills are made by themselves, and how long they are kept",
      Schedule);
  command->add_option("NAME", options->name, "A tenant; the fleet when not given");
  command->add_option("--every", options->every, "From one backup to the next, 15m to 31d (1d)")
      ->type_name("TIME");
  command
      ->add_option("--window", options->window,
                   "Hours of UTC in which backups begin that are made every so many whole days "
                   "(01:00-05:00)")
      ->type_name("FROM-TO");
  command
      ->add_option("--keep-last", options->keep_last,
                   "So many of the newest stay in each repository (7)")
      ->type_name("N")
      ->check(CLI::Range(1, 10000));
  command->add_option("--keep-days", options->keep_days, "Those of so many days stay (30)")
      ->type_name("DAYS")
      ->check(CLI::Range(1, 36500));
  command
      ->add_option("--repository", options->repository,
                   "Where to; empty ('') for the default repository")
      ->type_name("NAME");
  command
      ->add_option("--drill-every", options->drill_every,
                   "From one drill to the next, 1d to 366d (30d), or off")
      ->type_name("TIME");
  command->add_flag("--off", options->off, "Nothing by itself any more");
  command->add_flag("--on", options->on, "Again by itself");
  command->add_flag("--inherit", options->inherit, "The tenant has the fleet's policy again");
}

}  // namespace mtp::cli
