#include "agent/tenants/host_observer.h"

#include <algorithm>
#include <cmath>

#include "agent/compose/render.h"
#include "agent/docker/engine_advice.h"
#include "agent/tenants/health.h"
#include "agent/tenants/leased.h"
#include "common/base/timestamps.h"
#include "common/base/version.h"
#include "common/base/words.h"

namespace mtp {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(15);

// The published figure, unless the new one differs by more than 2 % of it or 16 MiB.
int64_t Steady(int64_t published_mib, int64_t now_mib) {
  const int64_t threshold = std::max<int64_t>(16, published_mib / 50);
  return std::abs(now_mib - published_mib) < threshold ? published_mib : now_mib;
}

}  // namespace

int64_t DefaultReserveMib(int64_t total_mib, bool admin_enabled) {
  return 512 + (admin_enabled ? 1024 : 0) + total_mib / 20;
}

HostObserver::HostObserver(HostObserverOptions options, Engine* engine, const HostReader* reader,
                           const Journal* journal, Board* board, Executor* executor,
                           const Clock* clock)
    : options_(std::move(options)),
      engine_(engine),
      reader_(reader),
      journal_(journal),
      board_(board),
      executor_(executor),
      clock_(clock) {
  absl::MutexLock lock(&mutex_);
  admin_.set_enabled(options_.admin_enabled);
  if (options_.admin_enabled) {
    admin_.set_container(kAdminContainer);
    admin_.set_port(kAdminPort);
    admin_.set_health("unknown");
    admin_.set_image(options_.admin_image);
  }
}

void HostObserver::Start() {
  Look();
  ScheduleLook();
}

void HostObserver::ScheduleLook() {
  executor_->PostAfter(kInterval, [this] {
    bool advised = false;
    {
      absl::MutexLock lock(&mutex_);
      if (stopped_) return;
      advised = engine_up_ && !engine_advice_.empty();
    }
    // The operator may have followed it.
    if (advised) ReadEngine();
    Look();
    ScheduleLook();
  });
}

void HostObserver::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
}

void HostObserver::SetEngineUp(bool up) {
  {
    absl::MutexLock lock(&mutex_);
    engine_up_ = up;
  }
  executor_->Post([this, up] {
    if (up) ReadEngine();
    Look();
  });
}

void HostObserver::ReadEngine() {
  auto info = engine_->Info();
  if (!info.ok()) return;
  absl::MutexLock lock(&mutex_);
  engine_version_ = info->engine_version;
  engine_data_root_ = info->data_root;
  engine_advice_ = EngineAdvice(*info);
}

void HostObserver::SetAdmin(const v1::TenantStatus& admin) {
  {
    absl::MutexLock lock(&mutex_);
    admin_.set_running(admin.has_start_time());
    admin_.set_health(std::string(HealthName(admin.health())));
    if (admin.has_start_time()) {
      *admin_.mutable_start_time() = admin.start_time();
    } else {
      admin_.clear_start_time();
    }
    admin_.set_memory_mib(admin.memory_mib());
    admin_.set_memory_limit_mib(admin.memory_limit_mib());
  }
  executor_->Post([this] { Look(); });
}

std::optional<int64_t> HostObserver::DiskFreeBytes() {
  std::string data_root;
  {
    absl::MutexLock lock(&mutex_);
    data_root = engine_data_root_;
  }
  std::optional<int64_t> least;
  for (const std::string& path : {options_.data_path, data_root}) {
    // A host need not have what its engine says, or the right to look at it.
    const auto free = path.empty() ? absl::NotFoundError("") : reader_->DiskFreeBytes(path);
    if (free.ok()) least = std::min(least.value_or(*free), *free);
  }
  return least;
}

void HostObserver::Look() {
  const auto memory = reader_->Memory();
  const std::optional<int64_t> disk_free_bytes = DiskFreeBytes();
  const auto tenants = journal_->Tenants();
  const bool guarded = options_.is_guarded && options_.is_guarded();
  const absl::Time now = clock_->Now();

  absl::MutexLock lock(&mutex_);
  if (stopped_) return;
  v1::HostStatus host;
  host.set_guarded(guarded);
  host.set_state(engine_up_ ? v1::HOST_STATE_READY : v1::HOST_STATE_ENGINE_DOWN);
  host.set_message(engine_advice_);
  if (!guarded && tenants.ok() && std::any_of(tenants->begin(), tenants->end(), IsLeased)) {
    host.set_message(
        "its guard does not run, so tenants that may fail over are not started; start mtp-guard");
  }
  if (!engine_up_) host.set_message("the Docker Engine does not answer; its tenants may run on");
  host.set_agent_version(kVersion);
  host.set_engine_version(engine_version_);
  host.set_cpus(reader_->Cpus());
  *host.mutable_admin() = admin_;
  if (memory.ok()) {
    const int64_t machine_mib = memory->total_bytes >> 20;
    const int64_t total = options_.memory_total_mib > 0 ? options_.memory_total_mib : machine_mib;
    const int64_t reserve = options_.memory_reserve_mib >= 0
                                ? options_.memory_reserve_mib
                                : DefaultReserveMib(total, options_.admin_enabled);
    host.set_memory_total_mib(total);
    host.set_allocatable_mib(std::max<int64_t>(0, total - reserve));
    host.set_used_mib(
        Steady(published_.used_mib(), (memory->total_bytes - memory->available_bytes) >> 20));
    host.set_memory_pressure_percent(std::round(memory->pressure_percent * 10) / 10);
  }
  if (tenants.ok()) host.set_tenants(static_cast<int32_t>(tenants->size()));
  if (disk_free_bytes) {
    host.set_disk_free_mib(Steady(published_.disk_free_mib(), *disk_free_bytes >> 20));
  }
  // The time alone is no news; the watch stream's heartbeat says that the agent lives.
  *host.mutable_last_seen_time() = published_.last_seen_time();
  if (host.SerializeAsString() != published_.SerializeAsString()) {
    *host.mutable_last_seen_time() = ToTimestamp(now);
    published_ = host;
    board_->SetHost(host);
  }
}

}  // namespace mtp
