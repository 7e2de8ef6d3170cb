#include "common/restic/restic_call.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "common/base/atomic_file.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/restic/key_file.h"
#include "common/restic/reachable.h"
#include "common/restic/restic_output.h"
#include "common/restic/vain_retries.h"

namespace mtp {
namespace {

constexpr char kCallPrefix[] = "call-";
constexpr size_t kOutputBytesMax = 32 << 20;  // `snapshots --json`: about 400 bytes each
constexpr absl::Duration kConnectTimeout = absl::Seconds(10);
constexpr absl::Duration kFirstPause = absl::Seconds(1);
constexpr absl::Duration kPauseMax = absl::Seconds(15);
constexpr absl::Duration kCancelPoll = absl::Milliseconds(100);
// After a cancelled call, whose server may be the reason.
constexpr absl::Duration kUnlockDeadline = absl::Seconds(10);
// For a call that is to end: a lock on a server takes a moment to remove.
constexpr absl::Duration kEndGrace = absl::Seconds(5);

// False when cancelled meanwhile.
bool Pause(absl::Duration pause, const CancelToken* cancel) {
  for (; pause > absl::ZeroDuration(); pause -= kCancelPoll) {
    if (cancel != nullptr && cancel->cancelled()) return false;
    absl::SleepFor(std::min(pause, kCancelPoll));
  }
  return true;
}

std::string OwnPrefix() { return absl::StrCat(kCallPrefix, getpid(), "-"); }

}  // namespace

ResticRunner::ResticRunner(RepositoryAccess access, ResticOptions options)
    : access_(std::move(access)),
      options_(std::move(options)),
      address_(ParseRepositoryUrl(access_.url).value_or(RepositoryAddress{})) {}

absl::Status ResticRunner::Prepare() {
  MTP_RETURN_IF_ERROR(MakeFolders(options_.state_folder, 0700));
  if (chmod(options_.state_folder.c_str(), 0700) != 0)
    return ErrnoStatus(errno, absl::StrCat("change the mode of ", options_.state_folder));
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(options_.state_folder, error)) {
    const std::string name = entry.path().filename();
    // Several repositories of this process share the folder: theirs are running calls.
    if (!absl::StartsWith(name, kCallPrefix) || absl::StartsWith(name, OwnPrefix())) continue;
    std::error_code ignored;
    std::filesystem::remove_all(entry.path(), ignored);
  }
  return error ? ErrnoStatus(error.value(), absl::StrCat("read ", options_.state_folder))
               : absl::OkStatus();
}

absl::Status ResticRunner::WriteFiles(const CallFiles& files) const {
  if (address_.kind == RepositoryKind::kSftp) {
    // OpenSSH refuses a key without a line end.
    std::string key = absl::StrCat(access_.sftp_private_key.Reveal(), "\n");
    const absl::Status written = WriteFileAtomically(files.PrivateKey(), key, 0600);
    WipeString(&key);
    MTP_RETURN_IF_ERROR(written);
    MTP_RETURN_IF_ERROR(WriteFileAtomically(files.KnownHosts(),
                                            absl::StrCat(access_.sftp_known_hosts, "\n"), 0600));
  }
  if (!access_.ca_certificates.empty())
    MTP_RETURN_IF_ERROR(WriteFileAtomically(files.Certificates(), access_.ca_certificates, 0600));
  return absl::OkStatus();
}

absl::StatusOr<std::string> ResticRunner::RunOnce(const ResticCall& call,
                                                  const CancelToken* cancel) {
  std::string folder = absl::StrCat(options_.state_folder, "/", OwnPrefix(), "XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) return ErrnoStatus(errno, "make a folder for restic");
  const auto remove = absl::MakeCleanup([&folder] {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  });
  const CallFiles files{.folder = folder, .cache_folder = options_.state_folder + "/cache"};
  MTP_RETURN_IF_ERROR(WriteFiles(files));

  SubprocessOptions run;
  run.argv = ResticArguments(options_.program, address_, access_, files, call.use_cache);
  run.argv.insert(run.argv.end(), call.arguments.begin(), call.arguments.end());
  run.env = ResticEnvironment(address_, access_, files);
  run.working_folder = call.working_folder;
  run.stdin_bytes = access_.password.Reveal();
  run.deadline = call.deadline > absl::ZeroDuration() ? call.deadline
                 : call.moves_data                    ? options_.long_deadline
                                                      : options_.short_deadline;
  run.max_output_bytes = kOutputBytesMax;
  VainRetries retries(cancel);
  run.cancel = &retries;
  if (address_.kind == RepositoryKind::kFolder)
    run.on_stderr = [&retries](absl::string_view said) { retries.Add(said); };
  // The only signal at which restic 0.14 takes its lock back (cmd/restic/cleanup.go).
  run.end_signal = SIGINT;
  run.kill_grace = kEndGrace;
  run.on_stdout = call.on_stdout;
  absl::StatusOr<SubprocessResult> result = RunSubprocess(run);
  for (auto& [name, value] : run.env) WipeString(&value);
  if (absl::IsNotFound(result.status()))
    return absl::FailedPreconditionError(
        absl::StrCat("restic is not installed on this host; install it: apt-get install restic (",
                     result.status().message(), ")"));
  if (!retries.verdict().empty()) return ResticError(/*exit_code=*/1, retries.verdict());
  MTP_RETURN_IF_ERROR(result.status());
  if (result->exit_code != 0) return ResticError(result->exit_code, result->stderr_text);
  // 0.14 lists past a damaged snapshot record with a line on standard error and exit code 0.
  if (absl::StrContains(result->stderr_text, "could not load snapshot"))
    return ResticError(result->exit_code, result->stderr_text);
  if (result->stdout_truncated)
    return absl::ResourceExhaustedError(
        "restic said more than can be held; the repository has too "
        "many snapshots, remove old ones");
  return std::move(result->stdout_text);
}

void ResticRunner::MakeCheapToOpen() const {
  if (address_.kind != RepositoryKind::kFolder) return;
  MakeOpeningCheap(address_.restic_url, access_.password).IgnoreError();
}

absl::StatusOr<std::string> ResticRunner::Run(const ResticCall& call, const CancelToken* cancel) {
  if (address_.kind != RepositoryKind::kFolder)
    MTP_RETURN_IF_ERROR(CheckReachable(address_.host, address_.port, kConnectTimeout));
  const SystemClock clock;
  const absl::Duration give_up_at = clock.Monotonic() + options_.lock_wait;
  for (absl::Duration pause = kFirstPause;; pause = std::min(2 * pause, kPauseMax)) {
    absl::StatusOr<std::string> output = RunOnce(call, cancel);
    // In the first 0.2 s of its lock restic does not know yet that it has one to take back.
    if (absl::IsCancelled(output.status())) {
      RunOnce({.arguments = {"unlock"}, .deadline = kUnlockDeadline, .use_cache = false}, nullptr)
          .IgnoreError();
    }
    if (!absl::IsAborted(output.status())) return output;
    MTP_RETURN_IF_ERROR(RunOnce({.arguments = {"unlock"}, .use_cache = false}, cancel).status());
    if (clock.Monotonic() + pause > give_up_at) {
      // The lock may just have been a stale one.
      return RunOnce(call, cancel);
    }
    if (!Pause(pause, cancel))
      return absl::CancelledError("cancelled while another held the repository's lock");
  }
}

}  // namespace mtp
