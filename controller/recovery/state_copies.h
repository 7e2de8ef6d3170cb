// Keeps copies of the controller's state in every repository, so that a controller that is lost
// with its disk can be made again (docs/recovery.md).
#pragma once

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/clock.h"
#include "common/base/executor.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/secret_box.h"
#include "common/base/secret_string.h"
#include "common/kv/store.h"
#include "controller/state/observations.h"
#include "controller/state/tables.h"
#include "mtp/v1/agent.pb.h"

namespace mtp {

// Bytes of a copy that an agent takes.
inline constexpr size_t kStateCopyBytesMax = 3 << 20;

// One place for copies is a repository on a server, which any connected host writes into, or a
// folder on one host: each of the hosts has a copy of its own then.
//
// Thread-safe. What was copied is known in memory only: a controller that starts makes a copy.
class StateCopies {
 public:
  struct Options {
    // From the first change, or the start, to the copy of it. Default 5 minutes.
    absl::Duration settle = absl::Minutes(5);
    // To the first copy in a place that is new while the controller runs. Default 10 s.
    absl::Duration first_copy = absl::Seconds(10);
    // Between two copies in one place. Default 15 minutes.
    absl::Duration min_interval = absl::Minutes(15);
    // A copy is made after this long even though nothing has changed. Default a day.
    absl::Duration max_age = absl::Hours(24);
    // Between attempts in a place where it failed: doubles between these. Default 1 to 30 minutes.
    absl::Duration min_retry = absl::Minutes(1);
    absl::Duration max_retry = absl::Minutes(30);
  };
  // What it acts by.
  struct Edges {
    // The whole state of now, packed (collect.h), of at most `max_bytes`.
    std::function<absl::StatusOr<SecretString>(const std::string& copy_id, size_t max_bytes)> pack;
    // AgentService.StoreState on that host; blocks.
    std::function<absl::Status(const std::string& host, const v1::StoreStateRequest& request)> send;
  };

  // All arguments must outlive it.
  StateCopies(kv::Store* store, const SecretBox* box, const Observations* observations,
              const Clock* clock, Random* random, Executor* executor, std::string fleet,
              Edges edges, Log log, Options options);
  ~StateCopies();

  absl::Status Start();
  // No copy begins after this, and none is under way: `send` must have been made to end before.
  void Stop();
  // A host is there (again): places that wait for one are looked at.
  void HostConnected();

 private:
  struct Place {
    std::string repository;
    std::string host;  // of a folder on a host; else empty
    bool operator<(const Place& other) const {
      return std::tie(repository, host) < std::tie(other.repository, other.host);
    }
  };
  // All times are monotonic.
  struct Progress {
    absl::Duration first_due;
    bool copied = false;
    absl::Duration copied_at;
    int64_t copied_change = 0;
    int failures = 0;  // in a row
    absl::Duration retry_at;
  };

  void OnEvents(const std::vector<kv::Event>& events);
  // Asks to look at that time, or earlier.
  void LookBy(absl::Duration time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Look();
  // Takes note of the places that there are and of those that are gone.
  absl::Status FindPlaces() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Duration DueAt(const Progress& progress) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<Place> DuePlaces() ABSL_LOCKS_EXCLUDED(mutex_);
  void CopyTo(const std::vector<Place>& places) ABSL_LOCKS_EXCLUDED(mutex_);
  // Says in `words` what was copied and where, as far as it came.
  absl::Status CopyToOne(const Place& place, std::string* words) ABSL_LOCKS_EXCLUDED(mutex_);
  void Note(const Place& place, const absl::Status& status, int64_t change,
            const std::string& words) ABSL_LOCKS_EXCLUDED(mutex_);
  // The connected hosts.
  std::vector<std::string> Hosts() const;

  kv::Store* const store_;
  const Tables tables_;
  const SecretBox* const box_;
  const Observations* const observations_;
  const Clock* const clock_;
  Random* const random_;
  Executor* const executor_;
  const std::string fleet_;
  const Edges edges_;
  const Log log_;
  const Options options_;
  std::unique_ptr<kv::Watch> watch_;

  absl::Mutex mutex_;
  // Tells tasks that outlive this object that it is gone.
  std::shared_ptr<StateCopies*> self_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool looking_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration look_at_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteDuration();
  // Changes that are worth a copy, counted; up to which copies were begun; since when there are
  // more.
  int64_t changes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t begun_changes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration changed_at_ ABSL_GUARDED_BY(mutex_);
  absl::Duration started_at_ ABSL_GUARDED_BY(mutex_);
  // Repositories that were there at the start.
  std::set<std::string> old_ ABSL_GUARDED_BY(mutex_);
  std::map<Place, Progress> places_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace mtp
