#include "agent/tenants/crash_history.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>

namespace mtp {
namespace {

// Words before the times of ends.
constexpr size_t kWords = 8;

std::string ToWord(absl::Time time) { return absl::StrCat(absl::ToUnixNanos(time)); }

}  // namespace

void CrashHistory::See(const ContainerDetails& container, int64_t kills_of_this_life,
                       const std::vector<absl::Time>& oom_events, absl::Time now) {
  const bool is_new = container.id != container_;
  // Of a container that this agent never saw before, nobody knows when it ended.
  const bool is_first = container_.empty();
  if (is_new) {
    *this = CrashHistory();
    container_ = container.id;
    if (is_first) restart_count_ = container.restart_count;
  }
  SeeEnds(container, is_new, now);
  SeeKills(container, kills_of_this_life, oom_events, now);
}

void CrashHistory::SeeEnds(const ContainerDetails& container, bool is_new, absl::Time now) {
  if (container.restart_count < restart_count_) {
    // Somebody started it: its count, and ours, begin anew.
    restart_count_ = 0;
    ends_.clear();
  }
  const int64_t more = container.restart_count - restart_count_;
  restart_count_ = container.restart_count;
  for (int64_t i = 0; i < std::min<int64_t>(more, kCrashLoopEnds); ++i) ends_.push_back(now);
  if (ends_.size() > kCrashLoopEnds) ends_.erase(ends_.begin(), ends_.end() - kCrashLoopEnds);
  if (more > 0 || is_new || !container.HasProcesses()) ready_since_ = absl::InfiniteFuture();
}

void CrashHistory::SeeKills(const ContainerDetails& container, int64_t kills_of_this_life,
                            const std::vector<absl::Time>& oom_events, absl::Time now) {
  const int64_t total_before = oom_kills();
  const absl::Time start = container.started_at.value_or(absl::InfinitePast());
  const int64_t earlier = std::count_if(oom_events.begin(), oom_events.end(),
                                        [start](absl::Time time) { return time < start; });
  if (start != life_) {
    // Events of a container before this one are older than its first start.
    if (life_ != absl::InfinitePast()) {
      kills_before_ += std::max(kills_, events_ + earlier);
      ready_since_ = absl::InfiniteFuture();
    }
    life_ = start;
    kills_ = events_ = 0;
  }
  events_ += static_cast<int64_t>(oom_events.size()) - earlier;
  kills_ = std::max({kills_, events_, kills_of_this_life, int64_t{container.oom_killed ? 1 : 0}});
  if (oom_kills() <= total_before) return;
  last_kill_ = now;
  limit_at_last_kill_ = container.memory_limit_bytes;
}

void CrashHistory::SeeReadiness(bool ready, absl::Time now) {
  if (!ready) {
    ready_since_ = absl::InfiniteFuture();
    return;
  }
  ready_since_ = std::min(ready_since_, now);
  if (IsWell(now)) ends_.clear();
}

bool CrashHistory::IsCrashLoop(absl::Time now) const {
  return std::count_if(ends_.begin(), ends_.end(), [now](absl::Time end) {
           return now - end < kCrashLoopWindow;
         }) >= kCrashLoopEnds;
}

std::string CrashHistory::ToText() const {
  std::string text = absl::StrCat(container_.empty() ? "-" : container_, " ", restart_count_, " ",
                                  ToWord(life_), " ", kills_before_, " ", kills_, " ", events_, " ",
                                  ToWord(last_kill_), " ", limit_at_last_kill_);
  for (const absl::Time end : ends_) absl::StrAppend(&text, " ", ToWord(end));
  return text;
}

CrashHistory CrashHistory::FromText(absl::string_view text) {
  const std::vector<std::string> words = absl::StrSplit(text, ' ');
  if (words.size() < kWords || words.size() > kWords + kCrashLoopEnds) return CrashHistory();
  std::vector<int64_t> numbers(words.size());
  for (size_t i = 1; i < words.size(); ++i) {
    if (!absl::SimpleAtoi(words[i], &numbers[i])) return CrashHistory();
  }
  const auto time = [&numbers](size_t i) {
    // ToUnixNanos says so of the infinite past.
    return numbers[i] == INT64_MIN ? absl::InfinitePast() : absl::FromUnixNanos(numbers[i]);
  };
  CrashHistory history;
  if (words[0] != "-") history.container_ = words[0];
  history.restart_count_ = numbers[1];
  history.life_ = time(2);
  history.kills_before_ = numbers[3];
  history.kills_ = numbers[4];
  history.events_ = numbers[5];
  history.last_kill_ = time(6);
  history.limit_at_last_kill_ = numbers[7];
  for (size_t i = kWords; i < words.size(); ++i) history.ends_.push_back(time(i));
  return history;
}

}  // namespace mtp
