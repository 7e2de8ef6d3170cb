// Starts the channels that an OpenClaw has held back at its start.
#pragma once

#include <absl/status/statusor.h>

#include <string>

#include "agent/docker/network_namespace.h"
#include "agent/openclaw/openclaw.h"
#include "common/base/log.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

// Asks a ready OpenClaw for its channels, and to start those that HeldBackChannels names, at most
// eight. The channel that is held back all the same, with the reason, in one line without secrets;
// empty when none is, and when OpenClaw knows no such question: it need not be asked again until
// its next start. Errors: UNAVAILABLE, DEADLINE_EXCEEDED or NOT_FOUND when it did not answer, so
// that nothing is known.
//
// Whoever lets it start has decided that it may: what ends again and again is parked by the agent
// (CrashHistory), and not left to run deaf. Called twice it starts nothing twice. Blocks at most
// kGatewayTimeout for each call.
absl::StatusOr<std::string> StartHeldBackChannels(OpenClaw& openclaw,
                                                  const ContainerProcess& process,
                                                  const v1::TenantSecrets& secrets,
                                                  const std::string& tenant, const Log& log);

}  // namespace mtp
