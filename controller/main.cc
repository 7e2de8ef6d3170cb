// mtp-controller: decides, and never touches Docker.
#include <absl/strings/str_cat.h>
#include <malloc.h>
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>

#include "common/base/descriptor_limit.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/version.h"
#include "common/manual/manual.h"
#include "common/private_memory/private_memory.h"
#include "common/tls/credentials.h"
#include "controller/daemon/daemon.h"
#include "controller/daemon/init.h"
#include "controller/daemon/owner.h"
#include "controller/daemon/recovery_commands.h"
#include "controller/daemon/settings.h"

namespace {

constexpr int kWrongUsage = 2;
// Heaps that malloc divides among the threads, most of which wait most of the time: a heap for each
// keeps memory that nobody uses.
constexpr int kHeaps = 2;

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "mtp-controller: %s\n", std::string(status.message()).c_str());
  return status.code() == absl::StatusCode::kInvalidArgument ? kWrongUsage : 1;
}

struct InitArguments {
  std::string data_dir = mtp::kDefaultDataDir;
  std::string operator_name = "admin";
  std::string operator_folder;
  mtp::ControllerSettings settings;
};

int Init(InitArguments arguments) {
  if (arguments.operator_folder.empty()) {
    arguments.operator_folder =
        absl::StrCat(arguments.data_dir, "/operators/", arguments.operator_name);
  }
  absl::Status status = mtp::CheckOwner(arguments.data_dir);
  if (status.ok()) {
    status = mtp::InitFleet(arguments.data_dir, arguments.settings, arguments.operator_name,
                            arguments.operator_folder);
  }
  if (!status.ok()) return Fail(status);
  std::printf(
      "Fleet %s is ready in %s.\n"
      "Identity of operator %s: %s (keep it secret)\n"
      "Next: %s\n"
      "      mtp-cli context add %s --controller %s --identity %s\n",
      arguments.settings.fleet.c_str(), arguments.data_dir.c_str(), arguments.operator_name.c_str(),
      arguments.operator_folder.c_str(), mtp::StartController(arguments.data_dir).c_str(),
      arguments.settings.fleet.c_str(), arguments.settings.listen.c_str(),
      std::filesystem::absolute(arguments.operator_folder).c_str());
  return 0;
}

int Run(const std::string& data_dir, const std::string& level_name) {
  mallopt(M_ARENA_MAX, kHeaps);
  mtp::RaiseDescriptorLimit(mtp::kServerDescriptors);
  mtp::LogLevel level = mtp::LogLevel::kInfo;
  if (absl::Status status = mtp::ParseLogLevel(level_name, &level); !status.ok())
    return Fail(status);
  const mtp::Log log(level, "controller");
  if (absl::Status owned = mtp::CheckOwner(data_dir); !owned.ok()) return Fail(owned);
  auto settings = mtp::ReadSettings(data_dir);
  if (!settings.ok()) return Fail(settings.status());

  // Taken by sigwait below, in this thread only.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  auto daemon = mtp::StartDaemon(data_dir, *settings, log);
  if (!daemon.ok()) return Fail(daemon.status());
  log.Info(absl::StrCat("fleet ", settings->fleet, ": operators at ", (*daemon)->api_address(),
                        ", enrolment at ", (*daemon)->enroll_address()));
  int signal = 0;
  sigwait(&ending, &signal);
  log.Info("ending; tenants keep running, operations go on after the next start");
  (*daemon)->Stop();
  return 0;
}

int Print(const absl::StatusOr<std::string>& text) {
  if (!text.ok()) return Fail(text.status());
  std::fputs(text->c_str(), stdout);
  return 0;
}

int Recover(const mtp::RecoverArguments& arguments) {
  if (absl::Status owned = mtp::CheckOwner(arguments.data_dir); !owned.ok()) return Fail(owned);
  return Print(mtp::RecoverController(arguments));
}

int Manual(const CLI::App& app, const std::string& folder) {
  const absl::Status written = mtp::WriteManual(
      mtp::ManualPages(app, mtp::ServerManual("mtp-cli(1), mtp-agent(8)")), folder);
  return written.ok() ? 0 : Fail(written);
}

CLI::App* AddBackup(CLI::App& app, mtp::BackUpArguments& arguments) {
  CLI::App* const backup = app.add_subcommand(
      "backup",
      "Write all of the controller's state, keys included, into one encrypted file; the controller "
      "may run meanwhile. Every repository has such copies by itself.");
  backup->add_option("file", arguments.file, "File to write")->required()->type_name("FILE");
  backup->add_option("--passphrase-file", arguments.passphrase_file,
                     "Its first line, 12 to 1024 bytes, encrypts the file");
  backup->add_option("--data-dir", arguments.data_dir, "Folder of the controller's state")
      ->capture_default_str();
  return backup;
}

