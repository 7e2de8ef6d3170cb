#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>

#include "cli/output/backup_tables.h"
#include "cli/output/fleet_view.h"
#include "cli/output/names.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/timestamps.h"

namespace mtp::cli {
namespace {

constexpr size_t kRemarksInFull = 4;

// A figure nobody has measured is not zero.
std::string OfTotal(int64_t part, int64_t total) {
  if (total == 0) return "-";
  return absl::StrCat(HumanMib(part), "/", HumanMib(total));
}

Tone FillTone(int64_t part, int64_t total) {
  if (total == 0) return Tone::kPlain;
  const double share = static_cast<double>(part) / static_cast<double>(total);
  return share > 0.95 ? Tone::kBad : share > 0.85 ? Tone::kWarning : Tone::kPlain;
}

std::string Uptime(bool set, const google::protobuf::Timestamp& start, absl::Time now) {
  return set ? HumanDuration(absl::Seconds(UptimeSeconds(set, start, now))) : "-";
}

// Without the registry, which is much the same for all and leaves no room for the version. A digest
// is told by its first characters, as Docker does.
std::string ImageName(absl::string_view image) {
  const size_t digest = image.find("@sha256:");
  if (digest == absl::string_view::npos) return ShortName(image);
  return absl::StrCat(ShortName(image.substr(0, digest)), image.substr(digest, 8 + 12));
}

// Age of the last good backup; an exclamation mark when a newer one failed.
Cell BackupCell(const v1::TenantStatus& status, absl::Time now) {
  const std::string age = Ago(status.has_last_backup_time(), status.last_backup_time(), now);
  if (status.backup_failure().empty()) return {age};
  return {absl::StrCat("! ", age), Tone::kBad};
}

void AddAdmin(Table& table, const v1::Host& host, absl::Time now) {
  const v1::AdminStatus& admin = host.status().admin();
  const std::string state(AdminState(host));
  const std::string health = AdminHealth(host);
  table.Add({{absl::StrCat("admins/", ShortName(host.name())), Tone::kDim},
             {ShortName(host.name())},
             {state, ToneOf(state)},
             {health, ToneOf(health)},
             {Uptime(admin.has_start_time() && admin.running(), admin.start_time(), now)},
             {OfTotal(admin.memory_mib(), admin.memory_limit_mib())},
             {absl::StrCat(admin.port())},
             {"-"},
             {"-"},
             {admin.container()},
             {ImageName(admin.image()), Tone::kDim}});
}

void AddTenant(Table& table, const v1::Tenant& tenant, absl::Time now) {
  const v1::TenantStatus& status = tenant.status();
  const std::string state(StateName(status.state()));
  const std::string health(HealthName(status.health()));
  const bool stopped = status.state() == v1::TENANT_STATE_STOPPED;
  table.Add({{ShortName(tenant.name()), Tone::kStrong},
             {status.host().empty() ? "-" : status.host()},
             {state, ToneOf(state)},
             {health, stopped ? Tone::kDim : ToneOf(health)},
             {Uptime(status.has_start_time(), status.start_time(), now)},
             {OfTotal(status.memory_mib(), status.memory_limit_mib()),
              FillTone(status.memory_mib(), status.memory_limit_mib())},
             {status.port() == 0 ? "-" : absl::StrCat(status.port())},
             BackupCell(status, now),
             {Ago(status.has_last_proven_backup_time(), status.last_proven_backup_time(), now)},
             {status.container()},
             {ImageName(status.image()), Tone::kDim}});
}

std::string TenantsTable(const v1::FleetStatus& fleet, absl::Time now, int width, bool colour) {
  Table table({{"NAME", 0, 16},
               {"HOST", 1, 6},
               {"STATUS"},
               {"HEALTH"},
               {"UPTIME", 2, 0, true},
               {"MEMORY", 2, 0, true},
               {"PORT", 3, 0, true},
               {"BACKUP", 4, 0, true},
               {"PROVEN", 7, 0, true},
               {"CONTAINER", 6, 12},
               {"IMAGE", 5, 12}});
  for (const v1::Host& host : fleet.hosts()) {
    if (host.status().admin().enabled()) AddAdmin(table, host, now);
  }
  for (const v1::Tenant& tenant : fleet.tenants()) AddTenant(table, tenant, now);
  return table.empty() ? "" : table.Render(width, colour);
}

// The text on as many lines as it takes.
std::vector<std::string> Wrapped(absl::string_view text, int width) {
  std::vector<std::string> lines(1);
  for (absl::string_view word : absl::StrSplit(text, ' ')) {
    std::string* line = &lines.back();
    if (!line->empty() && Width(*line) + 1 + Width(word) > width) {
      line = &lines.emplace_back("  ");
    } else if (!line->empty()) {
      *line += ' ';
    }
    absl::StrAppend(line, Shorten(word, width - 2));
  }
  return lines;
}

struct Remark {
  std::string text;
  Tone tone;
};

std::vector<Remark> AllRemarks(const v1::FleetStatus& fleet) {
  std::vector<Remark> remarks;
  const auto add = [&](absl::string_view name, absl::string_view message, Tone tone) {
    if (message.empty()) return;
    remarks.push_back({absl::StrCat(Visible(ShortName(name)), ": ", Visible(message)), tone});
  };
  for (const v1::Host& host : fleet.hosts()) {
    add(host.name(), host.status().message(), Tone::kBad);
  }
  for (const v1::Tenant& tenant : fleet.tenants()) {
    if (tenant.status().state() == v1::TENANT_STATE_STOPPED) continue;
    add(tenant.name(), tenant.status().message(),
        tenant.status().parked() ? Tone::kBad : Tone::kWarning);
  }
  for (const v1::Tenant& tenant : fleet.tenants()) {
    if (tenant.status().backup_failure().empty()) continue;
    add(tenant.name(), absl::StrCat("backup failed: ", tenant.status().backup_failure()),
        Tone::kBad);
  }
  return remarks;
}

// What needs a person's eye, with the reason that the system gives. A few are shown in full: their
// ends say what to do.
std::string Remarks(const v1::FleetStatus& fleet, int width, bool colour) {
  const std::vector<Remark> remarks = AllRemarks(fleet);
  std::string text;
  for (const Remark& remark : remarks) {
    const std::vector<std::string> lines =
        remarks.size() <= kRemarksInFull ? Wrapped(remark.text, width)
                                         : std::vector<std::string>{Shorten(remark.text, width)};
    for (const std::string& line : lines) {
      absl::StrAppend(&text, Paint(line, remark.tone, colour), "\n");
    }
  }
  if (remarks.size() > kRemarksInFull) {
    absl::StrAppend(&text, Paint("All of one tenant's: mtp-cli status NAME", Tone::kDim, colour),
                    "\n");
  }
  return text;
}

}  // namespace

std::string HostTable(const v1::FleetStatus& fleet, int width, bool colour) {
  if (fleet.hosts().empty()) {
    return "No host has joined yet. Make a join token with: mtp-cli host token NAME\n";
  }
  Table table({{"HOST", 0, 12},
               {"STATE"},
               {"TENANTS", 1, 0, true},
               {"RESERVED", 1, 0, true},
               {"USED", 2, 0, true},
               {"PRESSURE", 4, 0, true},
               {"DISK FREE", 3, 0, true},
               {"AGENT", 5, 0},
               {"LABELS", 6, 10}});
  for (const v1::Host& host : fleet.hosts()) {
    const v1::HostStatus& status = host.status();
    const std::string state = std::string(StateName(status.state()));
    table.Add(
        {{ShortName(host.name()), Tone::kStrong},
         {host.cordoned() ? absl::StrCat(state, ",cordoned") : state,
          host.cordoned() ? Tone::kWarning : ToneOf(state)},
         {absl::StrCat(status.tenants())},
         {OfTotal(status.reserved_mib(), status.allocatable_mib()),
          FillTone(status.reserved_mib(), status.allocatable_mib())},
         {OfTotal(status.used_mib(), status.memory_total_mib()),
          FillTone(status.used_mib(), status.memory_total_mib())},
         {absl::StrFormat("%.0f%%", status.memory_pressure_percent()),
          status.memory_pressure_percent() >= 10 ? Tone::kWarning : Tone::kPlain},
         {status.disk_free_mib() == 0 ? "-" : HumanMib(status.disk_free_mib()),
          status.disk_free_mib() > 0 && status.disk_free_mib() < 2048 ? Tone::kBad : Tone::kPlain},
         {status.agent_version()},
         {LabelsText(host.labels()), Tone::kDim}});
  }
  return table.Render(width, colour);
}

std::string FleetTables(const v1::FleetStatus& fleet, absl::Time now, int width, bool colour) {
  std::string text = HostTable(fleet, width, colour);
  const std::string tenants = TenantsTable(fleet, now, width, colour);
  if (!tenants.empty()) absl::StrAppend(&text, "\n", tenants);
  if (fleet.tenants().empty()) {
    absl::StrAppend(
        &text, "\n",
        "No tenants yet. Add one with: mtp-cli provision NAME --telegram-token-file FILE\n");
  }
  const std::string remarks = Remarks(fleet, width, colour);
  if (!remarks.empty()) absl::StrAppend(&text, "\n", remarks);
  return text;
}

}  // namespace mtp::cli
