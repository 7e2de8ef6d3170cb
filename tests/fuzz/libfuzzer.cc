// The targets under libFuzzer: `fuzz TARGET [libFuzzer's flags] [files or folders]`; `fuzz --list`
// prints the targets and the longest input of each. tests/fuzz/fuzz.py calls it. In the unit test
// nothing does.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/fuzz/target.h"

namespace {

// libFuzzer starts children with the arguments that are left; they learn the target from here.
constexpr char kVariable[] = "MTP_FUZZ_TARGET";

const mtp::fuzz::Target* target = nullptr;

void List() {
  for (const mtp::fuzz::Target& each : mtp::fuzz::Targets()) {
    std::printf("%s %zu\n", each.name, each.max_bytes);
  }
}

}  // namespace

extern "C" {

// What is freed is held back to find late uses of it; that much of it leaves room below the limit
// of memory that the targets are held to.
const char* __asan_default_options();  // NOLINT(bugprone-reserved-identifier)
const char* __asan_default_options() {
  return "quarantine_size_mb=16:detect_stack_use_after_return=0";
}

int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc > 1 && std::strcmp((*argv)[1], "--list") == 0) {
    List();
    std::exit(0);
  }
  if (*argc > 1) target = mtp::fuzz::FindTarget((*argv)[1]);
  if (target != nullptr) {
    setenv(kVariable, target->name, 1);
    for (int i = 1; i + 1 < *argc; ++i) (*argv)[i] = (*argv)[i + 1];
    --*argc;
  } else if (const char* name = std::getenv(kVariable)) {
    target = mtp::fuzz::FindTarget(name);
  }
  if (target == nullptr) {
    std::fputs("usage: fuzz TARGET [libFuzzer's flags] [files or folders]; targets: fuzz --list\n",
               stderr);
    std::exit(2);
  }
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    target->run({reinterpret_cast<const char*>(data), size});
  } catch (const mtp::fuzz::BrokenPromise& broken) {
    std::fprintf(stderr, "%s\n", broken.what());
    std::abort();
  }
  return 0;
}

}  // extern "C"
