#include "controller/daemon/copy_parts.h"

#include <absl/functional/bind_front.h>

#include "controller/recovery/collect.h"

namespace mtp {

CopyParts::CopyParts(Foundation* on, WorkParts* work)
    : base(*on),
      agents(&work->sessions),
      copies(base.store.get(), &*base.box, &base.observations, &base.clock, &base.random,
             &base.step_pool, base.settings.fleet, CopyEdges(), base.log.For("recovery"),
             StateCopies::Options()) {}

StateCopies::Edges CopyParts::CopyEdges() {
  StateCopies::Edges edges;
  edges.pack = [this](const std::string& copy_id, size_t max_bytes) {
    return PackState({.records = base.store->List(""),
                      .data_dir = base.data_dir,
                      .box = &*base.box,
                      .fleet = base.settings.fleet,
                      .copy_id = copy_id,
                      .time = base.clock.Now()},
                     max_bytes);
  };
  edges.send = absl::bind_front(&AgentCopies::Send, &agents);
  return edges;
}

void CopyParts::Stop() {
  // So that what the other one waits for ends.
  agents.Stop();
  copies.Stop();
}

}  // namespace mtp
