#include "controller/daemon/daemon.h"

#include <optional>
#include <utility>

#include "common/base/status.h"
#include "common/base/steady_waits.h"
#include "controller/daemon/api_parts.h"
#include "controller/daemon/copy_parts.h"
#include "controller/daemon/failover_parts.h"
#include "controller/daemon/foundation.h"
#include "controller/daemon/trust_parts.h"
#include "controller/daemon/work_parts.h"

namespace mtp {
namespace {

class RunningDaemon final : public Daemon {
 public:
  RunningDaemon(std::string data_dir, ControllerSettings settings, Log log)
      : base_(std::move(data_dir), std::move(settings), std::move(log)) {}
  ~RunningDaemon() override { Stop(); }

  absl::Status Start() {
    if (!WaitsAreSteady()) {
      base_.log.Warning(
          "timers of this build wait by the wall clock: restart the program when it was set back");
    }
    MTP_RETURN_IF_ERROR(base_.Open());
    MakeParts();
    MTP_RETURN_IF_ERROR(work_->StartOperations());
    MTP_RETURN_IF_ERROR(copies_->copies.Start());
    trust_->keeper->Start();
    failover_->keeper->Start();
    MTP_RETURN_IF_ERROR(work_->sessions.Start());
    MTP_RETURN_IF_ERROR(work_->StartSchedule());
    return api_->Listen();
  }

  void Stop() override {
    if (stopped_) return;
    stopped_ = true;
    if (api_) api_->Stop();
    if (copies_) copies_->Stop();
    if (trust_) trust_->Stop();
    if (work_) work_->sessions.Stop();
    if (failover_) failover_->keeper->Stop();
    if (work_) work_->Stop();
    base_.StopThreads();
  }

  std::string api_address() const override { return api_->api.address(); }
  std::string enroll_address() const override { return api_->enroll.address(); }

 private:
  void MakeParts() {
    WorkParts::Edges edges;
    edges.on_connected = [this] { copies_->copies.HostConnected(); };
    edges.on_stamp = [this](const std::string& host, const v1::LeaseStamp& stamp) {
      failover_->keeper->OnStamp(host, stamp);
    };
    work_.emplace(&base_, std::move(edges));
    copies_.emplace(&base_, &*work_);
    trust_.emplace(&base_, &*work_);
    failover_.emplace(&base_, &*work_);
    api_.emplace(&base_, &*work_, &*failover_, &*trust_);
  }

  Foundation base_;
  std::optional<WorkParts> work_;
  std::optional<CopyParts> copies_;
  std::optional<TrustParts> trust_;
  std::optional<FailoverParts> failover_;
  std::optional<ApiParts> api_;
  bool stopped_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> StartDaemon(const std::string& data_dir,
                                                    const ControllerSettings& settings, Log log) {
  auto daemon = std::make_unique<RunningDaemon>(data_dir, settings, std::move(log));
  if (absl::Status status = daemon->Start(); !status.ok()) return status;
  return absl::StatusOr<std::unique_ptr<Daemon>>(std::move(daemon));
}

}  // namespace mtp
