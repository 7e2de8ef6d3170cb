// mtp-agent: acts on one host for the controller.
#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <malloc.h>
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>

#include "agent/api/authorize.h"
#include "agent/backup/database_child.h"
#include "agent/daemon/daemon.h"
#include "agent/daemon/own_address.h"
#include "agent/daemon/settings.h"
#include "agent/join/join.h"
#include "common/base/atomic_file.h"
#include "common/base/descriptor_limit.h"
#include "common/base/log.h"
#include "common/base/service.h"
#include "common/base/status.h"
#include "common/base/version.h"
#include "common/manual/manual.h"
#include "common/private_memory/private_memory.h"
#include "common/tls/credentials.h"
#include "common/tls/doorman.h"
#include "common/tls/join_token.h"

namespace {

using mtp::AgentSettings;

constexpr char kDefaultDataDir[] = "/var/lib/mtp-agent";
constexpr int kDefaultPort = 7443;
constexpr int kPortBesideController = 7445;
constexpr int kWrongUsage = 2;
// Heaps that malloc divides among the threads. Most of these wait most of the time; a heap for
// each, which is the default, keeps megabytes that nobody uses.
constexpr int kHeaps = 2;

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "mtp-agent: %s\n", std::string(status.message()).c_str());
  return status.code() == absl::StatusCode::kInvalidArgument ? kWrongUsage : 1;
}

int Run(const std::string& data_dir) {
  mallopt(M_ARENA_MAX, kHeaps);
  mtp::RaiseDescriptorLimit(mtp::kServerDescriptors);
  auto settings = mtp::LoadSettings(data_dir);
  if (!settings.ok()) return Fail(settings.status());
  mtp::LogLevel level = mtp::LogLevel::kInfo;
  if (absl::Status status = mtp::ParseLogLevel(settings->log_level, &level); !status.ok()) {
    return Fail(status);
  }
  const mtp::Log log(level, "agent");

  // Taken by sigwait below, in this thread only.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  if (absl::Status settled = mtp::tls::SettleIdentity(mtp::IdentityPath(*settings));
      !settled.ok()) {
    log.Warning(absl::StrCat("this host's identity: ", settled.message()));
  }
  mtp::DaemonAccess access;
  access.credentials = mtp::tls::MutualTlsServer(mtp::IdentityPath(*settings));
  access.authorize = [fleet = settings->fleet](const grpc::ServerContextBase& context) {
    return mtp::AuthorizeController(context, fleet);
  };
  auto daemon = mtp::StartDaemon(*settings, std::move(access), log);
  if (!daemon.ok()) return Fail(daemon.status());

  int signal = 0;
  sigwait(&ending, &signal);
  log.Info("ending; tenants keep running");
  (*daemon)->Stop();
  return 0;
}

struct JoinArguments {
  std::string token;  // or `-` for standard input
  AgentSettings settings;
  // Its agent may be running, and listen.
  bool joined_before = false;
};

absl::StatusOr<std::string> ReadToken(const std::string& argument) {
  if (argument != "-") {
    std::fprintf(stderr,
                 "mtp-agent: warning: a token on the command line can be seen by other users of "
                 "this machine; give it on standard input with `join -`\n");
    return argument;
  }
  std::string line;
  if (!std::getline(std::cin, line)) {
    return absl::InvalidArgumentError("there is no join token on standard input");
  }
  absl::StripAsciiWhitespace(&line);
  return line;
}

absl::Status Join(JoinArguments arguments) {
  AgentSettings& settings = arguments.settings;
  MTP_ASSIGN_OR_RETURN(const std::string text, ReadToken(arguments.token));
  MTP_ASSIGN_OR_RETURN(const mtp::tls::JoinToken token, mtp::tls::DecodeJoinToken(text));
  if (settings.advertise.empty()) {
    MTP_ASSIGN_OR_RETURN(const std::string own, mtp::OwnAddressTowards(token.address));
    settings.advertise = absl::StrCat(own, ":", kDefaultPort);
  }
  const size_t colon = settings.advertise.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError("--advertise must be ADDRESS:PORT");
  }
  if (settings.listen.empty()) settings.listen = "0.0.0.0" + settings.advertise.substr(colon);
  settings.host = token.host;
  settings.data_dir = std::filesystem::absolute(settings.data_dir);
  if (settings.project_dir.empty()) settings.project_dir = settings.data_dir + "/project";
  settings.project_dir = std::filesystem::absolute(settings.project_dir);
  // Before the token is used up.
  MTP_RETURN_IF_ERROR(mtp::CheckSettings(settings));
  if (!arguments.joined_before) {
    const absl::Status free = mtp::tls::CanListen(settings.listen);
    if (!free.ok()) {
      return {free.code(),
              absl::StrCat(free.message(), " Another port: --advertise ADDRESS:PORT, such as ",
                           kPortBesideController, " on the controller's own machine")};
    }
  }
  MTP_RETURN_IF_ERROR(mtp::MakeFolders(settings.data_dir, 0700));
  MTP_ASSIGN_OR_RETURN(const mtp::agent::JoinResult joined,
                       mtp::agent::Join(token, mtp::IdentityPath(settings), settings.advertise));
  settings.host = joined.host;
  settings.fleet = joined.fleet;
  MTP_RETURN_IF_ERROR(mtp::SaveSettings(settings));
  const std::string start =
      mtp::StartCommand("mtp-agent mtp-guard",
                        absl::StrCat("mtp-agent run --data-dir ", settings.data_dir,
                                     "\nBeside it, for tenants that may fail over: mtp-guard ",
                                     mtp::GuardFolder(settings)),
                        settings.data_dir, kDefaultDataDir);
  std::printf("host %s has joined fleet %s. Start it with: %s\n", joined.host.c_str(),
              joined.fleet.c_str(), start.c_str());
  return absl::OkStatus();
}

