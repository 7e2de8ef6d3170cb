// The end of a container's log.
#pragma once

#include <string>

#include "agent/docker/engine.h"

namespace mtp {

// About the last `lines` lines, both streams, whole lines only, at most 64 KiB: the end counts.
// Empty when the engine has none or does not answer. May hold secrets.
std::string ReadLastLog(Engine& engine, const std::string& container, int lines);

}  // namespace mtp
