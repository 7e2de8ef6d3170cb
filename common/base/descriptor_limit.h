// How many file descriptors this process may have.
#pragma once

namespace mtp {

// Raises the soft limit to `wanted`, or as far as the hard one allows; never lowers it. What the
// limit is then.
int RaiseDescriptorLimit(int wanted);
int DescriptorLimit();

// For a program that serves callers: two doors (common/tls/doorman.h) with all their connections,
// and as much again for all else.
inline constexpr int kServerDescriptors = 20'000;

}  // namespace mtp
