// Drill: a backup is read back and compared, and an OpenClaw is started on it, where it can reach
// nobody. What it leaves has whole databases. The rehearsal of an update is the same with another
// image.
//
// OpenClaw 2026.9.6 becomes ready without any network: its channel finds no Bot API
// (EAI_AGAIN, ENETUNREACH) and tries again for ever, and `/readyz` stays 200. So the configuration
// is left as the backup has it, and only the values of its variables are stand-ins.
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "agent/backup/beneath.h"
#include "agent/compose/sandbox.h"
#include "agent/tenants/drill_sandboxes.h"
#include "agent/tenants/fetch.h"
#include "agent/tenants/images.h"
#include "agent/tenants/ready_wait.h"
#include "agent/tenants/repository_script.h"
#include "agent/tenants/scripts.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// A sandbox has no running turns, and is thrown away: what SIGKILL cuts short is a crash, which
// every database has to bear.
constexpr absl::Duration kStopGrace = absl::Seconds(10);
constexpr size_t kMaxConfigBytes = 1 << 20;
constexpr size_t kTokenBytes = 32;

absl::StatusOr<FileDescriptor> OpenIn(int folder, const char* name, int flags) {
  int error = 0;
  FileDescriptor opened = OpenBeneath(folder, name, flags, &error);
  if (!opened.valid()) return ErrnoStatus(error, absl::StrCat(name, " in the backup"));
  return opened;
}

// What the tenant's configuration says; the file is the client's.
absl::StatusOr<std::string> ReadConfig(const std::string& data) {
  MTP_ASSIGN_OR_RETURN(const FileDescriptor root, OpenFolder(data));
  MTP_ASSIGN_OR_RETURN(const FileDescriptor home,
                       OpenIn(root.get(), ".openclaw", O_RDONLY | O_DIRECTORY));
  MTP_ASSIGN_OR_RETURN(const FileDescriptor file,
                       OpenIn(home.get(), "openclaw.json", O_RDONLY | O_NONBLOCK));
  std::string text(kMaxConfigBytes, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "openclaw.json in the backup");
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  text.resize(size);
  return text;
}

class DrillScript final : public RepositoryScript {
 public:
  DrillScript(TenantTools* tools, const v1::EnsureActionRequest& request)
      : RepositoryScript(tools, request),
        spec_(request_.drill().spec()),
        data_of_(*TenantName::Parse(request_.drill().backup().tenant())),
        start_(tools->starts, SandboxContainer(name_)) {
    Add([this](PhaseContext& context) { return WaitForSlot(context); });
    Add([this](PhaseContext&) { return PhaseResult::Of(tools_->drills->Remove(name_)); });
    Add([this](PhaseContext& context) { return BringImage(*tools_, spec_.image(), context); });
    Add([this](PhaseContext& context) { return Fetch(context); });
    Add([this](PhaseContext& context) { return WaitForStart(context); });
    Add([this](PhaseContext& context) { return BringUp(context); });
    Add([this](PhaseContext& context) { return WaitUntilReady(context); });
    Add([this](PhaseContext& context) { return Stop(context); });
    Add([this](PhaseContext& context) { return CheckDatabases(context); });
    Add([this](PhaseContext&) { return PhaseResult::Of(tools_->drills->Remove(name_)); });
  }
  // What cannot be removed now, the reconciler removes.
  ~DrillScript() override {
    tools_->drills->Remove(name_).IgnoreError();
    tools_->restores->Remove(name_.value()).IgnoreError();
  }
  std::string DoneMessage() const override { return "started, and its databases are whole"; }

 private:
  PhaseResult Fetch(PhaseContext& context) {
    const PhaseResult result = Judge(Unpack(context), context);
    if (result.kind == PhaseResult::Kind::kDone) LeaveSlot();
    return result;
  }

