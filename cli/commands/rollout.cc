#include "cli/commands/rollout.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>

#include "cli/commands/arguments.h"
#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/commands/follow.h"
#include "cli/output/failure.h"
#include "cli/output/names.h"
#include "cli/output/rollout_view.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/ulid.h"
#include "mtp/v1/rollout.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;
using Stub = v1::RolloutService::Stub;

struct ListOptions {
  int limit = 20;
};

struct NamedOptions {
  std::string name;
  std::string timeout = kRolloutTimeout;
};

absl::StatusOr<std::vector<v1::Rollout>> ListRollouts(Invocation& invocation, size_t limit) {
  std::vector<v1::Rollout> rollouts;
  v1::ListRolloutsRequest request;
  do {
    request.set_page_size(static_cast<int32_t>(std::min<size_t>(50, limit - rollouts.size())));
    MTP_ASSIGN_OR_RETURN(v1::ListRolloutsResponse page,
                         Call(invocation, &Stub::ListRollouts, request));
    for (v1::Rollout& rollout : *page.mutable_rollouts()) {
      if (rollouts.size() < limit) rollouts.push_back(std::move(rollout));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty() && rollouts.size() < limit);
  return rollouts;
}

// A ULID, or `rollouts/<ULID>`, or `latest`.
absl::StatusOr<std::string> NameOf(Invocation& invocation, const std::string& text) {
  if (text == "latest") {
    MTP_ASSIGN_OR_RETURN(const auto rollouts, ListRollouts(invocation, 1));
    if (rollouts.empty()) {
      return WithHint(absl::NotFoundError("there is no rollout yet"),
                      "mtp-cli update NAME…, or mtp-cli update --all");
    }
    return rollouts[0].name();
  }
  const absl::string_view id = absl::StripPrefix(text, "rollouts/");
  if (IsUlid(id)) return absl::StrCat("rollouts/", id);
  return WithHint(
      absl::InvalidArgumentError("a rollout is given by its 26 letters and digits, or as latest"),
      "`mtp-cli rollout list` shows all");
}

absl::StatusOr<int> List(Invocation& invocation, const ListOptions& options) {
  MTP_ASSIGN_OR_RETURN(const auto rollouts,
                       ListRollouts(invocation, static_cast<size_t>(options.limit)));
  Json json = Json::array();
  for (const v1::Rollout& rollout : rollouts) json.push_back(RolloutJson(rollout));
  invocation.Print({{"rollouts", std::move(json)}}, [&] {
    return RolloutsTable(rollouts, invocation.now(), invocation.columns(), invocation.colour());
  });
  return 0;
}

// Asks `method` about, or for a change of, the rollout that was named.
template <class Request>
absl::StatusOr<v1::Rollout> Ask(Invocation& invocation, const std::string& name,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             v1::Rollout*)) {
  Request request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), NameOf(invocation, name));
  return Call(invocation, method, request);
}

absl::StatusOr<int> Show(Invocation& invocation, const NamedOptions& options) {
  MTP_ASSIGN_OR_RETURN(const v1::Rollout rollout, Ask(invocation, options.name, &Stub::GetRollout));
  invocation.Print(RolloutJson(rollout), [&] {
    return RolloutDetails(rollout, invocation.now(), invocation.columns(), invocation.colour());
  });
  return 0;
}

absl::StatusOr<int> Watch(Invocation& invocation, const NamedOptions& options) {
  MTP_ASSIGN_OR_RETURN(const absl::Duration timeout, ParseWait(options.timeout, "--timeout"));
  MTP_ASSIGN_OR_RETURN(const v1::Rollout rollout, Ask(invocation, options.name, &Stub::GetRollout));
  return ConcludeRollout(invocation, rollout, timeout);
}

int PrintChanged(Invocation& invocation, const v1::Rollout& rollout, absl::string_view sentence) {
  invocation.Print(RolloutJson(rollout), [&] {
    const std::string id = ShortName(rollout.name());
    if (HasEnded(rollout.state())) {
      return absl::StrCat("It has ended already: ", StateName(rollout.state()), "\n");
    }
    return absl::StrCat(sentence, "\nFollow it: mtp-cli rollout watch ", Visible(id), "\n");
  });
  return 0;
}

absl::StatusOr<int> Pause(Invocation& invocation, const NamedOptions& options) {
  MTP_ASSIGN_OR_RETURN(const v1::Rollout rollout,
                       Ask(invocation, options.name, &Stub::PauseRollout));
  if (rollout.state() == v1::ROLLOUT_STATE_ABORTING) {
    return PrintChanged(invocation, rollout, "It is being aborted; no further tenant is begun.");
  }
  return PrintChanged(invocation, rollout,
                      "Paused: no further tenant is begun; updates that go on are finished.");
}

absl::StatusOr<int> Resume(Invocation& invocation, const NamedOptions& options) {
  MTP_ASSIGN_OR_RETURN(const v1::Rollout rollout,
                       Ask(invocation, options.name, &Stub::ResumeRollout));
  return PrintChanged(invocation, rollout, "It goes on.");
}

absl::StatusOr<int> Abort(Invocation& invocation, const NamedOptions& options) {
  MTP_ASSIGN_OR_RETURN(const v1::Rollout rollout,
                       Ask(invocation, options.name, &Stub::AbortRollout));
  return PrintChanged(invocation, rollout,
                      "Aborting: tenants in the middle of their update are brought back; those "
                      "that have the image keep it.");
}

