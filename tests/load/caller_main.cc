// One caller of the controller for the load test; prints one line of JSON, and ends with 1 when a
// call or an operation failed.
#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>

#include "common/base/atomic_file.h"
#include "common/base/descriptor_limit.h"
#include "common/tls/credentials.h"
#include "tests/load/attacks.h"
#include "tests/load/steady.h"
#include "tests/load/week.h"

namespace {

using namespace mtp::load;  // NOLINT(google-build-using-namespace): a small program of this folder

struct Arguments {
  Target target;
  int tenants = 1000;
  int parallel = 64;
  double share = 1;
  double seconds = 300;
  double rate = 100;
  std::string enrollment;
  std::string authority;
};

std::atomic<bool> terminated = false;

int Print(const Figures& figures) {
  std::printf("%s\n", figures.Json().c_str());
  return figures.AllWell() ? 0 : 1;
}

int Say(const std::string& json) {
  std::printf("%s\n", json.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  mtp::tls::PrepareTls();
  mtp::RaiseDescriptorLimit(mtp::kServerDescriptors);
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("A caller who does much at once.");
  app.require_subcommand(1);
  Arguments given;
  app.add_option("--controller", given.target.controller, "ADDRESS:PORT")->required();
  app.add_option("--identity", given.target.identity, "Identity folder of an operator");
  app.add_option("--tenants", given.tenants)->capture_default_str();
  app.add_option("--parallel", given.parallel)->capture_default_str();
  app.add_option("--share", given.share, "Of a week's operations")->capture_default_str();
  app.add_option("--seconds", given.seconds, "At most, or for so long")->capture_default_str();
  app.add_option("--enrollment", given.enrollment, "ADDRESS:PORT where hosts join");
  app.add_option("--authority", given.authority, "File of the fleet's authorities");
  const auto* provision = app.add_subcommand("provision", "Provision all tenants");
  const auto* at_once = app.add_subcommand("at-once", "--parallel operations at the same moment");
  const auto* week = app.add_subcommand("week", "What a week has of operations");
  const auto* update = app.add_subcommand("update", "Update --tenants tenants");
  app.add_option("--rate", given.rate, "Calls a second")->capture_default_str();
  const auto* steady = app.add_subcommand("steady", "Calls at --rate until SIGTERM");
  const auto* slow = app.add_subcommand("slow-readers", "--parallel streams that nobody reads");
  const auto* oversized = app.add_subcommand("oversized", "Messages beyond the limit");
  const auto* joins = app.add_subcommand("joins", "A flood of joins with a made up token");
  CLI11_PARSE(app, argc, argv);

  const absl::Duration during = absl::Seconds(given.seconds);
  Figures figures;
  if (provision->parsed()) {
    Provision(given.target, given.tenants, given.parallel, figures);
    return Print(figures);
  }
  if (at_once->parsed()) {
    AtOnce(given.target, given.parallel, figures);
    return Print(figures);
  }
  if (week->parsed()) {
    const Week all{given.tenants, given.parallel, given.share, during};
    const int done = RunWeek(given.target, all, figures);
    std::fprintf(stderr, "%d of the %d operations of a week\n", done,
                 OperationsOfAWeek(given.tenants));
    return Print(figures);
  }
  if (update->parsed()) {
    Update(given.target, given.tenants, given.parallel, figures);
    return Print(figures);
  }
  if (steady->parsed()) {
    std::signal(SIGTERM, [](int) { terminated = true; });
    CallSteadily(given.target, {given.rate, given.parallel, during}, terminated, figures);
    return Print(figures);
  }
  if (slow->parsed()) return Say(SlowReaders(given.target, given.parallel, during));
  if (oversized->parsed()) return Say(Oversized(given.target));
  if (joins->parsed()) {
    const auto authority = mtp::ReadFile(given.authority, 1 << 18);
    if (!authority.ok()) {
      std::fprintf(stderr, "load_caller: %s\n", std::string(authority.status().message()).c_str());
      return 2;
    }
    return Say(JoinFlood(given.enrollment, *authority, given.parallel, during));
  }
  return 2;
}
