// Starts the channels that an OpenClaw has held back at its start.
#pragma once

#include <string>

#include "agent/docker/network_namespace.h"
#include "agent/openclaw/openclaw.h"
#include "common/base/log.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

struct ChannelsLook {
  // Nothing is held back, or OpenClaw knows no such question: it need not be asked again until its
  // next start.
  bool settled = false;
  // The channel that is held back all the same, with the reason, in one line without secrets.
  std::string held_back;
};

// Asks a ready OpenClaw for its channels, and to start those that HeldBackChannels names, at most
// eight. Whoever lets it start has decided that it may: what ends again and again is parked by the
// agent (CrashHistory), and not left to run deaf. Called twice it starts nothing twice. Blocks at
// most kGatewayTimeout for each call.
ChannelsLook StartHeldBackChannels(OpenClaw& openclaw, const ContainerProcess& process,
                                   const v1::TenantSecrets& secrets, const std::string& tenant,
                                   const Log& log);

}  // namespace mtp
