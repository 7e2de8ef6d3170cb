#include "cli/commands/wait.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/support/async_stream.h>

#include <algorithm>

#include "cli/commands/arguments.h"
#include "cli/commands/call.h"
#include "cli/output/failure.h"
#include "cli/output/names.h"
#include "cli/output/values.h"
#include "mtp/v1/operation.grpc.pb.h"

namespace mtp::cli {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(125);  // of the spinner
constexpr absl::Duration kLongestPause = absl::Seconds(2);

absl::Status TimedOut(const v1::Operation& operation, absl::Duration timeout) {
  return WithHint(
      WithExit(absl::DeadlineExceededError(absl::StrCat(
                   operation.kind(), " ", ShortName(operation.target()), " has not ended within ",
                   absl::FormatDuration(timeout), "; it goes on")),
               ExitCode::kTimedOut),
      absl::StrCat("`mtp-cli op watch ", ShortName(operation.name()), "` waits for it"));
}

// One stream's worth of following. UNAVAILABLE when it broke and following should begin again.
grpc::Status FollowOnce(v1::OperationService::Stub& stub, absl::Time deadline,
                        v1::Operation* latest, Progress& progress, const Clock& clock) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(deadline));
  v1::WatchOperationRequest request;
  request.set_name(latest->name());
  grpc::CompletionQueue queue;
  auto reader = stub.PrepareAsyncWatchOperation(&context, request, &queue);
  grpc::Status status = ReadStream<v1::Operation>(
      context, queue, *reader, kTick,
      [&](const v1::Operation& operation) {
        *latest = operation;
        progress.Note("");
        progress.Update(operation, clock.Now());
        return !HasEnded(operation.state());
      },
      [&] { progress.Tick(clock.Now()); });
  // A stream that ends in order although the operation has not: the controller is about to stop.
  if (status.ok() && !HasEnded(latest->state())) {
    return {grpc::StatusCode::UNAVAILABLE, "the controller ended the stream"};
  }
  return status;
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
  const Environment& environment = invocation.environment;
  const std::unique_ptr<Progress> progress = invocation.NewProgress();
  const absl::Duration end = environment.clock.Monotonic() + timeout;
  v1::Operation latest = operation;
  progress->Update(latest, environment.clock.Now());
  for (int lost = 0; !HasEnded(latest.state());) {
    const absl::Duration left = end - environment.clock.Monotonic();
    if (left <= absl::ZeroDuration()) return TimedOut(latest, timeout);
    const std::string before = latest.etag();
    const grpc::Status status =
        FollowOnce(stub, absl::Now() + left, &latest, *progress, environment.clock);
    if (status.ok()) break;
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
      return TimedOut(latest, timeout);
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return FromGrpc(status);
    lost = latest.etag() == before ? lost + 1 : 1;
    if (lost == 1)
      progress->Note(
          "the connection to the controller is lost; the operation goes on, trying again");
    progress->Tick(environment.clock.Now());
    environment.sleep(std::min({RetryPause(std::min(lost, 5)), kLongestPause, left}));
  }
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
