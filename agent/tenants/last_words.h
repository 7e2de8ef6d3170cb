// What a container that failed has to say for itself.
#pragma once

#include <string>

#include "agent/docker/engine.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

// Why it does not run: `exit code 1`, the engine's own words, or that the kernel killed it. Pure.
std::string HowItEnded(const ContainerDetails& details);

// `why`, and the container's last log lines, without secrets; one line. Asks the engine; when it
// does not answer, or the log is empty, it is `why` alone.
std::string WithLastWords(std::string why, Engine& engine, const std::string& container,
                          const v1::TenantSecrets& secrets);

}  // namespace mtp
