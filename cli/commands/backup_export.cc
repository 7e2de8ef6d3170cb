#include <absl/strings/str_cat.h>

#include <algorithm>

#include "cli/commands/backup.h"
#include "cli/commands/call.h"
#include "cli/commands/partial_file.h"
#include "cli/output/backup_tables.h"
#include "cli/output/failure.h"
#include "cli/output/progress.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/sha256.h"
#include "mtp/v1/backup.grpc.pb.h"

namespace mtp::cli {
namespace {

struct ExportOptions {
  std::string id;
  std::string file;
  bool force = false;
};

constexpr char kStandardOutput[] = "-";
constexpr absl::Duration kRedraw = absl::Milliseconds(200);

// What happens now, on standard error: in place on a terminal, else a line for each new stage.
class ExportProgress {
 public:
  explicit ExportProgress(Invocation& invocation)
      : environment_(invocation.environment),
        live_(environment_.err_is_terminal && environment_.variable("TERM").value_or("") != "dumb"),
        lines_(!live_ && invocation.format == Format::kTable),
        place_(environment_.err) {}
  ~ExportProgress() {
    if (live_) place_.Draw("");
  }

  void Stage(const std::string& text) {
    stage_ = text;
    if (live_) place_.Draw(absl::StrCat(Fitting(Visible(stage_)), "\n"));
    if (lines_) environment_.err << Visible(stage_) << std::endl;
  }
  void Bytes(int64_t bytes) {
    const absl::Duration now = environment_.clock.Monotonic();
    if (!live_ || now - drawn_ < kRedraw) return;
    drawn_ = now;
    place_.Draw(absl::StrCat(Fitting(absl::StrCat(HumanBytes(bytes), " received")), "\n"));
  }

 private:
  std::string Fitting(const std::string& text) const {
    return text.substr(0, static_cast<size_t>(std::max(environment_.columns() - 1, 1)));
  }

  Environment& environment_;
  const bool live_;
  const bool lines_;
  InPlace place_;
  std::string stage_;
  absl::Duration drawn_ = -absl::InfiniteDuration();
};

// Where the bytes go, and what they were.
struct Received {
  PartialFile* file = nullptr;  // null: standard output
  Sha256 hash;
  int64_t bytes = 0;
  bool begun = false;     // something came, be it only a word of progress
  bool finished = false;  // the last message came
  std::string sha256;     // as the sender says
};

absl::Status Take(Environment& environment, const v1::ExportChunk& chunk, Received* received) {
  const std::string& data = chunk.data();
  received->hash.Update(data.data(), data.size());
  received->bytes += static_cast<int64_t>(data.size());
  if (chunk.finished()) {
    received->finished = true;
    received->sha256 = chunk.sha256();
  }
  if (received->file != nullptr) return received->file->Write(data);
  environment.out.write(data.data(), static_cast<std::streamsize>(data.size()));
  if (environment.out.good()) return absl::OkStatus();
  return absl::InternalError("standard output takes no more; the archive there is not whole");
}

// One call, to its end. What came is in `received`.
absl::Status ReceiveOnce(Invocation& invocation, v1::BackupService::Stub& stub,
                         const v1::ExportBackupRequest& request, ExportProgress& progress,
                         Received* received) {
  grpc::ClientContext context;
  const auto reader = stub.ExportBackup(&context, request);
  absl::Status taken;
  v1::ExportChunk chunk;
  while (taken.ok() && reader->Read(&chunk)) {
    received->begun = true;
    if (!chunk.progress().empty()) progress.Stage(chunk.progress());
    taken = Take(invocation.environment, chunk, received);
    if (received->bytes > 0) progress.Bytes(received->bytes);
  }
  if (!taken.ok()) {
    context.TryCancel();
    reader->Finish();
    return taken;
  }
  const grpc::Status status = reader->Finish();
  return status.ok() ? absl::OkStatus() : CallStatus(invocation, status, kCallTimeout);
}

// Nothing is lost by asking again as long as nothing has come.
absl::Status Receive(Invocation& invocation, const v1::ExportBackupRequest& request,
                     Received* received) {
  MTP_ASSIGN_OR_RETURN(auto channel, invocation.Connected());
  v1::BackupService::Stub stub(channel);
  ExportProgress progress(invocation);
  for (int tried = 1;; ++tried) {
    const absl::Status status = ReceiveOnce(invocation, stub, request, progress, received);
    if (!absl::IsUnavailable(status) || received->begun || tried == kCallTries) return status;
    PauseBeforeTry(invocation, RetryPause(tried));
  }
}

absl::StatusOr<std::string> Checked(Received& received) {
  if (!received.finished) {
    return absl::DataLossError("the export ended before all of the backup had come; try again");
  }
  std::string sha256 = received.hash.Finish();
  if (sha256 == received.sha256) return sha256;
  return absl::DataLossError("what has come is not what was sent: another SHA-256; export again");
}

absl::Status CheckOptions(const Invocation& invocation, const ExportOptions& options) {
  if (options.file.empty()) return absl::InvalidArgumentError("the file's name is empty");
  if (options.file != kStandardOutput) return absl::OkStatus();
  if (invocation.environment.out_is_terminal) {
    return WithHint(absl::InvalidArgumentError("an archive is not shown on a terminal"),
                    "name a file, or send it on: mtp-cli backup export ID - | tar -tz");
  }
  if (invocation.format != Format::kTable) {
    return absl::InvalidArgumentError(
        "standard output gets the archive, so there is no place for -o json or yaml");
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Export(Invocation& invocation, const ExportOptions& options) {
  v1::ExportBackupRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseBackup(options.id));
  MTP_RETURN_IF_ERROR(CheckOptions(invocation, options));
  const bool to_file = options.file != kStandardOutput;
  std::unique_ptr<PartialFile> file;
  if (to_file) {
    MTP_ASSIGN_OR_RETURN(file, PartialFile::Create(options.file, options.force));
  }
  Received received;
  received.file = file.get();
  MTP_RETURN_IF_ERROR(Receive(invocation, request, &received));
  MTP_ASSIGN_OR_RETURN(const std::string sha256, Checked(received));
  const std::string id = ShortName(request.name());
  if (!to_file) {
    invocation.environment.out << std::flush;
    if (!invocation.environment.out.good()) {
      return absl::InternalError("standard output takes no more; the archive there is not whole");
    }
    return 0;
  }
  MTP_RETURN_IF_ERROR(file->Publish());
  invocation.Print(
      {{"backup", id}, {"file", options.file}, {"bytes", received.bytes}, {"sha256", sha256}}, [&] {
        return absl::StrCat(Paint(id, Tone::kStrong, invocation.colour()), " is in ",
                            Visible(options.file), ", ", HumanBytes(received.bytes), "\n  SHA-256 ",
                            sha256, "\n");
      });
  return 0;
}

}  // namespace

void AddBackupExport(CLI::App& backup, Chosen& chosen) {
  auto [command, options] = AddCommand<ExportOptions>(
      backup, chosen, "export",
      "Write a backup, read back and compared, as one .tar.gz that tar alone unpacks", Export);
  command->add_option("ID", options->id, "Its 26 characters")->required();
  command->add_option("FILE", options->file, "Where to; - is standard output")->required();
  command->add_flag("--force", options->force, "Replace FILE if it exists");
}

}  // namespace mtp::cli
