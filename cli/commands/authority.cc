#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "cli/commands/arguments.h"
#include "cli/commands/ask.h"
#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/output/failure.h"
#include "cli/output/operation_view.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "common/base/timestamps.h"
#include "common/base/words.h"
#include "mtp/v1/fleet.grpc.pb.h"
#include "mtp/v1/operation.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;
using Stub = v1::FleetService::Stub;

struct NoOptions {};
struct RotateOptions {
  std::string drop_old_after;
  bool abort = false;
  bool yes = false;
};

Json AuthorityJson(const v1::Authority& authority) {
  Json certificates = Json::array();
  for (const v1::AuthorityCertificate& one : authority.certificates()) {
    certificates.push_back({{"fingerprint", one.fingerprint()},
                            {"begins", Rfc3339(FromTimestamp(one.begin_time()))},
                            {"expires", Rfc3339(FromTimestamp(one.expire_time()))},
                            {"issuing", one.issuing()},
                            {"serving", one.serving()}});
  }
  Json hosts = Json::array();
  for (const std::string& host : authority.hosts_to_renew()) hosts.push_back(host);
  Json operators = Json::array();
  for (const std::string& name : authority.operators_to_renew()) operators.push_back(name);
  return {
      {"authorities", std::move(certificates)},
      {"operation", authority.operation().empty() ? Json(nullptr) : Json(authority.operation())},
      {"hosts_to_renew", std::move(hosts)},
      {"operators_to_renew", std::move(operators)}};
}

std::string Role(const v1::AuthorityCertificate& one, bool alone) {
  if (alone) return "in use";
  if (one.issuing()) return one.serving() ? "issues and serves" : "issues";
  return one.serving() ? "serves" : "trusted";
}

absl::StatusOr<int> Show(Invocation& invocation, const NoOptions&) {
  MTP_ASSIGN_OR_RETURN(const v1::Authority authority,
                       Call(invocation, &Stub::GetAuthority, v1::GetAuthorityRequest()));
  v1::Operation rotation;
  if (!authority.operation().empty()) {
    v1::GetOperationRequest request;
    request.set_name(authority.operation());
    MTP_ASSIGN_OR_RETURN(rotation,
                         Call(invocation, &v1::OperationService::Stub::GetOperation, request));
  }
  invocation.Print(AuthorityJson(authority), [&] {
    Table table({{"AUTHORITY", 0, 16}, {"ROLE"}, {"BEGAN", 2}, {"UNTIL", 1}});
    for (const v1::AuthorityCertificate& one : authority.certificates()) {
      table.Add({{one.fingerprint(), Tone::kStrong},
                 {Role(one, authority.certificates_size() == 1)},
                 {Rfc3339(FromTimestamp(one.begin_time()))},
                 {Rfc3339(FromTimestamp(one.expire_time()))}});
    }
    std::string text = table.Render(invocation.columns(), invocation.colour());
    if (authority.operation().empty()) return text;
    absl::StrAppend(&text, "\nA rotation goes on: ", authority.operation(), "\n",
                    Visible(StepInTurn(rotation)), "\n");
    if (authority.hosts_to_renew_size() > 0) {
      absl::StrAppend(&text, "Hosts that have not renewed: ",
                      Visible(absl::StrJoin(authority.hosts_to_renew(), ", ")), "\n");
    }
    if (authority.operators_to_renew_size() > 0) {
      absl::StrAppend(&text, "Operators that have not renewed: ",
                      Visible(absl::StrJoin(authority.operators_to_renew(), ", ")), "\n");
    }
    return text;
  });
  return 0;
}

absl::StatusOr<int> Abort(Invocation& invocation) {
  MTP_ASSIGN_OR_RETURN(const v1::Authority authority,
                       Call(invocation, &Stub::GetAuthority, v1::GetAuthorityRequest()));
  if (authority.operation().empty()) {
    return absl::FailedPreconditionError("no rotation of the authority goes on");
  }
  v1::CancelOperationRequest request;
  request.set_name(authority.operation());
  MTP_ASSIGN_OR_RETURN(const v1::Operation operation,
                       Call(invocation, &v1::OperationService::Stub::CancelOperation, request));
  invocation.Print(OperationJson(operation), [&] {
    return absl::StrCat("The rotation is being taken back: ", operation.name(),
                        "\nSee how far it is: mtp-cli authority show\n");
  });
  return 0;
}

absl::StatusOr<int> Rotate(Invocation& invocation, const RotateOptions& options) {
  if (options.abort) return Abort(invocation);
  v1::RotateAuthorityRequest request;
  if (!options.drop_old_after.empty()) {
    absl::Duration patience;
    if (!absl::ParseDuration(options.drop_old_after, &patience)) {
      return absl::InvalidArgumentError("--drop-old-after takes a duration such as 720h");
    }
    request.mutable_drop_old_after()->set_seconds(absl::ToInt64Seconds(patience));
  }
  if (!options.yes && PersonIsThere(invocation)) {
    MTP_RETURN_IF_ERROR(Confirm(invocation,
                                "Replace the fleet's certificate authority by a new one, and all "
                                "certificates after it? [y/N] ",
                                "nothing was begun"));
  }
  request.set_request_id(NewRequestId(invocation));
  MTP_ASSIGN_OR_RETURN(const v1::Operation operation,
                       Call(invocation, &Stub::RotateAuthority, request));
  // It takes minutes, and days until the last operator has renewed.
  invocation.Print(OperationJson(operation), [&] {
    return absl::StrCat("The authority is being replaced: ", operation.name(),
                        "\nSee how far it is: mtp-cli authority show\n");
  });
  return 0;
}

}  // namespace

void AddAuthority(CLI::App& root, Chosen& chosen) {
  CLI::App& group = *root.add_subcommand("authority", "The fleet's certificate authority");
  group.require_subcommand(1);
  AddCommand<NoOptions>(group, chosen, "show", "Show what is trusted, and how far a rotation is",
                        Show);
  auto [rotate, options] = AddCommand<RotateOptions>(
      group, chosen, "rotate", "Replace it by a new one while everything goes on", Rotate);
  rotate
      ->add_option("--drop-old-after", options->drop_old_after,
                   "How long operators who have not renewed are waited for (default 720h)")
      ->type_name("DURATION");
  rotate->add_flag("--abort", options->abort,
                   "Take it back, which can be done until the new one issues");
  rotate->add_flag("-y,--yes", options->yes, "Do not ask");
}

}  // namespace mtp::cli