int Manual(const CLI::App& app, const std::string& folder) {
  const absl::Status written = mtp::WriteManual(
      mtp::ManualPages(app, mtp::ServerManual("mtp-guard(8), mtp-controller(8), mtp-cli(1)")),
      folder);
  return written.ok() ? 0 : Fail(written);
}

void AddJoinOptions(CLI::App* join, JoinArguments* arguments) {
  AgentSettings* settings = &arguments->settings;
  join->add_option("token", arguments->token, "Join token, or - to read it from standard input")
      ->required();
  join->add_option("--data-dir", settings->data_dir, "Folder for journal, key and certificate")
      ->capture_default_str();
  join->add_option("--project-dir", settings->project_dir,
                   "Docker Compose project folder (default: project in the data folder)");
  join->add_option("--advertise", settings->advertise,
                   "ADDRESS:PORT where the controller reaches this agent (default: this machine's "
                   "address towards the controller, port 7443)");
  join->add_option("--listen", settings->listen,
                   "ADDRESS:PORT to listen on (default: all addresses, the advertised port)");
  join->add_option("--docker-host", settings->docker_host, "The engine's socket")
      ->capture_default_str();
  join->add_option("--image", settings->image,
                   "Image of the admin instance, OPENCLAW_IMAGE of the project")
      ->capture_default_str();
  join->add_option("--memory-total-mib", settings->memory_total_mib,
                   "Memory that this host may use (default: the machine's)");
  join->add_option("--memory-reserve-mib", settings->memory_reserve_mib,
                   "Memory kept from tenants (default: 512, 1024 for an admin instance, and 5 % of "
                   "the total)");
  join->add_option("--subnet-pool", settings->subnet_pool,
                   "IPv4 network that is cut into one /29 for each tenant")
      ->capture_default_str();
  join->add_option("--max-starts", settings->max_starts,
                   "OpenClaws that may start at the same time (default: half the processors)");
  join->add_option("--start-patience", settings->start_patience_s,
                   "Seconds after which a start without any activity has failed")
      ->capture_default_str();
  join->add_option("--log-level", settings->log_level, "debug, info, warning or error")
      ->capture_default_str();
  join->add_flag("--admin,!--no-admin", settings->admin,
                 "Run an admin instance on this host, or none (default: one)");
}

}  // namespace

int main(int argc, char** argv) {
  if (absl::Status kept = mtp::KeepMemoryPrivate(); !kept.ok()) return Fail(kept);
  mtp::tls::PrepareTls();

  CLI::App app("Acts on one host for the fleet's controller.", "mtp-agent");
  app.set_version_flag("--version", mtp::kVersion);
  app.require_subcommand(1);
  std::string data_dir = kDefaultDataDir;

  CLI::App* run = app.add_subcommand("run", "Serve the controller until SIGTERM.");
  run->add_option("--data-dir", data_dir, "Folder that `join` made")->capture_default_str();

  JoinArguments arguments;
  arguments.settings.data_dir = kDefaultDataDir;
  arguments.settings.listen.clear();
  CLI::App* join = app.add_subcommand("join",
                                      "Join a fleet with a token of `mtp-cli host token`; a host "
                                      "that joins again keeps what is not "
                                      "given.");
  AddJoinOptions(join, &arguments);

  std::string manual_folder;
  CLI::App* manual = mtp::AddManualCommand(app, &manual_folder);

  // Started by CheckDatabases alone, so no help shows it.
  int uid = -1;
  int gid = -1;
  CLI::App* check = app.add_subcommand("check-databases")->group("");
  check->add_option("--uid", uid, "User to become");
  check->add_option("--gid", gid, "Group to become");

  try {
    app.parse(argc, argv);
    if (join->parsed()) {
      // A host that joins again keeps its settings, but for those that are given now.
      auto before = mtp::LoadSettings(arguments.settings.data_dir);
      if (!before.ok() && !absl::IsNotFound(before.status())) return Fail(before.status());
      if (before.ok()) {
        const bool moved = join->count("--advertise") > 0;
        arguments.settings = *std::move(before);
        arguments.joined_before = true;
        if (moved) arguments.settings.listen.clear();
        app.parse(argc, argv);
      }
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  if (check->parsed()) mtp::DatabaseChildMain(uid, gid);
  if (manual->parsed()) return Manual(app, manual_folder);
  if (join->parsed()) {
    const absl::Status joined = Join(std::move(arguments));
    return joined.ok() ? 0 : Fail(joined);
  }
  return Run(std::filesystem::absolute(data_dir));
}
