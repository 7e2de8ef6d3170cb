#include "agent/docker/network_namespace.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kMaxCgroupFile = 64 * 1024;
constexpr size_t kContainerIdLength = 64;

absl::Status Gone() { return absl::NotFoundError("the container's process is gone"); }

absl::StatusOr<std::string> ReadAt(int folder, const char* name) {
  const FileDescriptor file(openat(folder, name, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return Gone();
  std::string text;
  char buffer[4096];
  while (text.size() < kMaxCgroupFile) {
    const ssize_t size = read(file.get(), buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Gone();  // ESRCH: it ended after the open.
    if (size == 0) break;
    text.append(buffer, static_cast<size_t>(size));
  }
  return text;
}

// The namespace's descriptor. /proc/<pid> is opened once: that descriptor stays with this very
// process and never shows a later one of the same number (proc(5)).
absl::StatusOr<FileDescriptor> NamespaceOf(const ContainerProcess& process) {
  if (process.pid <= 0 || process.container_id.size() != kContainerIdLength) {
    return absl::NotFoundError("the container has no process");
  }
  const FileDescriptor folder(
      open(absl::StrCat("/proc/", process.pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return Gone();
  MTP_ASSIGN_OR_RETURN(const std::string cgroup, ReadAt(folder.get(), "cgroup"));
  if (!absl::StrContains(cgroup, process.container_id)) {
    return absl::NotFoundError(
        absl::StrCat("process ", process.pid, " is not of the container any more"));
  }
  FileDescriptor result(openat(folder.get(), "ns/net", O_RDONLY | O_CLOEXEC));
  if (!result.valid()) {
    if (errno == ENOENT || errno == ESRCH) return Gone();
    return ErrnoStatus(errno, "open the container's network namespace");
  }
  return result;
}

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

absl::Status ConnectStatus(int error, uint16_t port) {
  if (error == 0) return absl::OkStatus();
  if (error == ECONNREFUSED) {
    return absl::UnavailableError(absl::StrCat("nothing listens on port ", port, " yet"));
  }
  return absl::UnavailableError(
      absl::StrCat("connect to port ", port, ": ", std::generic_category().message(error)));
}

// Waits until a non-blocking connect ends.
absl::Status WaitConnected(int socket, uint16_t port, absl::Duration timeout,
                           const std::stop_token& stop) {
  const FileDescriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoStatus(errno, "eventfd");
  std::stop_callback on_stop(stop, [&wake] { eventfd_write(wake.get(), 1); });
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
  while (true) {
    if (stop.stop_requested()) return absl::CancelledError("stopped on request");
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() < 0) {
      return absl::DeadlineExceededError(absl::StrCat("port ", port, " does not accept in time"));
    }
    pollfd fds[2] = {{socket, POLLOUT, 0}, {wake.get(), POLLIN, 0}};
    const int wait_ms = static_cast<int>(std::min<int64_t>(left.count() + 1, 60'000));
    if (poll(fds, 2, wait_ms) < 0 && errno != EINTR) return ErrnoStatus(errno, "poll");
    if (fds[0].revents == 0) continue;
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
    return ConnectStatus(error, port);
  }
}

}  // namespace

absl::StatusOr<FileDescriptor> TcpSocketInContainer(const ContainerProcess& process) {
  MTP_ASSIGN_OR_RETURN(const FileDescriptor network, NamespaceOf(process));
  FileDescriptor result;
  int error = 0;
  const auto create = [&] {
    if (setns(network.get(), CLONE_NEWNET) < 0) {
      error = errno;
      return;
    }
    result.Reset(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!result.valid()) error = errno;
  };
  // The thread alone enters the namespace and ends with it, so no other work ever runs there.
  try {
    std::thread(create).join();
  } catch (const std::system_error& e) {
    return absl::ResourceExhaustedError("no thread can be started");
  }
  if (error != 0) return ErrnoStatus(error, "enter the container's network namespace");
  return result;
}

absl::StatusOr<FileDescriptor> ConnectInContainer(const ContainerProcess& process, uint16_t port,
                                                  absl::Duration timeout, std::stop_token stop) {
  MTP_ASSIGN_OR_RETURN(FileDescriptor socket, TcpSocketInContainer(process));
  const sockaddr_in address = Loopback(port);
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0) {
    if (errno != EINPROGRESS) return ConnectStatus(errno, port);
    MTP_RETURN_IF_ERROR(WaitConnected(socket.get(), port, timeout, stop));
  }
  return socket;
}

}  // namespace mtp
