#include <absl/strings/str_cat.h>

#include "cli/commands/arguments.h"
#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/commands/wait.h"
#include "cli/output/names.h"
#include "cli/output/operation_view.h"
#include "mtp/v1/operation.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;
using Stub = v1::OperationService::Stub;

struct ListOptions {
  std::string target;
  bool active = false;
  int limit = 20;
};

absl::StatusOr<int> List(Invocation& invocation, const ListOptions& options) {
  v1::ListOperationsRequest request;
  if (!options.target.empty()) {
    MTP_ASSIGN_OR_RETURN(*request.mutable_target(), ParseTenant(options.target));
  }
  request.set_active_only(options.active);
  const size_t limit = static_cast<size_t>(options.limit);
  std::vector<v1::Operation> operations;
  do {
    request.set_page_size(static_cast<int32_t>(std::min<size_t>(1000, limit - operations.size())));
    MTP_ASSIGN_OR_RETURN(v1::ListOperationsResponse page,
                         Call(invocation, &Stub::ListOperations, request));
    for (v1::Operation& operation : *page.mutable_operations()) {
      if (operations.size() < limit) operations.push_back(std::move(operation));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && operations.size() < limit);
  Json json = Json::array();
  for (const v1::Operation& operation : operations) json.push_back(OperationJson(operation));
  invocation.Print({{"operations", std::move(json)}}, [&] {
    return OperationsTable(operations, invocation.now(), invocation.columns(), invocation.colour());
  });
  return 0;
}

struct NamedOptions {
  std::string name;
  std::string timeout = "15m";
};

void PrintOperation(Invocation& invocation, const v1::Operation& operation) {
  invocation.Print(OperationJson(operation), [&] {
    return OperationDetails(operation, invocation.now(), invocation.columns(), invocation.colour());
  });
}

absl::StatusOr<v1::Operation> Get(Invocation& invocation, const std::string& name) {
  v1::GetOperationRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseOperation(name));
  return Call(invocation, &Stub::GetOperation, request);
}

absl::StatusOr<int> Show(Invocation& invocation, const NamedOptions& options) {
  MTP_ASSIGN_OR_RETURN(const v1::Operation operation, Get(invocation, options.name));
  PrintOperation(invocation, operation);
  return 0;
}

absl::StatusOr<int> Watch(Invocation& invocation, const NamedOptions& options) {
  MTP_ASSIGN_OR_RETURN(const absl::Duration timeout, ParseWait(options.timeout, "--timeout"));
  MTP_ASSIGN_OR_RETURN(const v1::Operation operation, Get(invocation, options.name));
  MTP_ASSIGN_OR_RETURN(const v1::Operation ended, Follow(invocation, operation, timeout));
  const absl::Status outcome = Outcome(ended);
  if (outcome.ok() || invocation.format != Format::kTable) {
    invocation.Print(OperationJson(ended),
                     [&] { return absl::StrCat(ended.kind(), " succeeded\n"); });
  }
  MTP_RETURN_IF_ERROR(outcome);
  return 0;
}

absl::StatusOr<int> Cancel(Invocation& invocation, const NamedOptions& options) {
  v1::CancelOperationRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseOperation(options.name));
  MTP_ASSIGN_OR_RETURN(const v1::Operation operation,
                       Call(invocation, &Stub::CancelOperation, request));
  invocation.Print(OperationJson(operation), [&] {
    return HasEnded(operation.state())
               ? absl::StrCat("It has ended already: ", StateName(operation.state()), "\n")
               : "Asked to stop; it ends, undone, at the next step that allows it.\n";
  });
  return 0;
}

}  // namespace

void AddOperation(CLI::App& root, Chosen& chosen) {
  CLI::App& op = *root.add_subcommand("op", "Operations: the units of work behind every change");
  op.require_subcommand(1);
  auto [list, list_options] =
      AddCommand<ListOptions>(op, chosen, "list", "Show operations, newest first", List);
  list->add_option("--target", list_options->target, "Only those on this tenant")
      ->type_name("NAME");
  list->add_flag("--active", list_options->active, "Only those that have not ended");
  list->add_option("--limit", list_options->limit, "At most so many")
      ->type_name("N")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();

  const auto add = [&](const char* name, const char* description,
                       absl::StatusOr<int> (*run)(Invocation&, const NamedOptions&)) {
    auto added = AddCommand<NamedOptions>(op, chosen, name, description, run);
    added.command->add_option("OPERATION", added.options->name, "Its 26 characters")->required();
    return added;
  };
  add("show", "Show one operation with its steps", Show);
  auto watch = add("watch", "Follow an operation until it has ended", Watch);
  watch.command->add_option("--timeout", watch.options->timeout, "How long to wait")
      ->type_name("TIME")
      ->capture_default_str();
  add("cancel", "Ask an operation to stop and be undone", Cancel);
}

}  // namespace mtp::cli
