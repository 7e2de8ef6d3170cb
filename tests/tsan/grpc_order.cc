// The same for gRPC (mutex_order.cc): whatever a thread did before it began a call's operations has
// happened before whoever hears that they are done goes on. Debian's gRPC hands both from one
// thread to another by atomics of its own, which ThreadSanitizer does not see.
//
// One hears of it by a completion queue, whose functions are replaced here, or by a callback: a
// `grpc_completion_queue_functor` given as the tag. Its function is exchanged until it is called.
//
// Nobody asks for a server's callbacks one by one. What was done before a server was started, which
// is when its services are made, has happened before whatever is heard of afterwards.
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <link.h>
#include <sched.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <unordered_map>

#include "tests/tsan/order.h"

namespace {

using Run = void (*)(grpc_completion_queue_functor*, int);

using mtp::Acquire;
using mtp::Release;

// gRPC's own function of that name.
template <typename Function>
Function Real(Function, const char* name) {
  void* const real = dlsym(RTLD_NEXT, name);
  if (real == nullptr) std::abort();
  return reinterpret_cast<Function>(real);
}

// Whether it is an address of code: a functor begins with one, any other tag of gRPC's C++ with a
// pointer to a table of virtual functions.
bool IsCode(uintptr_t address) {
  const auto holds = [](dl_phdr_info* info, size_t, void* data) {
    const uintptr_t address = *static_cast<uintptr_t*>(data);
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = info->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
      const uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
      if (address >= begin && address < begin + segment.p_memsz) return 1;
    }
    return 0;
  };
  return dl_iterate_phdr(holds, &address) != 0;
}

// ThreadSanitizer must not see it: it would put all calls in an order that they do not have.
class UnseenLock {
 public:
  void lock() {
    while (taken_.test_and_set(std::memory_order_acquire)) sched_yield();
  }
  void unlock() { taken_.clear(std::memory_order_release); }

 private:
  std::atomic_flag taken_;
};

class Functors {
 public:
  // Has `tag` hear of what was done before it is called, if it is a functor.
  void Exchange(void* tag) {
    auto* const functor = static_cast<grpc_completion_queue_functor*>(tag);
    const std::lock_guard lock(mutex_);
    if (functor->functor_run == &Functors::RunOrdered) return;
    if (!IsKnownCode(functor->functor_run)) return;
    own_[functor] = functor->functor_run;
    functor->functor_run = &Functors::RunOrdered;
  }
  Run GiveBack(grpc_completion_queue_functor* functor) {
    const std::lock_guard lock(mutex_);
    const auto found = own_.find(functor);
    if (found == own_.end()) std::abort();
    functor->functor_run = found->second;
    own_.erase(found);
    return functor->functor_run;
  }

 private:
  static void RunOrdered(grpc_completion_queue_functor* functor, int ok);
  bool IsKnownCode(Run run) {
    const auto address = reinterpret_cast<uintptr_t>(run);
    const auto [known, is_new] = code_.emplace(address, false);
    if (is_new) known->second = IsCode(address);
    return known->second;
  }

  UnseenLock mutex_;
  std::unordered_map<grpc_completion_queue_functor*, Run> own_;
  std::unordered_map<uintptr_t, bool> code_;
};

Functors& AllFunctors() {
  static auto* const functors = new Functors;
  return *functors;
}

void Functors::RunOrdered(grpc_completion_queue_functor* functor, int ok) {
  Acquire(functor);
  AllFunctors().GiveBack(functor)(functor, ok);
}

// Stands for all servers that were started.
char all_started;

grpc_event Heard(grpc_event event) {
  if (event.type == GRPC_OP_COMPLETE) {
    Acquire(event.tag);
    Acquire(&all_started);
  }
  return event;
}

}  // namespace

extern "C" {

void grpc_server_start(grpc_server* server) {
  static const auto real = Real(&grpc_server_start, "grpc_server_start");
  Release(&all_started);
  real(server);
}

grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops, size_t nops, void* tag,
                                      void* reserved) {
  static const auto real = Real(&grpc_call_start_batch, "grpc_call_start_batch");
  if (tag != nullptr) {
    Release(tag);
    AllFunctors().Exchange(tag);
  }
  // On an error, which would leave the functor exchanged, gRPC's C++ ends the program.
  return real(call, ops, nops, tag, reserved);
}

grpc_call_error grpc_server_request_registered_call(grpc_server* server, void* method,
                                                    grpc_call** call, gpr_timespec* deadline,
                                                    grpc_metadata_array* metadata,
                                                    grpc_byte_buffer** payload,
                                                    grpc_completion_queue* bound,
                                                    grpc_completion_queue* notified, void* tag) {
  static const auto real =
      Real(&grpc_server_request_registered_call, "grpc_server_request_registered_call");
  Release(tag);
  return real(server, method, call, deadline, metadata, payload, bound, notified, tag);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                      void* reserved) {
  static const auto real = Real(&grpc_completion_queue_next, "grpc_completion_queue_next");
  return Heard(real(queue, deadline, reserved));
}

grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag,
                                       gpr_timespec deadline, void* reserved) {
  static const auto real = Real(&grpc_completion_queue_pluck, "grpc_completion_queue_pluck");
  return Heard(real(queue, tag, deadline, reserved));
}

}  // extern "C"
