// Timed waits of Abseil, and with them those of gRPC, that a jump of the wall clock neither
// lengthens nor shortens.
//
// Abseil before 20230802 gives the kernel the moment at which a wait is to end, on the wall clock
// (futex(2), FUTEX_CLOCK_REALTIME). When that is set back by an hour meanwhile, the wait ends an
// hour late: timers of a ThreadPool, deadlines of calls, pauses between attempts to connect. The
// functions here replace those with which Abseil's threads wait and wake: weak symbols that it
// keeps for that (absl/synchronization/internal/per_thread_sem.h). From the next Abseil on there is
// nothing to replace.
#pragma once

namespace mtp {

// Whether waits of this program are steady. Calling it is also what links them into a program; the
// daemons do. False when the program is linked in a way that lets Abseil keep its own.
bool WaitsAreSteady();

}  // namespace mtp