absl::Status Outcome(const v1::Rollout& rollout) {
  if (rollout.state() == v1::ROLLOUT_STATE_SUCCEEDED) return absl::OkStatus();
  const std::string id = ShortName(rollout.name());
  const std::string hint = absl::StrCat("`mtp-cli rollout show ", id, "` shows every tenant");
  if (rollout.state() == v1::ROLLOUT_STATE_ABORTED) {
    return WithHint(WithExit(absl::CancelledError(
                                 absl::StrCat("rollout ", id, " was aborted: ", rollout.message())),
                             ExitCode::kFailed),
                    hint);
  }
  return WithHint(WithExit(absl::InternalError(absl::StrCat("rollout ", id, " failed: ",
                                                            rollout.error().message().empty()
                                                                ? rollout.message()
                                                                : rollout.error().message())),
                           ExitCode::kFailed),
                  hint);
}

std::unique_ptr<RolloutProgress> NewProgress(Invocation& invocation) {
  const Environment& environment = invocation.environment;
  if (environment.err_is_terminal && environment.variable("TERM").value_or("") != "dumb") {
    return std::make_unique<LiveRolloutProgress>(environment.err, environment.columns,
                                                 environment.rows, invocation.err_colour());
  }
  if (invocation.format == Format::kTable) {
    return std::make_unique<PlainRolloutProgress>(environment.err);
  }
  return std::make_unique<NoRolloutProgress>();
}

}  // namespace

absl::StatusOr<v1::Rollout> FollowRollout(Invocation& invocation, const v1::Rollout& rollout,
                                          absl::Duration timeout) {
  MTP_ASSIGN_OR_RETURN(auto channel, invocation.Connected());
  Stub stub(channel);
  const Clock& clock = invocation.environment.clock;
  const std::unique_ptr<RolloutProgress> progress = NewProgress(invocation);
  v1::WatchRolloutRequest request;
  request.set_name(rollout.name());
  Followed<v1::Rollout> followed;
  followed.watch = [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
    return stub.PrepareAsyncWatchRollout(context, request, queue);
  };
  followed.ended = [](const v1::Rollout& now) { return HasEnded(now.state()); };
  followed.show = [&](const v1::Rollout& now) { progress->Update(now, clock.Now()); };
  followed.tick = [&] { progress->Tick(clock.Now()); };
  followed.note = [&](absl::string_view text) { progress->Note(text); };
  v1::Rollout latest = rollout;
  MTP_ASSIGN_OR_RETURN(
      const bool ended,
      FollowToEnd(invocation, followed, timeout,
                  "the connection to the controller is lost; the rollout goes on, trying again",
                  &latest));
  if (ended) return latest;
  const std::string id = ShortName(rollout.name());
  return WithHint(WithExit(absl::DeadlineExceededError(
                               absl::StrCat("rollout ", id, " has not ended within ",
                                            absl::FormatDuration(timeout), "; it goes on")),
                           ExitCode::kTimedOut),
                  absl::StrCat("`mtp-cli rollout watch ", id,
                               "` waits for it, `mtp-cli rollout abort ", id, "` ends it"));
}

absl::StatusOr<int> ConcludeRollout(Invocation& invocation, const v1::Rollout& rollout,
                                    absl::Duration timeout) {
  MTP_ASSIGN_OR_RETURN(const v1::Rollout ended, FollowRollout(invocation, rollout, timeout));
  const absl::Status outcome = Outcome(ended);
  invocation.Print(RolloutJson(ended), [&] {
    const std::string table = RolloutTenantsTable(ended, invocation.columns(), invocation.colour());
    if (!outcome.ok()) return table;
    return absl::StrCat(table, Visible(ended.message()), " after ",
                        HumanDuration(Elapsed(ended, invocation.now())), "\n");
  });
  MTP_RETURN_IF_ERROR(outcome);
  return 0;
}

void AddRollout(CLI::App& root, Chosen& chosen) {
  CLI::App& rollout =
      *root.add_subcommand("rollout", "Rollouts: updates of tenants in waves, begun with `update`");
  rollout.require_subcommand(1);
  auto [list, list_options] =
      AddCommand<ListOptions>(rollout, chosen, "list", "Show rollouts, newest first", List);
  list->add_option("--limit", list_options->limit, "At most so many")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  const auto add = [&](const char* name, const char* description,
                       absl::StatusOr<int> (*run)(Invocation&, const NamedOptions&)) {
    auto added = AddCommand<NamedOptions>(rollout, chosen, name, description, run);
    added.command->add_option("ROLLOUT", added.options->name, "Its 26 characters, or latest")
        ->required();
    return added;
  };
  add("show", "Show one rollout with its tenants", Show);
  auto watch = add("watch", "Follow a rollout until it has ended", Watch);
  watch.command->add_option("--timeout", watch.options->timeout, "How long to wait")
      ->type_name("TIME")
      ->capture_default_str();
  add("pause", "Begin no further tenant; updates that go on are finished", Pause);
  add("resume", "Go on with a paused rollout", Resume);
  add("abort", "End a rollout: tenants in the middle are brought back, updated ones stay so",
      Abort);
}

}  // namespace mtp::cli
