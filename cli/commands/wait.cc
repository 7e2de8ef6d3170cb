#include "cli/commands/wait.h"

#include <absl/strings/str_cat.h>

#include "cli/commands/arguments.h"
#include "cli/commands/call.h"
#include "cli/commands/follow.h"
#include "cli/output/failure.h"
#include "cli/output/names.h"
#include "cli/output/values.h"
#include "mtp/v1/operation.grpc.pb.h"

namespace mtp::cli {
namespace {

absl::Status TimedOut(const v1::Operation& operation, absl::Duration timeout) {
  return WithHint(
      WithExit(absl::DeadlineExceededError(absl::StrCat(
                   operation.kind(), " ", ShortName(operation.target()), " has not ended within ",
                   absl::FormatDuration(timeout), "; it goes on")),
               ExitCode::kTimedOut),
      absl::StrCat("`mtp-cli op watch ", ShortName(operation.name()), "` waits for it"));
}

}  // namespace

void AddChangeFlags(CLI::App* command, ChangeOptions* options) {
  command->add_option(
      "--request-id", options->request_id,
      "Unique id of this request: a repetition with the same id changes nothing twice");
  command->add_option("--timeout", options->timeout, "How long to wait")
      ->type_name("TIME")
      ->capture_default_str();
  auto* wait = command->add_flag("--wait", options->wait, "Wait until it has ended (the default)");
  command->add_flag("--no-wait", options->no_wait, "Return as soon as the operation is accepted")
      ->excludes(wait);
  command->add_flag("--dry-run", options->dry_run, "Only check; change nothing");
}

absl::Status CheckChangeFlags(const ChangeOptions& options) {
  return ParseWait(options.timeout, "--timeout").status();
}

std::string RequestId(Invocation& invocation, const ChangeOptions& options) {
  return options.request_id.empty() ? NewRequestId(invocation) : options.request_id;
}

absl::StatusOr<v1::Operation> Follow(Invocation& invocation, const v1::Operation& operation,
                                     absl::Duration timeout) {
  MTP_ASSIGN_OR_RETURN(auto channel, invocation.Connected());
  v1::OperationService::Stub stub(channel);
  const Clock& clock = invocation.environment.clock;
  const std::unique_ptr<Progress> progress = invocation.NewProgress();
  v1::WatchOperationRequest request;
  request.set_name(operation.name());
  Followed<v1::Operation> followed;
  followed.watch = [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
    return stub.PrepareAsyncWatchOperation(context, request, queue);
  };
  followed.ended = [](const v1::Operation& now) { return HasEnded(now.state()); };
  followed.show = [&](const v1::Operation& now) { progress->Update(now, clock.Now()); };
  followed.tick = [&] { progress->Tick(clock.Now()); };
  followed.note = [&](absl::string_view text) { progress->Note(text); };
  v1::Operation latest = operation;
  MTP_ASSIGN_OR_RETURN(
      const bool ended,
      FollowToEnd(invocation, followed, timeout,
                  "the connection to the controller is lost; the operation goes on, trying again",
                  &latest));
  if (!ended) return TimedOut(latest, timeout);
  return latest;
}

absl::Status Outcome(const v1::Operation& operation) {
  if (operation.state() == v1::OPERATION_STATE_SUCCEEDED) return absl::OkStatus();
  const std::string what = absl::StrCat(operation.kind(), " ", ShortName(operation.target()));
  if (operation.state() == v1::OPERATION_STATE_CANCELLED) {
    return WithHint(
        WithExit(absl::CancelledError(absl::StrCat(what, " was cancelled and undone")),
                 ExitCode::kFailed),
        absl::StrCat("`mtp-cli op show ", ShortName(operation.name()), "` shows every step"));
  }
  std::string why = operation.error().message();
  if (why.empty()) why = operation.message();
  return WithHint(
      WithExit(absl::Status(absl::StatusCode::kInternal, absl::StrCat(what, " failed: ", why)),
               ExitCode::kFailed),
      absl::StrCat("`mtp-cli op show ", ShortName(operation.name()), "` shows every step"));
}

absl::StatusOr<int> Conclude(
    Invocation& invocation, const v1::Operation& accepted, const ChangeOptions& options,
    const std::function<nlohmann::ordered_json(const v1::Operation&)>& json,
    const std::function<std::string(const v1::Operation&)>& done) {
  if (options.no_wait) {
    invocation.Print(json(accepted), [&] {
      return absl::StrCat("Accepted as ", accepted.name(), "\nFollow it: mtp-cli op watch ",
                          ShortName(accepted.name()), "\n");
    });
    return 0;
  }
  MTP_ASSIGN_OR_RETURN(const absl::Duration timeout, ParseWait(options.timeout, "--timeout"));
  MTP_ASSIGN_OR_RETURN(const v1::Operation ended, Follow(invocation, accepted, timeout));
  const absl::Status outcome = Outcome(ended);
  if (outcome.ok() || invocation.format != Format::kTable) {
    invocation.Print(json(ended), [&] { return done(ended); });
  }
  MTP_RETURN_IF_ERROR(outcome);
  return 0;
}

}  // namespace mtp::cli