CLI::App* AddRecover(CLI::App& app, mtp::RecoverArguments& arguments) {
  CLI::App* const recover = app.add_subcommand(
      "recover",
      "Make a lost controller's state again on this machine (docs/recovery.md), from a repository "
      "that the recovery kit opens, or from a file of `backup`. Needs restic for a repository.");
  recover->add_option("--kit", arguments.kit, "File that `mtp-cli recovery-kit --out` has written");
  recover->add_option("--repository", arguments.repository,
                      "The kit's repository to take the copy from; default: the one with the "
                      "newest copy");
  recover->add_option("--copy", arguments.copy, "`latest`, or the id of a copy")
      ->capture_default_str();
  recover->add_option("--file", arguments.file, "File that `mtp-controller backup` has written");
  recover->add_option("--passphrase-file", arguments.passphrase_file,
                      "Its first line opens that file");
  recover->add_option("--data-dir", arguments.data_dir, "Folder to make; must be absent or empty")
      ->capture_default_str();
  recover->add_option("--listen", arguments.listen,
                      "ADDRESS:PORT for operators; default: as before");
  recover->add_option("--enroll-listen", arguments.enroll_listen,
                      "ADDRESS:PORT where hosts join; default: as before");
  recover->add_option("--enroll-advertise", arguments.enroll_advertise,
                      "ADDRESS:PORT that join tokens name; default: as before");
  recover->add_option("--operator", arguments.operator_name,
                      "Also make a new identity for this operator, an admin");
  recover->add_option("--operator-dir", arguments.operator_folder,
                      "Where that identity is written; default: operators/NAME in the data folder");
  return recover;
}

}  // namespace

int main(int argc, char** argv) {
  if (absl::Status kept = mtp::KeepMemoryPrivate(); !kept.ok()) return Fail(kept);
  mtp::tls::PrepareTls();
  CLI::App app(
      "Decides where tenants run and carries operations out through the agents of the hosts.",
      "mtp-controller");
  app.set_version_flag("--version", std::string(mtp::kVersion));
  app.require_subcommand(1);

  InitArguments init_arguments;
  CLI::App* const init = app.add_subcommand("init",
                                            "Make a fleet: certificate authority, first operator, "
                                            "state. Called again, it completes what is missing.");
  init->add_option("--data-dir", init_arguments.data_dir,
                   "Folder for all of the controller's state")
      ->capture_default_str();
  init->add_option("--fleet", init_arguments.settings.fleet, "Name of the fleet")
      ->capture_default_str();
  init->add_option("--listen", init_arguments.settings.listen, "ADDRESS:PORT for operators")
      ->capture_default_str();
  init->add_option("--enroll-listen", init_arguments.settings.enroll_listen,
                   "ADDRESS:PORT where hosts join")
      ->capture_default_str();
  init->add_option("--enroll-advertise", init_arguments.settings.enroll_advertise,
                   "ADDRESS:PORT that join tokens name; default: that of --enroll-listen");
  init->add_option("--default-image", init_arguments.settings.default_image,
                   "Image of tenants that name none")
      ->capture_default_str();
  init->add_option("--default-reservation-mib", init_arguments.settings.default_reservation_mib,
                   "Memory reserved for tenants that name none")
      ->check(CLI::Range(16, 1 << 20))
      ->capture_default_str();
  init->add_option("--min-memory-limit-mib", init_arguments.settings.min_memory_limit_mib,
                   "Least memory limit of a tenant")
      ->check(CLI::Range(16, 1 << 20))
      ->capture_default_str();
  init->add_option("--policy", init_arguments.settings.policy, "How hosts are chosen")
      ->check(CLI::IsMember({"binpack", "spread"}))
      ->capture_default_str();
  init->add_option("--operator", init_arguments.operator_name,
                   "Name of the first operator, an admin")
      ->capture_default_str();
  init->add_option(
      "--operator-dir", init_arguments.operator_folder,
      "Where the operator's identity is written; default: operators/NAME in the data folder");

  std::string data_dir = mtp::kDefaultDataDir;
  std::string log_level = "info";
  CLI::App* const run = app.add_subcommand("run", "Serve until SIGTERM");
  run->add_option("--data-dir", data_dir, "Folder that `init` made")->capture_default_str();
  run->add_option("--log-level", log_level, "debug, info, warning or error")->capture_default_str();

  mtp::BackUpArguments backup_arguments{.data_dir = mtp::kDefaultDataDir};
  CLI::App* const backup = AddBackup(app, backup_arguments);
  mtp::RecoverArguments recover_arguments{.data_dir = mtp::kDefaultDataDir, .copy = "latest"};
  CLI::App* const recover = AddRecover(app, recover_arguments);

  std::string manual_folder;
  CLI::App* const manual = mtp::AddManualCommand(app, &manual_folder);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  if (manual->parsed()) return Manual(app, manual_folder);
  if (backup->parsed()) return Print(mtp::BackUpController(backup_arguments));
  if (recover->parsed()) return Recover(recover_arguments);
  return init->parsed() ? Init(init_arguments) : Run(data_dir, log_level);
}
