#include <cstdio>
#include <cstdlib>
#include <string>

#include "cli/commands/run.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/private_memory/private_memory.h"
#include "common/tls/credentials.h"

int main(int argc, char** argv) {
  if (absl::Status kept = mtp::KeepMemoryPrivate(); !kept.ok()) {
    std::fprintf(stderr, "mtp-cli: %s\n", std::string(kept.message()).c_str());
    return 1;
  }
  mtp::tls::PrepareTls();
  // gRPC's own remarks mean nothing to an operator; what matters comes back as a status.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  const mtp::SystemClock clock;
  mtp::SystemRandom random;
  mtp::cli::Environment environment = mtp::cli::SystemEnvironment(clock, random);
  return mtp::cli::RunCli({argv + 1, argv + argc}, environment);
}
