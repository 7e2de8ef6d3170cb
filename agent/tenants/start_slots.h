// How many OpenClaws start at the same time. A start saturates two cores for half a minute, so a
// storm of them starves everything; first come, first served.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <list>
#include <string>

namespace mtp {

// Thread-safe.
class StartSlots {
 public:
  // `limit`: at least 1.
  explicit StartSlots(int limit) : limit_(limit < 1 ? 1 : limit) {}

  // Asks for a slot; the first call takes a place in the queue. Returns how many are ahead of
  // `who`: 0 means that the slot is `who`'s. Never blocks: ask again later.
  int Ask(const std::string& who);
  // Gives the slot, or the place in the queue, back. Unknown names are ignored.
  void Leave(const std::string& who);

 private:
  const int limit_;
  absl::Mutex mutex_;
  std::list<std::string> queue_ ABSL_GUARDED_BY(mutex_);
};

// Leaves the queue when it goes.
class StartTicket {
 public:
  StartTicket(StartSlots* slots, std::string who) : slots_(slots), who_(std::move(who)) {}
  ~StartTicket() { Leave(); }
  StartTicket(const StartTicket&) = delete;
  StartTicket& operator=(const StartTicket&) = delete;

  int Ask() { return slots_->Ask(who_); }
  void Leave() { slots_->Leave(who_); }

 private:
  StartSlots* const slots_;
  const std::string who_;
};

}  // namespace mtp
