#include "common/private_memory/private_memory.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>

#include "mtp/v1/tenant.pb.h"

namespace mtp {
namespace {

// Runs `child` in a process of its own, which ends by _exit with what it returns. The status of
// waitpid(2).
template <typename Child>
int InChild(Child child) {
  const pid_t pid = fork();
  if (pid == 0) _exit(child());
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

std::string CoreFilter() {
  std::ifstream file("/proc/self/coredump_filter");
  std::string line;
  std::getline(file, line);
  return line;
}

TEST(PrivateMemory, IsNeitherDumpedNorTracedNorWrittenToCores) {
  const int status = InChild([] {
    if (!KeepMemoryPrivate().ok()) return 1;
    if (prctl(PR_GET_DUMPABLE) != 0) return 2;
    rlimit cores{1, 1};
    if (getrlimit(RLIMIT_CORE, &cores) != 0 || cores.rlim_cur != 0 || cores.rlim_max != 0) return 3;
    return KeepMemoryPrivate().ok() ? 0 : 4;
  });
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(PrivateMemory, ADeathByASignalWritesNoCore) {
  const int status = InChild([] {
    // Would be enough for a core where the system allows one.
    rlimit cores{};
    getrlimit(RLIMIT_CORE, &cores);
    cores.rlim_cur = cores.rlim_max;
    setrlimit(RLIMIT_CORE, &cores);
    if (!KeepMemoryPrivate().ok()) return 1;
    signal(SIGABRT, SIG_DFL);
    std::abort();
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
  EXPECT_FALSE(WCOREDUMP(status));
}

// Both are inherited by programs: core(5).
TEST(PrivateMemory, CoresOfStartedProgramsHaveNoContents) {
  if (CoreFilter().empty()) return;  // this kernel writes no cores
  const int status = InChild([] {
    if (!KeepMemoryPrivate().ok()) return 1;
    execl("/bin/sh", "sh", "-c",
          "read -r filter </proc/self/coredump_filter && [ \"$((0x$filter))\" = 0 ] &&"
          " [ \"$(ulimit -H -c)\" = 0 ]",
          nullptr);
    return 2;
  });
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

#if MTP_WIPES_FREED_MEMORY

// malloc keeps up to four words of its own at the beginning of what was given back.
constexpr size_t kOfMalloc = 32;
constexpr size_t kSize = 600;

// How many bytes of the secret there are from `place` on. The place is gone: it is looked at by its
// number, and stays mapped since malloc keeps blocks of this size.
size_t LeftAt(uintptr_t place) {
  size_t left = 0;
  for (size_t i = kOfMalloc; i < kSize; ++i) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    if (*reinterpret_cast<const volatile char*>(place + i) == 's') ++left;
  }
  return left;
}

template <typename T>
uintptr_t PlaceOf(const T* object) {
  return reinterpret_cast<uintptr_t>(object);
}

TEST(PrivateMemory, WhatAStringHeldIsWiped) {
  auto text = std::make_unique<std::string>(kSize, 's');
  const uintptr_t place = PlaceOf(text->data());
  ASSERT_EQ(LeftAt(place), kSize - kOfMalloc);
  text.reset();
  EXPECT_EQ(LeftAt(place), 0U);
}

TEST(PrivateMemory, WhatAGrowingStringHeldBeforeIsWiped) {
  std::string text(kSize, 's');
  const uintptr_t place = PlaceOf(text.data());
  text.reserve(100 * kSize);
  ASSERT_NE(PlaceOf(text.data()), place);
  EXPECT_EQ(LeftAt(place), 0U);
}

TEST(PrivateMemory, WhatAMessageHeldIsWiped) {
  auto secrets = std::make_unique<v1::TenantSecrets>();
  secrets->set_anthropic_key(std::string(kSize, 's'));
  const uintptr_t place = PlaceOf(secrets->anthropic_key().data());
  ASSERT_EQ(LeftAt(place), kSize - kOfMalloc);
  secrets.reset();
  EXPECT_EQ(LeftAt(place), 0U);
}

TEST(PrivateMemory, WhatReallocLeavesIsWiped) {
  char* const block = static_cast<char*>(malloc(kSize));
  memset(block, 's', kSize);
  const uintptr_t place = PlaceOf(block);
  char* const moved = static_cast<char*>(realloc(block, 100 * kSize));
  EXPECT_NE(PlaceOf(moved), place);
  EXPECT_EQ(std::string(moved, kSize), std::string(kSize, 's'));
  EXPECT_EQ(LeftAt(place), 0U);
  free(moved);
}

#endif

TEST(PrivateMemory, ReallocKeepsItsWord) {
  char* block = static_cast<char*>(realloc(nullptr, 10));
  if (block == nullptr) FAIL() << "no memory";
  memcpy(block, "012345678", 10);
  for (const size_t size : {20UL, 5000UL, 1000000UL, 4000UL, 10UL}) {
    char* const moved = static_cast<char*>(realloc(block, size));
    EXPECT_NE(moved, nullptr);
    if (moved != nullptr) block = moved;
    EXPECT_STREQ(block, "012345678");
  }
  // NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): what it does here is the question.
  EXPECT_EQ(realloc(block, 0), nullptr);
}

}  // namespace
}  // namespace mtp