  absl::Status Unpack(PhaseContext& context) {
    MTP_ASSIGN_OR_RETURN(const auto repository, OpenRepository());
    MTP_RETURN_IF_ERROR(
        FetchBackup(*tools_, *repository, name_, request_.drill().backup(), context));
    // FetchBackup has counted what is damaged.
    MTP_RETURN_IF_ERROR(RefuseDamage(*context.result, "in the backup"));
    MTP_RETURN_IF_ERROR(tools_->restores->TakeOwnership(name_.value()));
    return tools_->drills->Fill(name_, tools_->restores->Path(name_.value()));
  }

  static absl::Status RefuseDamage(const google::protobuf::Map<std::string, std::string>& result,
                                   absl::string_view when) {
    const auto damaged = result.find("damaged_databases");
    if (damaged == result.end() || damaged->second == "[]") return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("databases are damaged ", when, ": ", damaged->second));
  }

  PhaseResult WaitForStart(PhaseContext& context) {
    const int ahead = start_.Ask(context.wake);
    if (ahead == 0) return PhaseResult::Done();
    context.progress(absl::StrCat("waiting for a start slot (", ahead, " ahead)"));
    return PhaseResult::WhenWoken();
  }

  PhaseResult BringUp(PhaseContext& context) {
    context.progress("starting the backup in a sandbox");
    return PhaseResult::Of(Annotate(Start(context), "starting the sandbox"));
  }

  absl::Status Start(PhaseContext& context) {
    MTP_ASSIGN_OR_RETURN(const std::string config, ReadConfig(tools_->drills->Path(name_)));
    secrets_.set_gateway_token(absl::BytesToHexString(tools_->random->Bytes(kTokenBytes)));
    MTP_ASSIGN_OR_RETURN(const ComposeService service,
                         RenderSandbox({.name = name_,
                                        .data_of = data_of_,
                                        .image = spec_.image(),
                                        .memory_limit_mib = spec_.memory_limit_mib(),
                                        .folder = DrillSandboxes::Folder(name_),
                                        .environment = SandboxEnvironment(
                                            config, spec_, secrets_.gateway_token())}));
    begin_ = tools_->clock->Monotonic();
    return tools_->compose->UpOne(service, context.cancel);
  }

  PhaseResult WaitUntilReady(PhaseContext& context) {
    if (!wait_) {
      ReadyLimits limits = tools_->ready_limits;
      limits.once = true;
      wait_.emplace(SandboxContainer(name_), secrets_, limits, tools_->engine, tools_->openclaw,
                    tools_->clock);
    }
    const ReadyWait::Look look = wait_->LookOnce();
    if (!look.status.ok()) return PhaseResult::Failed(Annotate(look.status, "in the sandbox"));
    if (!look.ready) {
      context.progress(look.message);
      return PhaseResult::Again(look.delay);
    }
    start_.Leave();
    auto& result = *context.result;
    result["ready_ms"] =
        absl::StrCat(absl::ToInt64Milliseconds(tools_->clock->Monotonic() - begin_));
    if (wait_->container()) result["image_id"] = wait_->container()->image_id;
    return PhaseResult::Done();
  }

  PhaseResult Stop(PhaseContext& context) {
    context.progress("stopping the sandbox");
    return PhaseResult::Of(
        Annotate(tools_->compose->StopOne(SandboxStub(name_), kStopGrace, context.cancel),
                 "stopping the sandbox"));
  }

  PhaseResult CheckDatabases(PhaseContext& context) {
    context.progress("checking the databases that the start has left");
    const auto report = tools_->check_databases(tools_->drills->Path(name_), context.cancel);
    if (!report.ok()) return PhaseResult::Failed(report.status());
    NoteDatabases(*report, context);
    return PhaseResult::Of(RefuseDamage(*context.result, "after the start"));
  }

  const v1::TenantSpec& spec_;
  const TenantName data_of_;
  SlotTicket start_;
  v1::TenantSecrets secrets_;
  absl::Duration begin_;
  std::optional<ReadyWait> wait_;
};

}  // namespace

std::unique_ptr<ActionScript> NewDrillScript(TenantTools* tools,
                                             const v1::EnsureActionRequest& request) {
  return std::make_unique<DrillScript>(tools, request);
}

}  // namespace mtp
