// Places for what a host does only so much of at the same time: first come, first served.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <list>
#include <string>

namespace mtp {

// Thread-safe.
class Slots {
 public:
  // `limit`: at least 1.
  explicit Slots(int limit) : limit_(limit < 1 ? 1 : limit) {}

  // Asks for a slot; the first call takes a place in the queue. Returns how many are ahead of
  // `who`: 0 means that the slot is `who`'s. Never blocks: unless it is 0, `wake` is called once,
  // without locks held, when somebody ahead has left; ask again then.
  int Ask(const std::string& who, std::function<void()> wake);
  // Gives the slot, or the place in the queue, back. Unknown names are ignored.
  void Leave(const std::string& who);

 private:
  struct Place {
    std::string who;
    std::function<void()> wake;
  };

  const int limit_;
  absl::Mutex mutex_;
  std::list<Place> queue_ ABSL_GUARDED_BY(mutex_);
};

// Leaves the queue when it goes.
class SlotTicket {
 public:
  SlotTicket(Slots* slots, std::string who) : slots_(slots), who_(std::move(who)) {}
  ~SlotTicket() { Leave(); }
  SlotTicket(const SlotTicket&) = delete;
  SlotTicket& operator=(const SlotTicket&) = delete;

  int Ask(std::function<void()> wake) { return slots_->Ask(who_, std::move(wake)); }
  void Leave() { slots_->Leave(who_); }

 private:
  Slots* const slots_;
  const std::string who_;
};

}  // namespace mtp
