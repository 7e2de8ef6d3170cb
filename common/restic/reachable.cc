#include "common/restic/reachable.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "common/base/file_descriptor.h"

namespace mtp {
namespace {

// 0 when connected, else an errno.
int Connect(const addrinfo& address, absl::Duration timeout) {
  const FileDescriptor socket_fd(
      socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_fd.valid()) return errno;
  if (connect(socket_fd.get(), address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd waiting{.fd = socket_fd.get(), .events = POLLOUT, .revents = 0};
  const int ready = poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
  if (ready == 0) return ETIMEDOUT;
  if (ready < 0) return errno;
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(socket_fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

}  // namespace

absl::Status CheckReachable(const std::string& host, int port, absl::Duration timeout) {
  std::string name = host;
  if (name.size() > 2 && name.front() == '[') name = name.substr(1, name.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string service = absl::StrCat(port);
  if (const int error = getaddrinfo(name.c_str(), service.c_str(), &hints, &found); error != 0) {
    return absl::UnavailableError(
        absl::StrCat("the repository's server ", host, " is not known: ", gai_strerror(error)));
  }
  const auto free = absl::MakeCleanup([found] { freeaddrinfo(found); });
  int error = ENOENT;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    error = Connect(*address, timeout);
    if (error == 0) return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat("the repository's server ", host, ":", port,
                                             " does not answer: ", std::strerror(error)));
}

}  // namespace mtp
