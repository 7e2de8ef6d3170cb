// A tenant's OpenClaw as the agent's other parts see it; tests bring a fake.
#pragma once

#include <memory>

#include "agent/openclaw/gateway.h"
#include "agent/openclaw/probe.h"

namespace mtp {

// Thread-safe.
class OpenClaw {
 public:
  virtual ~OpenClaw() = default;
  // As ProbeGateway on kGatewayPort.
  virtual absl::StatusOr<ProbeResult> Probe(const ContainerProcess& process,
                                            absl::Duration timeout) = 0;
  // As CallGateway on kGatewayPort.
  virtual absl::StatusOr<std::string> Call(const ContainerProcess& process,
                                           const SecretString& token, const std::string& method,
                                           const std::string& params_json, absl::Duration timeout,
                                           std::stop_token stop) = 0;
};

std::unique_ptr<OpenClaw> NewOpenClaw();

}  // namespace mtp
