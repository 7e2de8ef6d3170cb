// What an operator should change about an engine that answers.
#pragma once

#include <string>

#include "agent/docker/engine.h"

namespace mtp {

// One line; empty when there is nothing. Versions below 24 are not supported (docs/operations.md);
// what is no number of a version is taken for a newer one.
std::string EngineAdvice(const EngineInfo& info);

}  // namespace mtp
