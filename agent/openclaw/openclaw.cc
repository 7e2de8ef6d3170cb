#include "agent/openclaw/openclaw.h"

namespace mtp {
namespace {

class RealOpenClaw final : public OpenClaw {
 public:
  absl::StatusOr<ProbeResult> Probe(const ContainerProcess& process,
                                    absl::Duration timeout) override {
    return ProbeGateway(process, kGatewayPort, timeout);
  }

  absl::StatusOr<std::string> Call(const ContainerProcess& process, const SecretString& token,
                                   const std::string& method, const std::string& params_json,
                                   absl::Duration timeout, std::stop_token stop) override {
    return CallGateway(process, kGatewayPort, token, method, params_json, timeout, stop);
  }
};

}  // namespace

std::unique_ptr<OpenClaw> NewOpenClaw() { return std::make_unique<RealOpenClaw>(); }

}  // namespace mtp
