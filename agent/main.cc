// mtp-agent: acts on one host for the controller.
#include <absl/strings/str_cat.h>
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <string>

#include "agent/daemon/daemon.h"
#include "agent/daemon/settings.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/version.h"
#include "common/tls/credentials.h"
#include "common/tls/peer.h"

namespace {

using mtp::AgentSettings;

constexpr char kDefaultDataDir[] = "/var/lib/mtp-agent";

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "mtp-agent: %s\n", std::string(status.message()).c_str());
  return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}

// Only the fleet's controller may call.
absl::Status AuthorizeController(const grpc::ServerContextBase& context, const std::string& fleet) {
  const auto auth = context.auth_context();
  const mtp::tls::Identity caller =
      auth ? mtp::tls::ReadPeer(*auth).identity : mtp::tls::Identity();
  if (caller.kind == mtp::tls::Identity::Kind::kController && caller.fleet == fleet) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(
      absl::StrCat(caller.ToString(), " may not call an agent; only the fleet's controller may"));
}

int Run(const std::string& data_dir) {
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

  mtp::DaemonAccess access;
  access.credentials = mtp::tls::MutualTlsServer(mtp::IdentityPath(*settings));
  access.authorize = [fleet = settings->fleet](const grpc::ServerContextBase& context) {
    return AuthorizeController(context, fleet);
  };
  auto daemon = mtp::StartDaemon(*settings, std::move(access), log);
  if (!daemon.ok()) return Fail(daemon.status());

  int signal = 0;
  sigwait(&ending, &signal);
  log.Info("ending; tenants keep running");
  (*daemon)->Stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  mtp::tls::RestrictTls();

  CLI::App app("mtp-agent acts on one host for the fleet's controller.");
  app.set_version_flag("--version", mtp::kVersion);
  app.require_subcommand(1);
  std::string data_dir = kDefaultDataDir;

  CLI::App* run = app.add_subcommand("run", "Serve the controller until SIGTERM.");
  run->add_option("--data-dir", data_dir, "Folder that `join` made")->capture_default_str();

  CLI11_PARSE(app, argc, argv);
  return Run(data_dir);
}
