#include "controller/daemon/recovery_commands.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "common/base/ulid.h"
#include "controller/daemon/init.h"
#include "controller/daemon/settings.h"
#include "controller/recovery/kit.h"
#include "controller/recovery/recover.h"

namespace mtp {
namespace {

constexpr size_t kKitBytesMax = 4 << 20;
constexpr size_t kPassphraseBytesMax = 4096;
constexpr absl::Duration kShortDeadline = absl::Minutes(2);
constexpr absl::Duration kLongDeadline = absl::Minutes(10);

// The file's first line.
absl::StatusOr<SecretString> ReadPassphrase(const std::string& file) {
  if (file.empty()) {
    return absl::InvalidArgumentError(
        "the file holds every key of the fleet: give --passphrase-file FILE, whose first line "
        "encrypts it");
  }
  MTP_ASSIGN_OR_RETURN(std::string text, ReadFile(file, kPassphraseBytesMax));
  SecretString passphrase(text.substr(0, text.find_first_of("\r\n")));
  WipeString(&text);
  return passphrase;
}

absl::StatusOr<v1::RecoveryKit> ReadKit(const std::string& file) {
  MTP_ASSIGN_OR_RETURN(std::string text, ReadFile(file, kKitBytesMax));
  auto kit = ParseKit(text);
  WipeString(&text);
  if (!kit.ok()) return Annotate(kit.status(), file);
  return kit;
}

absl::StatusOr<Recovered> FromKit(const RecoverArguments& arguments) {
  if (arguments.copy != "latest" && !IsUlid(arguments.copy)) {
    return absl::InvalidArgumentError("--copy is `latest` or the id of a copy, 26 characters");
  }
  MTP_ASSIGN_OR_RETURN(const v1::RecoveryKit kit, ReadKit(arguments.kit));
  std::string folder = (std::filesystem::temp_directory_path() / "mtp-recover-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return ErrnoStatus(errno, "make a temporary folder");
  const auto remove = absl::MakeCleanup([&folder] {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  });
  FetchRequest request{.repository = arguments.repository,
                       .copy = arguments.copy == "latest" ? "" : arguments.copy,
                       .folder = folder + "/copy"};
  MTP_RETURN_IF_ERROR(MakeFolders(request.folder, 0700));
  const OpenPart open = [&folder](RepositoryAccess access) {
    ResticOptions options;
    options.state_folder = folder + "/restic";
    options.short_deadline = kShortDeadline;
    options.long_deadline = kLongDeadline;
    return OpenResticRepository(std::move(access), std::move(options));
  };
  return RecoverFromKit(kit, request, open, arguments.data_dir, SystemClock());
}

absl::Status Readdress(const RecoverArguments& arguments) {
  MTP_ASSIGN_OR_RETURN(ControllerSettings settings, ReadSettings(arguments.data_dir));
  if (!arguments.listen.empty()) settings.listen = arguments.listen;
  if (!arguments.enroll_listen.empty()) {
    settings.enroll_listen = arguments.enroll_listen;
    settings.enroll_advertise.clear();
  }
  if (!arguments.enroll_advertise.empty()) settings.enroll_advertise = arguments.enroll_advertise;
  MTP_RETURN_IF_ERROR(WriteSettings(arguments.data_dir, settings));
  if (arguments.operator_name.empty()) return absl::OkStatus();
  const std::string folder =
      arguments.operator_folder.empty()
          ? absl::StrCat(arguments.data_dir, "/operators/", arguments.operator_name)
          : arguments.operator_folder;
  return InitFleet(arguments.data_dir, settings, arguments.operator_name, folder);
}

std::string Tell(const Recovered& recovered, const std::string& data_dir) {
  std::string text = absl::StrCat(
      "Fleet ", recovered.fleet, " is in ", data_dir, " as of ",
      absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", recovered.time, absl::UTCTimeZone()), ": ",
      recovered.tenants, " tenants, ", recovered.hosts, " hosts, ", recovered.backups,
      " backups; from ", recovered.from, ", copy ", recovered.copy_id, ".\n");
  if (recovered.backups_left_out > 0) {
    absl::StrAppend(&text, recovered.backups_left_out,
                    " older backups are not listed any more; they are still in their "
                    "repositories.\n");
  }
  for (const std::string& unread : recovered.unread) {
    absl::StrAppend(&text, "Not looked at, it may have a newer copy: ", unread, "\n");
  }
  for (const Interrupted& interrupted : recovered.interrupted) {
    absl::StrAppend(&text, "Was under way then, and was ended: ", interrupted.kind, " ",
                    interrupted.target, " (", interrupted.id, ")\n");
  }
  absl::StrAppend(&text, "Operators whose certificates are taken again: ",
                  absl::StrJoin(recovered.operators, ", "),
                  ".\nTurn the old controller off for good before you start this one.\n"
                  "Next: ",
                  StartController(data_dir),
                  "\n      mtp-cli status\n"
                  "What may differ from what you remember: docs/recovery.md\n");
  return text;
}

}  // namespace

absl::StatusOr<std::string> BackUpController(const BackUpArguments& arguments) {
  MTP_ASSIGN_OR_RETURN(const SecretString passphrase, ReadPassphrase(arguments.passphrase_file));
  MTP_ASSIGN_OR_RETURN(const ControllerSettings settings, ReadSettings(arguments.data_dir));
  const SystemClock clock;
  SystemRandom random;
  MTP_ASSIGN_OR_RETURN(
      const std::string id,
      BackUpToFile(arguments.data_dir, settings.fleet, arguments.file, passphrase, clock, random));
  return absl::StrCat("Copy ", id, " of the state of fleet ", settings.fleet, " is in ",
                      arguments.file,
                      ". Keep it, and its passphrase, elsewhere; tenants' data is not in it.\n");
}

absl::StatusOr<std::string> RecoverController(const RecoverArguments& arguments) {
  if (arguments.kit.empty() == arguments.file.empty()) {
    return absl::InvalidArgumentError(
        "give either --kit KIT.yaml, or --file FILE of `mtp-controller backup`");
  }
  absl::StatusOr<Recovered> recovered;
  if (!arguments.kit.empty()) {
    recovered = FromKit(arguments);
  } else {
    MTP_ASSIGN_OR_RETURN(const SecretString passphrase, ReadPassphrase(arguments.passphrase_file));
    recovered = RecoverFromFile(arguments.file, passphrase, arguments.data_dir, SystemClock());
  }
  if (!recovered.ok()) return recovered.status();
  MTP_RETURN_IF_ERROR(Annotate(Readdress(arguments),
                               absl::StrCat("the fleet is recovered in ", arguments.data_dir)));
  return Tell(*recovered, arguments.data_dir);
}

}  // namespace mtp
