#include "cli/commands/completion.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <map>

#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/commands/run.h"
#include "cli/output/backup_tables.h"
#include "cli/output/names.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "mtp/v1/backup.grpc.pb.h"
#include "mtp/v1/fleet.grpc.pb.h"
#include "mtp/v1/operation.grpc.pb.h"
#include "mtp/v1/rollout.grpc.pb.h"

namespace mtp::cli {
namespace {

// Nobody waits longer for a key press.
constexpr absl::Duration kPatience = absl::Seconds(2);

struct ScriptOptions {
  std::string shell;
};
struct NoOptions {};

// One try with little patience; whatever goes wrong, there is nothing to offer.
template <class Stub, class Request, class Response>
Response Ask(Invocation& invocation,
             grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
             const Request& request) {
  Response response;
  invocation.renews = false;
  const auto channel = invocation.Connected();
  if (!channel.ok()) return response;
  Stub stub(*channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  if (!(stub.*method)(&context, request, &response).ok()) return Response();
  return response;
}

void AddFromFleet(Invocation& invocation, Wanted wanted, std::vector<Candidate>* candidates) {
  const v1::FleetStatus fleet =
      Ask(invocation, &v1::FleetService::Stub::GetFleetStatus, v1::GetFleetStatusRequest());
  if (wanted != Wanted::kHost) {
    for (const v1::Tenant& tenant : fleet.tenants()) {
      candidates->push_back(
          {ShortName(tenant.name()),
           absl::StrCat(StateName(tenant.status().state()), " on ", tenant.status().host())});
    }
  }
  for (const v1::Host& host : fleet.hosts()) {
    const std::string name = ShortName(host.name());
    if (wanted == Wanted::kHost)
      candidates->push_back({name, std::string(StateName(host.status().state()))});
    if (wanted == Wanted::kTarget && host.status().admin().enabled()) {
      candidates->push_back({"admins/" + name, "admin instance"});
    }
  }
}

void AddOperations(Invocation& invocation, std::vector<Candidate>* candidates) {
  const auto response =
      Ask(invocation, &v1::OperationService::Stub::ListOperations, v1::ListOperationsRequest());
  for (const v1::Operation& operation : response.operations()) {
    candidates->push_back({ShortName(operation.name()),
                           absl::StrCat(operation.kind(), " ", ShortName(operation.target()), " ",
                                        StateName(operation.state()))});
  }
}

void AddOperators(Invocation& invocation, std::vector<Candidate>* candidates) {
  const auto response =
      Ask(invocation, &v1::FleetService::Stub::ListOperators, v1::ListOperatorsRequest());
  for (const v1::Operator& who : response.operators()) {
    candidates->push_back({who.name(), std::string(RoleName(who.role()))});
  }
}

v1::ListBackupsResponse AskForBackups(Invocation& invocation, const std::string& tenant) {
  v1::ListBackupsRequest request;
  request.set_page_size(1000);
  if (!tenant.empty()) request.set_tenant("tenants/" + tenant);
  return Ask(invocation, &v1::BackupService::Stub::ListBackups, request);
}

void AddBackups(Invocation& invocation, const std::string& tenant,
                std::vector<Candidate>* candidates) {
  const auto response = AskForBackups(invocation, tenant);
  for (const v1::Backup& backup : response.backups()) {
    candidates->push_back(
        {ShortName(backup.name()),
         absl::StrCat(backup.tenant(), " ",
                      Ago(backup.has_start_time(), backup.start_time(), invocation.now()))});
  }
}

void AddBackedUpTenants(Invocation& invocation, std::vector<Candidate>* candidates) {
  const auto response = AskForBackups(invocation, "");
  std::map<std::string, int> counts;
  for (const v1::Backup& backup : response.backups()) ++counts[backup.tenant()];
  for (const auto& [tenant, count] : counts)
    candidates->push_back({tenant, absl::StrCat(count, count == 1 ? " backup" : " backups")});
}

void AddRepositories(Invocation& invocation, std::vector<Candidate>* candidates) {
  const auto response =
      Ask(invocation, &v1::BackupService::Stub::ListRepositories, v1::ListRepositoriesRequest());
  for (const v1::Repository& repository : response.repositories())
    candidates->push_back({ShortName(repository.name()), repository.url()});
}

void AddRollouts(Invocation& invocation, std::vector<Candidate>* candidates) {
  const auto response =
      Ask(invocation, &v1::RolloutService::Stub::ListRollouts, v1::ListRolloutsRequest());
  if (response.rollouts_size() > 0) candidates->push_back({"latest", "the newest one"});
  for (const v1::Rollout& rollout : response.rollouts()) {
    candidates->push_back({ShortName(rollout.name()), std::string(StateName(rollout.state()))});
  }
}

void AddContexts(const Environment& environment, std::vector<Candidate>* candidates) {
  const auto path = ContextFilePath(environment);
  if (!path.ok()) return;
  const auto file = ReadContextFile(*path);
  if (!file.ok()) return;
  for (const auto& [name, endpoint] : file->contexts)
    candidates->push_back({name, endpoint.controller});
}

absl::StatusOr<int> Complete(Invocation& invocation, const NoOptions&) {
  GlobalFlags flags;
  Chosen chosen;
  const auto tree = MakeTree(flags, chosen);
  const std::vector<std::string>& words = invocation.trailing;
  CompletionPlace place = FindPlace(*tree, words);
  invocation.endpoint = place.endpoint;
  std::vector<Candidate>& candidates = place.fixed;
  switch (place.wanted) {
    case Wanted::kNothing:
      break;
    case Wanted::kTenant:
    case Wanted::kTarget:
    case Wanted::kHost:
      AddFromFleet(invocation, place.wanted, &candidates);
      break;
    case Wanted::kOperation:
      AddOperations(invocation, &candidates);
      break;
    case Wanted::kOperator:
      AddOperators(invocation, &candidates);
      break;
    case Wanted::kContext:
      AddContexts(invocation.environment, &candidates);
      break;
    case Wanted::kBackup:
      AddBackups(invocation, place.tenant, &candidates);
      break;
    case Wanted::kBackedUpTenant:
      AddBackedUpTenants(invocation, &candidates);
      break;
    case Wanted::kRepository:
      AddRepositories(invocation, &candidates);
      break;
    case Wanted::kRollout:
      AddRollouts(invocation, &candidates);
      break;
  }
  const std::string begun = words.empty() ? "" : words.back();
  for (const Candidate& candidate : candidates) {
    if (!absl::StartsWith(candidate.word, begun)) continue;
    invocation.environment.out << Visible(candidate.word);
    if (!candidate.description.empty())
      invocation.environment.out << "\t" << Visible(candidate.description);
    invocation.environment.out << "\n";
  }
  return 0;
}

absl::StatusOr<int> Script(Invocation& invocation, const ScriptOptions& options) {
  invocation.environment.out << CompletionScript(options.shell) << std::flush;
  return 0;
}

}  // namespace

void AddCompletion(CLI::App& root, Chosen& chosen) {
  auto [script, options] = AddCommand<ScriptOptions>(
      root, chosen, "completion", "Print the completion script of a shell: bash, zsh or fish",
      Script);
  script->add_option("SHELL", options->shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  AddCommand<NoOptions>(root, chosen, "__complete",
                        "Offers what may come next; for completion scripts", Complete)
      .command->group("");
}

}  // namespace mtp::cli
