#include "agent/tenants/admin.h"

#include <absl/strings/str_cat.h>

#include <optional>

#include "agent/compose/config_template.h"
#include "agent/compose/render.h"
#include "agent/tenants/misnamed.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr absl::Duration kLookInterval = absl::Minutes(1);
constexpr absl::Duration kDownGrace = absl::Seconds(30);

bool IsRunning(const TenantTools& tools) {
  auto details = tools.engine->InspectContainer(kAdminContainer);
  return details.ok() && details->state != ContainerState::kExited &&
         details->state != ContainerState::kDead && details->state != ContainerState::kCreated;
}

class AdminScript final : public ActionScript {
 public:
  explicit AdminScript(TenantTools* tools) : tools_(tools), ticket_(tools->starts, kAdminService) {
    Add([this](PhaseContext&) { return PhaseResult::Of(CheckImage()); });
    Add([this](PhaseContext&) { return PhaseResult::Of(MakeData()); });
    Add([this](PhaseContext& context) {
      // One that runs already costs no start.
      was_running_ = IsRunning(*tools_);
      return was_running_ || ticket_.Ask(context.wake) == 0 ? PhaseResult::Done()
                                                            : PhaseResult::WhenWoken();
    });
    Add([this](PhaseContext& context) { return PhaseResult::Of(BringUp(context)); });
    Add([this](PhaseContext&) { return WaitUntilReady(); });
  }
  std::string DoneMessage() const override { return "runs"; }

 private:
  absl::Status CheckImage() {
    const std::string& image = tools_->writer->settings().default_image;
    auto details = tools_->engine->InspectImage(image);
    if (!absl::IsNotFound(details.status())) return details.status();
    return absl::NotFoundError(
        absl::StrCat("image ", image, " is not on this host yet; looking again every minute"));
  }

  absl::Status MakeData() {
    MTP_RETURN_IF_ERROR(tools_->data->Make(kAdminService));
    MTP_ASSIGN_OR_RETURN(const v1::TenantSecrets secrets, tools_->writer->AdminSecrets());
    MTP_ASSIGN_OR_RETURN(const std::string text, tools_->folder->ConfigTemplate());
    MTP_ASSIGN_OR_RETURN(const std::string config,
                         RenderConfig(text, TemplateConditions(v1::TenantSpec(), secrets)));
    return tools_->data->InstallConfig(kAdminService, config).status();
  }

  absl::Status BringUp(PhaseContext& context) {
    MTP_RETURN_IF_ERROR(tools_->writer->WriteAll());
    MTP_ASSIGN_OR_RETURN(const ComposeService service, tools_->writer->Admin());
    MTP_RETURN_IF_ERROR(
        RemoveMisnamed(*tools_, kAdminService, kAdminContainer, kDownGrace, context.cancel));
    MTP_RETURN_IF_ERROR(tools_->compose->UpOne(service, context.cancel));
    if (tools_->refresh) tools_->refresh(kAdminService);
    return absl::OkStatus();
  }

  // Holds the slot while it starts. That it is not ready is the observer's to say: what runs is
  // never started again for it.
  PhaseResult WaitUntilReady() {
    if (was_running_) return PhaseResult::Done();
    if (!wait_) {
      auto secrets = tools_->writer->AdminSecrets();
      if (!secrets.ok()) return PhaseResult::Failed(secrets.status());
      wait_.emplace(kAdminContainer, *std::move(secrets), tools_->ready_limits, tools_->engine,
                    tools_->openclaw, tools_->clock);
    }
    const ReadyWait::Look look = wait_->LookOnce();
    if (look.status.ok() && !look.ready) return PhaseResult::Again(look.delay);
    if (!look.status.ok()) {
      tools_->log.Warning(absl::StrCat("admin instance: ", look.status.message()));
    }
    return PhaseResult::Done();
  }

  TenantTools* const tools_;
  SlotTicket ticket_;
  bool was_running_ = false;
  std::optional<ReadyWait> wait_;
};

FilteredSocketOptions SocketOptions(const TenantTools& tools, std::string engine_socket) {
  FilteredSocketOptions options;
  options.engine_socket = std::move(engine_socket);
  options.path = tools.folder->AdminSocketPath();
  options.project = kProjectName;
  options.owner_uid = kContainerUid;
  options.owner_gid = kContainerUid;
  return options;
}

}  // namespace

absl::Status TakeAdminDown(TenantTools& tools) {
  MTP_RETURN_IF_ERROR(RemoveMisnamed(tools, kAdminService, kAdminContainer, kDownGrace, nullptr));
  auto details = tools.engine->InspectContainer(kAdminContainer);
  if (absl::IsNotFound(details.status())) return absl::OkStatus();
  if (!details.ok()) return details.status();
  auto project = details->labels.find("com.docker.compose.project");
  if (project == details->labels.end() || project->second != kProjectName) {
    return absl::FailedPreconditionError(
        absl::StrCat(kAdminContainer, " is not of this project; it is left alone"));
  }
  return tools.compose->RemoveOne({kAdminService, RenderServiceStub(kAdminService)}, kDownGrace,
                                  nullptr);
}

AdminKeeper::AdminKeeper(TenantTools* tools, Executor* executor, std::string engine_socket)
    : tools_(tools),
      executor_(executor),
      socket_(SocketOptions(*tools, std::move(engine_socket))) {}

AdminKeeper::~AdminKeeper() { Stop(); }

absl::Status AdminKeeper::StartSocket() { return socket_.Start(); }

void AdminKeeper::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  }
  cancel_.Cancel();
  socket_.Stop();
}

void AdminKeeper::Ensure() {
  absl::MutexLock lock(&mutex_);
  if (stopped_ || script_) return;
  script_ = std::make_shared<AdminScript>(tools_);
  executor_->Post([this] { Advance(); });
}

void AdminKeeper::LookAgain() {
  uint64_t timer = 0;
  {
    absl::MutexLock lock(&mutex_);
    timer = ++timer_;
  }
  executor_->PostAfter(kLookInterval, [this, timer] {
    {
      absl::MutexLock lock(&mutex_);
      if (stopped_ || script_ || timer != timer_) return;
    }
    if (IsRunning(*tools_)) {
      LookAgain();
    } else {
      Ensure();
    }
  });
}

void AdminKeeper::Advance() {
  std::shared_ptr<ActionScript> script;
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return;
    script = script_;
  }
  google::protobuf::Map<std::string, std::string> result;
  PhaseContext context;
  context.cancel = &cancel_;
  context.result = &result;
  context.progress = [](const std::string&) {};
  context.save_result = [] { return absl::OkStatus(); };
  context.wake = [this] { executor_->Post([this] { Advance(); }); };
  // Woken, it may be called before it has returned.
  absl::ReleasableMutexLock one_at_a_time(&stepping_);
  const PhaseResult step = script->Step(context);
  one_at_a_time.Release();
  if (step.kind == PhaseResult::Kind::kAgain) {
    if (step.delay < absl::InfiniteDuration()) {
      executor_->PostAfter(step.delay, [this] { Advance(); });
    }
    return;
  }
  {
    absl::MutexLock lock(&mutex_);
    script_.reset();
    if (stopped_) return;
  }
  script.reset();
  if (step.kind == PhaseResult::Kind::kFailed) {
    tools_->log.Warning(absl::StrCat("admin instance: ", step.status.message()));
  } else {
    tools_->log.Info("admin instance: started");
  }
  if (tools_->refresh) tools_->refresh(kAdminService);
  LookAgain();
}

}  // namespace mtp
