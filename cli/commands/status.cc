#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>

#include "cli/commands/arguments.h"
#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/output/fleet_view.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/names.h"
#include "common/base/timestamps.h"
#include "mtp/v1/fleet.grpc.pb.h"

namespace mtp::cli {
namespace {

struct StatusOptions {
  std::string name;
  bool watch = false;
};

// Uptimes count on the controller's clock.
absl::Time ViewTime(const v1::FleetStatus& fleet, absl::Time fallback) {
  return fleet.has_time() ? FromTimestamp(fleet.time()) : fallback;
}

void PrintFleet(Invocation& invocation, const v1::FleetStatus& fleet) {
  const absl::Time now = ViewTime(fleet, invocation.now());
  invocation.Print(FleetJson(fleet, now), [&] {
    return FleetTables(fleet, now, invocation.columns(), invocation.colour());
  });
}

// Draws the fleet in place, again and again: no line is longer and no frame higher than the
// terminal.
class FleetScreen {
 public:
  explicit FleetScreen(Invocation& invocation) : invocation_(invocation) {}

  void Show(const v1::FleetStatus& fleet) {
    fleet_ = fleet;
    received_ = invocation_.environment.clock.Monotonic();
    note_.clear();
    Draw();
  }
  void Note(absl::string_view text) {
    note_ = std::string(text);
    Draw();
  }

  void Draw() {
    if (!fleet_) return;
    const absl::Duration age = invocation_.environment.clock.Monotonic() - received_;
    const absl::Time now = ViewTime(*fleet_, invocation_.now()) + age;
    const int width = invocation_.columns();
    const std::string title = Shorten(absl::StrCat(Visible(fleet_->fleet()), "  ", Rfc3339(now),
                                                   note_.empty() ? "" : "  ", note_),
                                      width);
    const std::string text = absl::StrCat(
        Paint(title, note_.empty() ? Tone::kDim : Tone::kWarning, invocation_.colour()), "\n\n",
        FleetTables(*fleet_, now, width, invocation_.colour()));
    std::vector<std::string> lines = absl::StrSplit(text, '\n');
    if (!lines.empty() && lines.back().empty()) lines.pop_back();
    const size_t most = static_cast<size_t>(std::max(invocation_.environment.rows() - 1, 5));
    if (lines.size() > most) {
      const size_t hidden = lines.size() - most + 1;
      lines.resize(most - 1);
      lines.push_back(absl::StrCat("… ", hidden, " more lines; make the terminal higher"));
    }
    std::ostream& out = invocation_.environment.out;
    out << (drawn_ ? "\x1b[H" : "\x1b[2J\x1b[H") << absl::StrJoin(lines, "\x1b[K\n")
        << "\x1b[K\n\x1b[J" << std::flush;
    drawn_ = true;
  }

 private:
  Invocation& invocation_;
  std::optional<v1::FleetStatus> fleet_;
  absl::Duration received_;
  std::string note_;
  bool drawn_ = false;
};

// Follows the fleet until the process is ended. A lost connection is made again once it had been
// there.
absl::StatusOr<int> Watch(Invocation& invocation, const std::string& tenant) {
  MTP_ASSIGN_OR_RETURN(auto channel, invocation.Connected());
  v1::FleetService::Stub stub(channel);
  const bool draws = invocation.environment.out_is_terminal && invocation.format == Format::kTable;
  FleetScreen screen(invocation);
  v1::WatchFleetStatusRequest request;
  request.set_tenant(tenant);
  bool connected_once = false;
  for (int lost = 1;; ++lost) {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    auto reader = stub.PrepareAsyncWatchFleetStatus(&context, request, &queue);
    const grpc::Status status = ReadStream<v1::FleetStatus>(
        context, queue, *reader, absl::Seconds(1),
        [&](const v1::FleetStatus& fleet) {
          connected_once = true;
          lost = 0;
          if (draws) {
            screen.Show(fleet);
            return true;
          }
          const absl::Time now = ViewTime(fleet, invocation.now());
          invocation.PrintNext(FleetJson(fleet, now), [&] {
            return absl::StrCat(FleetTables(fleet, now, invocation.columns(), invocation.colour()),
                                "\n");
          });
          return invocation.environment.out.good();
        },
        [&] {
          if (draws) screen.Draw();
        });
    const bool unreachable = status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE;
    if (!invocation.environment.out.good()) return 0;  // the reader of the pipe has gone
    if (!unreachable) return CallStatus(invocation, status, kCallTimeout);
    if (!connected_once && lost >= kCallTries) {
      return status.ok() ? absl::UnavailableError("the controller ends the stream at once")
                         : CallStatus(invocation, status, kCallTimeout);
    }
    if (connected_once && lost == 0) {
      constexpr absl::string_view kLost = "the controller is unreachable, trying again";
      if (draws) {
        screen.Note(kLost);
      } else {
        invocation.Warn(kLost);
      }
    }
    PauseBeforeTry(invocation, RetryPause(std::min(lost + 1, 4)));
  }
}

absl::StatusOr<int> Status(Invocation& invocation, const StatusOptions& options) {
  if (!options.name.empty()) MTP_RETURN_IF_ERROR(TenantName::Parse(options.name).status());
  if (options.watch) return Watch(invocation, options.name);
  v1::GetFleetStatusRequest request;
  request.set_tenant(options.name);
  MTP_ASSIGN_OR_RETURN(const v1::FleetStatus fleet,
                       Call(invocation, &v1::FleetService::Stub::GetFleetStatus, request));
  PrintFleet(invocation, fleet);
  return 0;
}

}  // namespace

void AddStatus(CLI::App& root, Chosen& chosen) {
  auto [command, options] = AddCommand<StatusOptions>(
      root, chosen, "status", "Show hosts, tenants and admin instances", Status);
  command->add_option("NAME", options->name, "Only this tenant and its host");
  command->add_flag("-w,--watch", options->watch, "Keep showing, with every change");
}

}  // namespace mtp::cli
