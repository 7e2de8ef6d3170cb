// check-repository: check. One part after another, each by one action of a host. All are checked,
// whatever becomes of the others; the operation fails at its end.
//
// A part is what one tenant has in the repository or, in a folder, which every host may have a
// different one of, what one host has written of it. Parts are taken in order of their names, so
// that the name of the last one is all that has to be known to go on.
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"
#include "controller/backups/kinds.h"
#include "controller/backups/repositories.h"
#include "controller/tenants/agent_steps.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

// Facts: the part that is being checked, where, and for which placement; the last one that has
// ended; how many tenants and snapshots were looked at; how many parts are not in order, whether
// any of them is damaged, and, with a number behind it, why.
constexpr char kPart[] = "part";
constexpr char kPartTenant[] = "part_tenant";
constexpr char kLast[] = "last";
constexpr char kLastTenant[] = "last_tenant";
constexpr char kTenants[] = "tenants";
constexpr char kSnapshots[] = "snapshots";
constexpr char kFailed[] = "failed";
constexpr char kDamaged[] = "damaged";
constexpr char kFailure[] = "failure ";

constexpr int64_t kMaxNamed = 20;
constexpr size_t kMaxFailureBytes = 300;

struct Part {
  std::string tenant;
  std::string host;  // empty: there is none that could look
  int64_t epoch = 1;
};

int64_t Number(const StepContext& context, const std::string& fact) {
  int64_t number = 0;
  return absl::SimpleAtoi(context.Fact(fact), &number) ? std::max<int64_t>(number, 0) : 0;
}

// Any host reaches a server: the tenant's own is asked, else the one that wrote last.
absl::StatusOr<std::string> HostForServer(const Tables& tables, const std::string& tenants_host,
                                          const std::string& writer) {
  if (!tenants_host.empty()) return tenants_host;
  if (tables.hosts.Get(writer).ok()) return writer;
  MTP_ASSIGN_OR_RETURN(const auto hosts, tables.hosts.List());
  return hosts.empty() ? "" : hosts.front().id;
}

absl::StatusOr<Part> Place(const Tables& tables, const v1::Backup& backup, bool is_folder) {
  Part part{backup.tenant(), "", 1};
  std::string tenants_host;
  if (const auto tenant = tables.tenants.Get(part.tenant); tenant.ok()) {
    tenants_host = tenant->value.host();
    part.epoch = tenant->value.epoch();
  } else if (const auto highest = tables.epochs.Get(part.tenant); highest.ok()) {
    part.epoch = std::max<int64_t>(highest->value.epoch(), 1);
  }
  if (!is_folder) {
    MTP_ASSIGN_OR_RETURN(part.host, HostForServer(tables, tenants_host, backup.host()));
  } else if (tables.hosts.Get(backup.host()).ok()) {
    part.host = backup.host();
  }
  return part;
}

// The first part after `last`; nothing when that was the last one.
absl::StatusOr<std::optional<std::pair<std::string, Part>>> NextPart(const Tables& tables,
                                                                     const std::string& repository,
                                                                     const std::string& last) {
  MTP_ASSIGN_OR_RETURN(const auto row, tables.repositories.Get(repository));
  const bool is_folder = absl::StartsWith(row.value.repository().url(), "/");
  MTP_ASSIGN_OR_RETURN(const auto backups, tables.backups.List());
  std::string name;
  const v1::Backup* newest = nullptr;
  for (const auto& entry : backups) {
    const v1::Backup& backup = entry.value.backup();
    if (backup.repository() != repository) continue;
    const std::string part =
        is_folder ? absl::StrCat(backup.tenant(), "/", backup.host()) : backup.tenant();
    if (part <= last || (newest != nullptr && part > name)) continue;
    name = part;
    newest = &backup;
  }
  if (newest == nullptr) return std::nullopt;
  MTP_ASSIGN_OR_RETURN(Part part, Place(tables, *newest, is_folder));
  return std::make_pair(name, std::move(part));
}

// The step as one part sees it: with a key of its own.
StepContext ContextFor(const StepContext& context) {
  return {context.record(),
          absl::StrCat(absl::StripSuffix(context.key(), "/undo"), "/", context.Fact(kPart))};
}

void AddUp(StepContext& context, const char* fact, int64_t more) {
  context.SetFact(fact, absl::StrCat(Number(context, fact) + more));
}

