#include "controller/api/fleet_watch.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <utility>
#include <vector>

#include "common/base/status.h"

namespace mtp {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(500);

absl::StatusOr<grpc::ByteBuffer> ToBytes(const absl::StatusOr<v1::FleetStatus>& status) {
  if (!status.ok()) return status.status();
  grpc::ByteBuffer bytes;
  bool own = false;
  MTP_RETURN_IF_ERROR(
      FromGrpc(grpc::SerializationTraits<v1::FleetStatus>::Serialize(*status, &bytes, &own)));
  return bytes;
}

}  // namespace

std::shared_ptr<FleetWatch> FleetWatch::Create(kv::Store* store, Observations* observations,
                                               Executor* executor, const Clock* clock, Look look) {
  return std::shared_ptr<FleetWatch>(
      new FleetWatch(store, observations, executor, clock, std::move(look)));
}

FleetWatch::FleetWatch(kv::Store* store, Observations* observations, Executor* executor,
                       const Clock* clock, Look look)
    : store_(store),
      observations_(observations),
      executor_(executor),
      clock_(clock),
      look_(std::move(look)) {}

absl::Status FleetWatch::Begin() {
  if (watch_ != nullptr) return absl::OkStatus();
  const auto changed = [weak = weak_from_this()] {
    if (const auto alive = weak.lock()) alive->Changed();
  };
  MTP_ASSIGN_OR_RETURN(
      watch_, store_->WatchPrefix("/", store_->Revision(),
                                  [changed](const std::vector<kv::Event>&) { changed(); }));
  listener_ = observations_->Listen(changed);
  return absl::OkStatus();
}

grpc::ServerWriteReactor<FleetWatch::Bytes>* FleetWatch::Add(Watcher watcher) {
  const auto stream = Stream::Create();
  absl::MutexLock showing(&showing_);
  if (const absl::Status begun = Begin(); !begun.ok()) {
    stream->Close(begun);
    return stream.get();
  }
  const std::string tenant = watcher.tenant;
  Entry entry{std::move(watcher), stream};
  {
    absl::MutexLock lock(&mutex_);
    const int64_t id = next_id_++;
    entries_.emplace(id, entry);
    stream->OnEnd([weak = weak_from_this(), id] {
      if (const auto alive = weak.lock()) alive->Remove(id);
    });
  }
  Give(entry, LookAt(tenant));
  return stream.get();
}

void FleetWatch::Remove(int64_t id) {
  // Let go of without the lock: it holds what may be the stream's last reference.
  std::map<int64_t, Entry>::node_type removed;
  absl::MutexLock lock(&mutex_);
  removed = entries_.extract(id);
}

void FleetWatch::Changed() {
  {
    absl::MutexLock lock(&mutex_);
    changed_ = true;
    if (scheduled_ || entries_.empty()) return;
    scheduled_ = true;
  }
  executor_->PostAfter(kInterval, [weak = weak_from_this()] {
    if (const auto alive = weak.lock()) alive->Show();
  });
}

void FleetWatch::Show() {
  absl::MutexLock showing(&showing_);
  std::vector<Entry> entries;
  {
    absl::MutexLock lock(&mutex_);
    scheduled_ = false;
    for (const auto& [id, entry] : entries_) entries.push_back(entry);
  }
  std::map<std::string, absl::StatusOr<Bytes>> looked;
  for (const Entry& entry : entries) {
    const std::string& tenant = entry.watcher.tenant;
    auto found = looked.find(tenant);
    if (found == looked.end()) found = looked.emplace(tenant, LookAt(tenant)).first;
    Give(entry, found->second);
  }
}

absl::StatusOr<FleetWatch::Bytes> FleetWatch::LookAt(const std::string& tenant) {
  if (!tenant.empty()) return ToBytes(look_(tenant));
  bool current = false;
  {
    absl::MutexLock lock(&mutex_);
    current = latest_ && !changed_ && clock_->Monotonic() - latest_time_ < kInterval;
    // What changes from here on leads to another look.
    changed_ = false;
  }
  if (!current) {
    latest_.reset();
    MTP_ASSIGN_OR_RETURN(latest_, ToBytes(look_(tenant)));
    latest_time_ = clock_->Monotonic();
  }
  return *latest_;
}

void FleetWatch::Give(const Entry& entry, const absl::StatusOr<Bytes>& bytes) {
  if (!entry.watcher.may_read()) {
    entry.stream->Close(
        absl::PermissionDeniedError("this operator may not read the fleet any more"));
  } else if (!bytes.ok()) {
    entry.stream->Close(bytes.status());
  } else {
    entry.stream->Push(*bytes);
  }
}

}  // namespace mtp
