#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/timestamps.h"
#include "mtp/v1/fleet.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

struct AuditOptions {
  int limit = 50;
};

std::string Code(const v1::AuditEntry& entry) {
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(entry.code()));
}

Json EntryJson(const v1::AuditEntry& entry) {
  return {
      {"time", TimeJson(entry.has_time(), entry.time())},
      {"actor", entry.actor()},
      {"method", entry.method()},
      {"target", entry.target()},
      {"code", Code(entry)},
      {"message", entry.message()},
      {"peer", entry.peer()},
      {"operation", entry.operation()},
  };
}

std::string AuditTable(const std::vector<v1::AuditEntry>& entries, int width, bool colour) {
  if (entries.empty()) return "No entries.\n";
  Table table({{"TIME", 0},
               {"ACTOR", 0, 12},
               {"METHOD", 1, 12},
               {"TARGET", 2, 12},
               {"CODE", 1},
               {"PEER", 4},
               {"MESSAGE", 3, 16}});
  for (const v1::AuditEntry& entry : entries) {
    table.Add({{entry.has_time() ? Rfc3339(FromTimestamp(entry.time())) : "-"},
               {entry.actor(), Tone::kStrong},
               {ShortName(entry.method())},
               {entry.target()},
               {Code(entry), entry.code() == 0 ? Tone::kGood : Tone::kBad},
               {entry.peer()},
               {entry.message(), Tone::kDim}});
  }
  return table.Render(width, colour);
}

absl::StatusOr<int> Audit(Invocation& invocation, const AuditOptions& options) {
  const size_t limit = static_cast<size_t>(options.limit);
  std::vector<v1::AuditEntry> entries;
  v1::ListAuditEntriesRequest request;
  do {
    request.set_page_size(static_cast<int32_t>(std::min<size_t>(1000, limit - entries.size())));
    MTP_ASSIGN_OR_RETURN(v1::ListAuditEntriesResponse page,
                         Call(invocation, &v1::FleetService::Stub::ListAuditEntries, request));
    for (v1::AuditEntry& entry : *page.mutable_entries()) {
      if (entries.size() < limit) entries.push_back(std::move(entry));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && entries.size() < limit);
  Json json = Json::array();
  for (const v1::AuditEntry& entry : entries) json.push_back(EntryJson(entry));
  invocation.Print({{"entries", std::move(json)}},
                   [&] { return AuditTable(entries, invocation.columns(), invocation.colour()); });
  return 0;
}

}  // namespace

void AddAudit(CLI::App& root, Chosen& chosen) {
  auto [command, options] = AddCommand<AuditOptions>(
      root, chosen, "audit", "Show who changed what and who was refused, newest first", Audit);
  command->add_option("--limit", options->limit, "At most so many")
      ->type_name("N")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
}

}  // namespace mtp::cli
