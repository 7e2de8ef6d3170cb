// A caller of the controller who does many things at once.
#pragma once

#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mtp/v1/operation.pb.h"

namespace grpc {
class Channel;
}

namespace mtp::load {

struct Target {
  std::string controller;  // ADDRESS:PORT
  std::string identity;    // identity folder of an operator
};

// A connection of its own, not shared with any other channel.
std::shared_ptr<grpc::Channel> Connect(const Target& target);

// How long calls took, and which failed. Thread-safe.
class Figures {
 public:
  void Add(const std::string& what, absl::Duration took, const absl::Status& status);
  bool AllWell() const;
  // {"backup": {"calls": N, "failed": F, "p50_ms": …, "p99_ms": …, "max_ms": …, "error": "…"}, …}
  std::string Json() const;

 private:
  struct Row {
    std::vector<double> took_ms;
    int failed = 0;
    std::string error;
  };
  mutable absl::Mutex mutex_;
  std::map<std::string, Row> rows_ ABSL_GUARDED_BY(mutex_);
};

// Watches the operation until it has ended; its error when it did not succeed.
absl::Status WaitForEnd(const std::shared_ptr<grpc::Channel>& channel,
                        const v1::Operation& operation);

// One thread for each of `parallel` callers, each with a channel; `work` is called with a caller's
// number and its channel.
void InParallel(const Target& target, int parallel,
                const std::function<void(int, const std::shared_ptr<grpc::Channel>&)>& work);

// `t0007`.
std::string TenantOf(int number);

}  // namespace mtp::load
