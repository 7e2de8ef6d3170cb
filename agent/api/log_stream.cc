#include "agent/api/log_stream.h"

#include <condition_variable>
#include <mutex>

#include "agent/tenants/redaction.h"

namespace mtp {
namespace {

constexpr size_t kMaxChunk = 64 << 10;
constexpr absl::Duration kComeBackInterval = absl::Milliseconds(300);

// Collects one stream's bytes to whole lines, so that a secret is never cut in two before it is
// looked for.
class LineRedactor {
 public:
  LineRedactor(bool is_stderr, const v1::TenantSecrets* secrets,
               const std::function<bool(v1::LogChunk)>* send)
      : is_stderr_(is_stderr), secrets_(secrets), send_(send) {}

  bool Add(absl::string_view bytes) {
    held_.append(bytes.data(), bytes.size());
    size_t whole = held_.rfind('\n');
    // A line without end is passed on when it fills a chunk.
    if (whole == std::string::npos && held_.size() < kMaxChunk / 2) return true;
    whole = whole == std::string::npos ? held_.size() : whole + 1;
    const std::string lines = held_.substr(0, whole);
    held_.erase(0, whole);
    return Send(lines);
  }
  bool Flush() {
    const std::string rest = std::move(held_);
    held_.clear();
    return rest.empty() || Send(rest);
  }

 private:
  bool Send(absl::string_view lines) {
    const std::string clean = RedactSecrets(lines, *secrets_);
    for (size_t begin = 0; begin < clean.size(); begin += kMaxChunk) {
      v1::LogChunk chunk;
      chunk.set_data(clean.substr(begin, kMaxChunk));
      chunk.set_stderr(is_stderr_);
      if (!(*send_)(std::move(chunk))) return false;
    }
    return true;
  }

  const bool is_stderr_;
  const v1::TenantSecrets* const secrets_;
  const std::function<bool(v1::LogChunk)>* const send_;
  std::string held_;
};

LogsOptions FirstOptions(const v1::StreamTenantLogsRequest& request, absl::Time now) {
  LogsOptions options;
  options.follow = request.follow();
  options.timestamps = request.timestamps();
  if (request.tail() > 0) options.tail = request.tail();
  if (request.tail() < 0) options.tail = 0;
  if (request.has_since()) {
    options.since =
        now - absl::Seconds(request.since().seconds()) - absl::Nanoseconds(request.since().nanos());
  }
  return options;
}

void Wait(absl::Duration time, std::stop_token stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait_for(lock, stop, absl::ToChronoNanoseconds(time),
                                         [] { return false; });
}

}  // namespace

absl::Status StreamLogs(Engine& engine, const Clock& clock, const LogStreamRequest& request,
                        const std::function<bool(v1::LogChunk)>& send,
                        const std::function<bool()>& still_here, std::stop_token stop) {
  LineRedactor out(false, &request.secrets, &send);
  LineRedactor err(true, &request.secrets, &send);
  bool wanted = true;
  LogsOptions options = FirstOptions(request.options, clock.Now());
  absl::Time last = clock.Now();
  while (true) {
    const absl::Status end = engine.Logs(
        request.target.container, options,
        [&](OutputStream stream, std::string_view bytes) {
          last = clock.Now();
          LineRedactor& line = stream == OutputStream::kStderr ? err : out;
          wanted = line.Add({bytes.data(), bytes.size()});
          return wanted;
        },
        stop);
    wanted = wanted && out.Flush() && err.Flush();
    if (!wanted || stop.stop_requested()) return absl::CancelledError("the caller has gone");
    if (!request.options.follow()) return end;
    if (!end.ok() && !absl::IsNotFound(end) && !absl::IsUnavailable(end)) return end;
    // The container ended, is being made anew, or the engine is away: go on where this ended.
    if (!still_here()) return absl::OkStatus();
    options.tail.reset();
    options.since = end.ok() ? clock.Now() : last + absl::Milliseconds(1);
    while (true) {
      Wait(kComeBackInterval, stop);
      if (stop.stop_requested()) return absl::CancelledError("the caller has gone");
      if (!still_here()) return absl::OkStatus();
      auto details = engine.InspectContainer(request.target.container);
      if (details.ok() && details->HasProcesses()) break;
    }
  }
}

}  // namespace mtp
