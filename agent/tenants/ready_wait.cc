#include "agent/tenants/ready_wait.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>

#include "agent/tenants/last_words.h"

namespace mtp {
namespace {

constexpr absl::Duration kSampleInterval = absl::Seconds(5);
// Less CPU than this between two samples is a container that sits still.
constexpr int64_t kBusyNs = 150'000'000;
// A container that ended is started again by the engine within this time, or not at all.
constexpr absl::Duration kRestartPatience = absl::Seconds(3);

// So many different lines are remembered; who says more makes progress.
constexpr size_t kMaxLines = 1000;
// Bytes read of the log in one look.
constexpr size_t kMaxSaid = 16 * 1024;

// Tells lines apart, but not by what changes each time they are said: times, counts, attempts.
size_t ShapeOf(std::string line) {
  std::erase_if(line, [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); });
  return std::hash<std::string>()(line);
}

// A light container is ready at once, a real one after 20 s: ask often first, then less so.
absl::Duration NextDelay(int looks) {
  if (looks < 20) return absl::Milliseconds(50);
  if (looks < 60) return absl::Milliseconds(250);
  return absl::Seconds(1);
}

}  // namespace

ReadyWait::ReadyWait(std::string container, v1::TenantSecrets secrets, ReadyLimits limits,
                     Engine* engine, OpenClaw* openclaw, const Clock* clock)
    : name_(std::move(container)),
      secrets_(std::move(secrets)),
      limits_(limits),
      engine_(engine),
      openclaw_(openclaw),
      clock_(clock),
      begin_(clock->Monotonic()),
      last_progress_(begin_),
      last_sample_(begin_),
      logs_seen_(clock->Now()) {}

ReadyWait::Look ReadyWait::Failed(absl::StatusCode code, std::string why) {
  Look look;
  look.status = absl::Status(code, WithLastWords(std::move(why), *engine_, name_, secrets_));
  return look;
}

std::optional<ReadyWait::Look> ReadyWait::CheckAlive() {
  const absl::Duration now = clock_->Monotonic();
  if (!restarts_before_) restarts_before_ = details_->restart_count;
  if (details_->restart_count - *restarts_before_ >= limits_.restarts) {
    return Failed(absl::StatusCode::kFailedPrecondition,
                  absl::StrCat("the container ended ", limits_.restarts,
                               " times while it started (", HowItEnded(*details_), ")"));
  }
  if (details_->HasProcesses()) {
    ended_since_.reset();
    return std::nullopt;
  }
  if (!ended_since_) ended_since_ = now;
  const bool comes_back = details_->state == ContainerState::kRestarting;
  if (limits_.once || (!comes_back && now - *ended_since_ > kRestartPatience)) {
    return Failed(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("the container ended while it started (", HowItEnded(*details_), ")"));
  }
  return std::nullopt;
}

void ReadyWait::NoteProgress() {
  const absl::Duration now = clock_->Monotonic();
  if (now - last_sample_ < kSampleInterval) return;
  last_sample_ = now;
  auto stats = engine_->Stats(name_);
  if (stats.ok()) {
    // A smaller figure is a new container's.
    if (stats->cpu_total_ns < cpu_ns_ || stats->cpu_total_ns - cpu_ns_ > kBusyNs) {
      last_progress_ = now;
    }
    cpu_ns_ = stats->cpu_total_ns;
  }
  if (SaysSomethingNew()) last_progress_ = now;
}

bool ReadyWait::SaysSomethingNew() {
  LogsOptions options;
  options.since = logs_seen_;
  options.tail = 20;
  logs_seen_ = clock_->Now();
  std::string said;
  engine_
      ->Logs(
          name_, options,
          [&said](OutputStream, std::string_view bytes) {
            said.append(bytes.substr(0, kMaxSaid - std::min(said.size(), kMaxSaid)));
            return false;
          },
          std::stop_token())
      .IgnoreError();
  bool news = false;
  const std::vector<std::string> said_lines = absl::StrSplit(said, '\n', absl::SkipWhitespace());
  for (const std::string& line : said_lines) {
    const size_t shape = ShapeOf(line);
    if (shapes_.contains(shape)) continue;
    news = true;
    if (shapes_.size() < kMaxLines) shapes_.insert(shape);
  }
  return news;
}

std::optional<ReadyWait::Look> ReadyWait::CheckTime() {
  const absl::Duration now = clock_->Monotonic();
  const std::string words = last_words_.empty() ? "" : absl::StrCat(" (", last_words_, ")");
  if (now - begin_ > limits_.total) {
    return Failed(absl::StatusCode::kDeadlineExceeded,
                  absl::StrCat("not ready after ", absl::FormatDuration(limits_.total), words));
  }
  if (now - last_progress_ > limits_.no_progress) {
    return Failed(absl::StatusCode::kDeadlineExceeded,
                  absl::StrCat("not ready, and without any activity for ",
                               absl::FormatDuration(limits_.no_progress), words));
  }
  return std::nullopt;
}

ReadyWait::Look ReadyWait::LookOnce() {
  Look look;
  look.delay = NextDelay(looks_++);
  auto details = engine_->InspectContainer(name_);
  if (absl::IsNotFound(details.status())) {
    look.status = absl::FailedPreconditionError(
        absl::StrCat("the container ", name_, " was removed while it started"));
    return look;
  }
  if (!details.ok()) {
    // The engine is away for a moment, or for good: time tells.
    last_words_ = std::string(details.status().message());
    if (auto late = CheckTime()) return *late;
    look.message = last_words_;
    look.delay = absl::Seconds(1);
    return look;
  }
  details_ = *std::move(details);
  if (auto dead = CheckAlive()) return *dead;
  if (details_->HasProcesses()) {
    auto probe = openclaw_->Probe({details_->id, details_->pid}, kGatewayTimeout);
    if (probe.ok() && probe->ready) {
      look.ready = true;
      look.message = "ready";
      return look;
    }
    last_words_ = probe.ok() ? probe->message : std::string(probe.status().message());
  }
  NoteProgress();
  if (auto late = CheckTime()) return *late;
  // No seconds in it: each new line travels to every watcher, and those who show it have a clock.
  look.message = absl::StrCat("waiting until ready",
                              last_words_.empty() ? "" : absl::StrCat(": ", last_words_));
  return look;
}

}  // namespace mtp
