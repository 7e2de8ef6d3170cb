#include "agent/docker/filtered_socket.h"

#include <absl/strings/str_cat.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

#include "agent/docker/filtered_session.h"
#include "common/base/atomic_file.h"
#include "common/base/file_descriptor.h"
#include "common/base/status.h"

namespace mtp {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using Unix = net::local::stream_protocol;

constexpr int kBacklog = 64;
// After an accept that failed, such as for want of descriptors.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

absl::StatusOr<sockaddr_un> SocketAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("`", path, "` cannot be a socket's path: it has 1 to 107 characters"));
  }
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// OK when nothing, or a socket that nobody listens on, is at `path`.
absl::Status CheckFree(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, absl::StrCat("look at ", path));
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::AlreadyExistsError(absl::StrCat(path, " exists and is no socket"));
  }
  MTP_ASSIGN_OR_RETURN(const sockaddr_un address, SocketAddress(path));
  const FileDescriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return ErrnoStatus(errno, "make a socket");
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
      errno == EAGAIN) {
    return absl::AlreadyExistsError(absl::StrCat("another process listens on ", path));
  }
  return absl::OkStatus();
}

// The socket is made under another name and gets its own only when owner and mode are right.
absl::StatusOr<FileDescriptor> Listen(const FilteredSocketOptions& options) {
  MTP_RETURN_IF_ERROR(CheckFree(options.path));
  const std::string temporary = absl::StrCat(options.path, ".new");
  MTP_ASSIGN_OR_RETURN(const sockaddr_un address, SocketAddress(temporary));
  unlink(temporary.c_str());
  FileDescriptor listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return ErrnoStatus(errno, "make a socket");
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("make ", temporary));
  }
  const bool ready = lchown(temporary.c_str(), options.owner_uid, options.owner_gid) == 0 &&
                     chmod(temporary.c_str(), options.mode) == 0 &&
                     listen(listener.get(), kBacklog) == 0 &&
                     rename(temporary.c_str(), options.path.c_str()) == 0;
  if (!ready) {
    const absl::Status status = ErrnoStatus(errno, absl::StrCat("set up ", options.path));
    unlink(temporary.c_str());
    return status;
  }
  return listener;
}

}  // namespace

class FilteredSocket::Server {
 public:
  Server(const FilteredSocketOptions& options, FileDescriptor listener)
      : options_(options), acceptor_(context_), slot_(context_) {
    acceptor_.assign(Unix(), listener.Release());
  }

  ~Server() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
    unlink(options_.path.c_str());
  }

  absl::Status Start() {
    net::co_spawn(context_, Accept(), net::detached);
    try {
      thread_ = std::thread([this] { context_.run(); });
    } catch (const std::system_error&) {
      return absl::ResourceExhaustedError("no thread can be started");
    }
    return absl::OkStatus();
  }

 private:
  net::awaitable<void> Accept() {
    while (true) {
      error_code error;
      if (connections_ >= options_.max_connections) {
        // Cancelled when a connection ends.
        slot_.expires_at(net::steady_timer::time_point::max());
        co_await slot_.async_wait(net::redirect_error(net::use_awaitable, error));
        continue;
      }
      Unix::socket client(context_);
      co_await acceptor_.async_accept(client, net::redirect_error(net::use_awaitable, error));
      if (error) {
        slot_.expires_after(kAcceptPause);
        co_await slot_.async_wait(net::redirect_error(net::use_awaitable, error));
        continue;
      }
      ++connections_;
      net::co_spawn(context_, Serve(std::move(client)), net::detached);
    }
  }

  net::awaitable<void> Serve(Unix::socket client) {
    co_await ServeFilteredConnection(std::move(client), options_);
    --connections_;
    slot_.cancel();
  }

  const FilteredSocketOptions options_;
  net::io_context context_{1};
  Unix::acceptor acceptor_;
  net::steady_timer slot_;
  int connections_ = 0;  // Of the context's one thread.
  std::thread thread_;
};

FilteredSocket::FilteredSocket(FilteredSocketOptions options) : options_(std::move(options)) {}

FilteredSocket::~FilteredSocket() { Stop(); }

absl::Status FilteredSocket::Start() {
  if (server_ != nullptr) return absl::FailedPreconditionError("the socket is already served");
  if (options_.project.empty()) return absl::InvalidArgumentError("a project is needed");
  if (options_.max_connections < 1) {
    return absl::InvalidArgumentError("at least one connection is needed");
  }
  MTP_RETURN_IF_ERROR(SocketAddress(options_.engine_socket).status());
  MTP_RETURN_IF_ERROR(SocketAddress(options_.path).status());
  MTP_ASSIGN_OR_RETURN(FileDescriptor listener, Listen(options_));
  auto server = std::make_unique<Server>(options_, std::move(listener));
  MTP_RETURN_IF_ERROR(server->Start());
  server_ = std::move(server);
  return absl::OkStatus();
}

void FilteredSocket::Stop() { server_.reset(); }

}  // namespace mtp
