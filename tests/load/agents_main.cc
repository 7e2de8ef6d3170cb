// Hosts with simulated engines: reads join tokens, one a line, joins with each, says `ready`, and
// serves until SIGTERM.
#include <absl/strings/str_cat.h>
#include <malloc.h>
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "common/base/descriptor_limit.h"
#include "common/base/status.h"
#include "common/base/thread_pool.h"
#include "common/tls/credentials.h"
#include "common/tls/join_token.h"
#include "tests/load/sim_host.h"

namespace {

constexpr int kThreads = 16;

struct Arguments {
  std::string folder;
  int work_ms = 200;
  int first_port = 21'000;
};

using Hosts = std::vector<std::unique_ptr<mtp::load::SimHost>>;

absl::Status StartAll(const Arguments& arguments, mtp::Executor* executor, Hosts& hosts) {
  std::string line;
  while (std::getline(std::cin, line) && !line.empty()) {
    MTP_ASSIGN_OR_RETURN(const mtp::tls::JoinToken token, mtp::tls::DecodeJoinToken(line));
    mtp::load::SimHostOptions options;
    options.folder = absl::StrCat(arguments.folder, "/", token.host);
    options.work = absl::Milliseconds(arguments.work_ms);
    options.first_port = arguments.first_port;
    auto host = mtp::load::SimHost::Start(token, options, executor);
    if (!host.ok()) return mtp::Annotate(host.status(), token.host);
    hosts.push_back(*std::move(host));
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  mtp::tls::PrepareTls();
  mallopt(M_ARENA_MAX, 2);
  mtp::RaiseDescriptorLimit(mtp::kServerDescriptors);
  CLI::App app("Hosts with simulated engines. Join tokens are read from standard input.");
  Arguments arguments;
  app.add_option("--folder", arguments.folder, "Where identities are kept")->required();
  app.add_option("--work-ms", arguments.work_ms, "What each action takes")->capture_default_str();
  app.add_option("--first-port", arguments.first_port, "The first that a host may listen on")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  mtp::ThreadPool pool(kThreads);
  pool.Start();
  Hosts hosts;
  const absl::Status started = StartAll(arguments, &pool, hosts);
  if (started.ok()) {
    std::printf("ready %zu\n", hosts.size());
    std::fflush(stdout);
    int signal = 0;
    sigwait(&ending, &signal);
  } else {
    std::fprintf(stderr, "load_agents: %s\n", std::string(started.message()).c_str());
  }
  for (const auto& host : hosts) host->Stop();
  pool.Stop();
  return started.ok() ? 0 : 1;
}