// The part has ended, well or with a failure. Durable before the next one begins.
StepResult Ended(StepContext& context, const absl::Status& outcome) {
  const std::string tenant = context.Fact(kPartTenant);
  if (tenant != context.Fact(kLastTenant)) AddUp(context, kTenants, 1);
  if (!outcome.ok()) {
    AddUp(context, kFailed, 1);
    if (absl::IsDataLoss(outcome)) context.SetFact(kDamaged, "true");
    const int64_t failed = Number(context, kFailed);
    if (failed <= kMaxNamed) {
      context.SetFact(absl::StrCat(kFailure, failed),
                      absl::StrCat(tenant, ": ", OneLine(outcome.message(), kMaxFailureBytes)));
    }
  }
  context.SetFact(kLast, context.Fact(kPart));
  context.SetFact(kLastTenant, tenant);
  context.SetFact(kPart, "");
  return StepResult::Wait(absl::ZeroDuration(), absl::StrCat("tenant ", tenant, " is checked"));
}

StepResult Conclude(StepContext& context) {
  const int64_t failed = Number(context, kFailed);
  if (failed == 0) {
    context.SetResult(kTenants, absl::StrCat(Number(context, kTenants)));
    context.SetResult(kSnapshots, absl::StrCat(Number(context, kSnapshots)));
    return StepResult::Done();
  }
  std::string why;
  for (int64_t i = 1; i <= std::min(failed, kMaxNamed); ++i) {
    absl::StrAppend(&why, why.empty() ? "" : "; ", context.Fact(absl::StrCat(kFailure, i)));
  }
  if (failed > kMaxNamed) absl::StrAppend(&why, "; and ", failed - kMaxNamed, " more");
  const bool damaged = !context.Fact(kDamaged).empty();
  return StepResult::Fail(
      {damaged ? absl::StatusCode::kDataLoss : absl::StatusCode::kFailedPrecondition,
       absl::StrCat(why, damaged
                             ? "; `mtp-cli backup verify ID` tells which backups are whole, and "
                               "a new backup is worth making at once"
                             : "")});
}

StepResult Begin(const BackupClients& clients, StepContext& context) {
  const auto next =
      NextPart(Tables(clients.tenants.store), context.Fact(kRepositoryFact), context.Fact(kLast));
  if (!next.ok()) return StepResult::Retry(next.status());
  if (!next->has_value()) return Conclude(context);
  const auto& [name, part] = **next;
  context.SetFact(kPart, name);
  context.SetFact(kPartTenant, part.tenant);
  context.SetFact(kHostFact, part.host);
  context.SetFact(kEpochFact, absl::StrCat(part.epoch));
  return StepResult::Wait(absl::ZeroDuration(), absl::StrCat("checking tenant ", part.tenant));
}

StepResult Check(const BackupClients& clients, StepContext& context) {
  if (context.Fact(kPart).empty()) return Begin(clients, context);
  const std::string host = context.Fact(kHostFact);
  if (host.empty()) {
    return Ended(context, absl::FailedPreconditionError(absl::StrCat(
                              "no host of the fleet can look at ", context.Fact(kPart),
                              ": the one that wrote it is not in the fleet any more")));
  }
  const std::string tenant = context.Fact(kPartTenant);
  auto access = AccessFor(Tables(clients.tenants.store), *clients.tenants.box,
                          context.Fact(kRepositoryFact), tenant);
  if (!access.ok()) return StepResult::Fail(access.status());
  v1::EnsureActionRequest request;
  request.set_tenant(tenant);
  request.mutable_check()->set_read_data(context.Fact(kReadDataFact) == "true");
  *request.mutable_check()->mutable_repository() = *std::move(access);
  StepContext here = ContextFor(context);
  const StepResult result =
      RunThere(here, *clients.tenants.agents, {host, Number(context, kEpochFact)},
               std::move(request), OnFailure::kFail);
  if (result.kind == StepResult::Kind::kFail) return Ended(context, result.status);
  if (result.kind != StepResult::Kind::kDone) return result;
  int64_t snapshots = 0;
  const auto told = here.new_results().find(kSnapshots);
  if (told != here.new_results().end() && absl::SimpleAtoi(told->second, &snapshots)) {
    AddUp(context, kSnapshots, snapshots);
  }
  return Ended(context, absl::OkStatus());
}

StepResult Cancel(const BackupClients& clients, StepContext& context) {
  if (context.Fact(kPart).empty() || context.Fact(kHostFact).empty()) return StepResult::Done();
  // What cannot be reached ends by itself and changes nothing.
  (void)CancelThere(ContextFor(context), *clients.tenants.agents, context.Fact(kHostFact)).status();
  return StepResult::Done();
}

}  // namespace

operations::Kind CheckRepositoryKind(const BackupClients& clients) {
  operations::Kind kind;
  kind.name = "check-repository";
  kind.steps.push_back(
      {"check", [clients](StepContext& context) { return Check(clients, context); },
       [clients](StepContext& context) { return Cancel(clients, context); }, true});
  return kind;
}

}  // namespace mtp
