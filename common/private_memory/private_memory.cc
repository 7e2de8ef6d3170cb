#include "common/private_memory/private_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "common/base/atomic_file.h"
#include "common/base/file_descriptor.h"
#include "common/base/status.h"

#if MTP_WIPES_FREED_MEMORY

// glibc's own, under the names that it exports besides. Whoever in this process calls free() or
// realloc(), libraries included, comes here first: glibc manual, "Replacing malloc".
extern "C" {
void __libc_free(void* block) noexcept;  // NOLINT(bugprone-reserved-identifier)

void free(void* block) noexcept {
  if (block == nullptr) return;
  explicit_bzero(block, malloc_usable_size(block));
  __libc_free(block);
}

// glibc's realloc would give the old block back by itself.
void* realloc(void* block, size_t size) noexcept {
  if (block == nullptr) return malloc(size);
  if (size == 0) {
    free(block);
    return nullptr;
  }
  const size_t had = malloc_usable_size(block);
  if (size <= had && size >= had / 2) return block;
  void* const fresh = malloc(size);
  if (fresh == nullptr) return nullptr;
  memcpy(fresh, block, std::min(had, size));
  free(block);
  return fresh;
}
}

#endif

namespace mtp {
namespace {

// Of no kind of memory anything; this is kept across exec. Nothing is left to do where the file
// cannot be opened: a kernel that writes no cores has none, and that of a process that may not be
// traced any more is no longer its own.
absl::Status LeaveContentsOutOfCores() {
  const FileDescriptor filter(open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC));
  if (!filter.valid()) return absl::OkStatus();
  if (write(filter.get(), "0", 1) != 1) return ErrnoStatus(errno, "write coredump_filter");
  return absl::OkStatus();
}

}  // namespace

absl::Status KeepMemoryPrivate() {
  MTP_RETURN_IF_ERROR(LeaveContentsOutOfCores());
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) return ErrnoStatus(errno, "limit cores to nothing");
  if (prctl(PR_SET_DUMPABLE, 0) != 0) return ErrnoStatus(errno, "refuse to be traced");
  return absl::OkStatus();
}

}  // namespace mtp
