// Sockets inside a container's network namespace. OpenClaw grants all scopes to a caller on its own
// loopback only, and this way no port need be published. A socket belongs to the namespace of the
// thread that created it, for ever (network_namespaces(7)): a short-lived thread enters the
// namespace, creates the socket and ends; the descriptor is then used from anywhere. Needs
// CAP_SYS_ADMIN; works from an agent that is itself in a namespace.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <cstdint>
#include <stop_token>
#include <string>

#include "common/base/file_descriptor.h"

namespace mtp {

// A container's first process. The id guards against a PID that meanwhile belongs to someone else:
// the process' cgroup path must contain it.
struct ContainerProcess {
  std::string container_id;  // 64 hexadecimal digits.
  pid_t pid = 0;             // As Engine::InspectContainer says it.
};

// An unconnected TCP socket (IPv4, non-blocking, close-on-exec) in the process' network namespace.
// NOT_FOUND when the process is gone or is not of that container; PERMISSION_DENIED without the
// capability. Thread-safe.
absl::StatusOr<FileDescriptor> TcpSocketInContainer(const ContainerProcess& process);

// A TCP connection (non-blocking) to `127.0.0.1:port` inside the container. As above, and
// UNAVAILABLE when nobody listens, DEADLINE_EXCEEDED after `timeout`, CANCELLED after a stop
// request.
absl::StatusOr<FileDescriptor> ConnectInContainer(const ContainerProcess& process, uint16_t port,
                                                  absl::Duration timeout,
                                                  std::stop_token stop = {});

}  // namespace mtp
