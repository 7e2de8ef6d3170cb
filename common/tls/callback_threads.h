// The threads on which gRPC runs the reactions of clients that do not wait for their calls.
#pragma once

namespace mtp::tls {

// To be called before the first such call; again, it does nothing. Thread-safe.
//
// gRPC 1.51 ends these threads with the last channel and server of the process that uses them. When
// that is let go by a reaction, the thread waits for itself and then goes on with a queue that is
// gone (src/cpp/common/completion_queue_cc.cc, CallbackAlternativeCQ): the process dies. After this
// call they stay until the process ends.
void KeepCallbackThreads();

}  // namespace mtp::tls
