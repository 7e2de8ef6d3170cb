// One WatchAgent call: the board's news as they come, and a heartbeat.
#pragma once

#include <functional>
#include <memory>

#include "agent/tenants/board.h"
#include "common/base/executor.h"

namespace grpc {
template <class W>
class ServerWriteReactor;
}

namespace mtp {

// Begins the stream; gRPC owns it from then on. Board and executor outlive it. `stamp`, unless it
// is null, stamps each event when it leaves. A watcher that leaves more than 10,000 changes waiting
// is ended with RESOURCE_EXHAUSTED and comes again.
grpc::ServerWriteReactor<v1::AgentEvent>* NewWatchStream(Board* board, Executor* executor,
                                                         std::function<v1::LeaseStamp()> stamp);

}  // namespace mtp
