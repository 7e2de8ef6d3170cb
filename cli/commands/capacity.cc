#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "mtp/v1/fleet.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

struct CapacityOptions {
  int64_t memory_mib = 0;
};

Json CapacityJson(const v1::Capacity& capacity) {
  Json hosts = Json::array();
  for (const v1::HostCapacity& host : capacity.hosts()) {
    hosts.push_back({{"host", host.host()},
                     {"more_tenants", host.more_tenants()},
                     {"free_mib", host.free_mib()},
                     {"reason", host.reason()}});
  }
  Json stranded = Json::array();
  for (const std::string& tenant : capacity.stranded_tenants()) stranded.push_back(tenant);
  return {
      {"more_tenants", capacity.more_tenants()},
      {"memory_reservation_mib", capacity.memory_reservation_mib()},
      {"hosts", std::move(hosts)},
      {"survives_largest_host_loss", capacity.survives_largest_host_loss()},
      {"largest_host", capacity.largest_host()},
      {"stranded_tenants", std::move(stranded)},
      {"advice", capacity.advice()},
  };
}

std::string CapacityText(const v1::Capacity& capacity, int width, bool colour) {
  std::string text =
      absl::StrCat("Room for ", Paint(absl::StrCat(capacity.more_tenants()), Tone::kStrong, colour),
                   " more ", capacity.more_tenants() == 1 ? "tenant" : "tenants", " of ",
                   HumanMib(capacity.memory_reservation_mib()), ".\n");
  if (!capacity.hosts().empty()) {
    Table table({{"HOST", 0, 12}, {"MORE", 0, 0, true}, {"FREE", 0, 0, true}, {"REASON", 1, 20}});
    for (const v1::HostCapacity& host : capacity.hosts()) {
      table.Add({{host.host(), Tone::kStrong},
                 {absl::StrCat(host.more_tenants()),
                  host.more_tenants() == 0 ? Tone::kWarning : Tone::kGood},
                 {HumanMib(host.free_mib())},
                 {host.reason(), Tone::kDim}});
    }
    absl::StrAppend(&text, "\n", table.Render(width, colour), "\n");
  }
  if (!capacity.largest_host().empty()) {
    if (capacity.survives_largest_host_loss()) {
      absl::StrAppend(&text, "Without ", Visible(capacity.largest_host()),
                      ", its tenants would find room elsewhere.\n");
    } else {
      absl::StrAppend(&text,
                      Paint(absl::StrCat("Without ", Visible(capacity.largest_host()),
                                         ", these would find no room: "),
                            Tone::kWarning, colour),
                      Visible(absl::StrJoin(capacity.stranded_tenants(), ", ")), "\n");
    }
  }
  if (!capacity.advice().empty()) absl::StrAppend(&text, Visible(capacity.advice()), "\n");
  return text;
}

absl::StatusOr<int> ShowCapacity(Invocation& invocation, const CapacityOptions& options) {
  v1::GetCapacityRequest request;
  request.set_memory_reservation_mib(options.memory_mib);
  MTP_ASSIGN_OR_RETURN(const v1::Capacity capacity,
                       Call(invocation, &v1::FleetService::Stub::GetCapacity, request));
  invocation.Print(CapacityJson(capacity), [&] {
    return CapacityText(capacity, invocation.columns(), invocation.colour());
  });
  return 0;
}

}  // namespace

void AddCapacity(CLI::App& root, Chosen& chosen) {
  auto [command, options] = AddCommand<CapacityOptions>(
      root, chosen, "capacity", "Show how many more tenants fit, and what losing a host would do",
      ShowCapacity);
  command->add_option("--memory", options->memory_mib, "Reservation of the imagined tenants")
      ->type_name("MIB")
      ->check(CLI::PositiveNumber);
}

}  // namespace mtp::cli
