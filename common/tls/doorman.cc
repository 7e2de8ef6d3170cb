#include "common/tls/doorman.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/descriptor_limit.h"
#include "common/base/file_descriptor.h"
#include "common/base/status.h"
#include "common/tls/door_seats.h"

namespace mtp::tls {
namespace {

using Acceptor = grpc::experimental::ExternalConnectionAcceptor;

constexpr int kMaxConnections = 4096;
constexpr int kMinConnections = 64;
constexpr int kOtherDescriptors = 1024;
// While no descriptor is left.
constexpr int kPauseMs = 100;
// A full door looks for free seats this often at most.
constexpr absl::Duration kSweepPause = absl::Milliseconds(50);
constexpr absl::Duration kWarnPause = absl::Minutes(1);
// What is sent and not acknowledged for so long ends the connection.
constexpr int kUnacknowledgedMs = 10'000;

struct Place {
  std::string host;
  std::string port;
};

absl::StatusOr<Place> ParsePlace(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", address, "; it must be ADDRESS:PORT"));
  }
  absl::string_view host = absl::string_view(address).substr(0, colon);
  if (absl::ConsumePrefix(&host, "[") && !absl::ConsumeSuffix(&host, "]")) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", address, "; the bracket is not closed"));
  }
  return Place{std::string(host), absl::StrCat(port)};
}

FileDescriptor ListenAt(const addrinfo& at) {
  FileDescriptor socket(
      ::socket(at.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, at.ai_protocol));
  const int on = 1;
  const int off = 0;
  if (at.ai_family == AF_INET6) {
    setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  // Not SO_REUSEPORT: another process on the same address is an error, not a sharer.
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // Its connections inherit these.
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMs,
             sizeof(kUnacknowledgedMs));
  if (bind(socket.get(), at.ai_addr, at.ai_addrlen) != 0 || listen(socket.get(), SOMAXCONN) != 0) {
    // close() must not hide why.
    const int why = errno;
    socket.Reset();
    errno = why;
  }
  return socket;
}

absl::StatusOr<FileDescriptor> Listen(const std::string& address) {
  MTP_ASSIGN_OR_RETURN(const Place place, ParsePlace(address));
  std::vector<std::pair<std::string, int>> tried = {{place.host, AF_INET}, {place.host, AF_INET6}};
  if (place.host == "0.0.0.0" || place.host == "::")
    tried = {{"::", AF_INET6}, {"0.0.0.0", AF_INET}};
  std::string why;
  for (const auto& [host, family] : tried) {
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (const int code = getaddrinfo(host.c_str(), place.port.c_str(), &hints, &found); code != 0) {
      // Of the other family there may have been one.
      if (why.empty()) why = gai_strerror(code);
      continue;
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> all(found, freeaddrinfo);
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
      FileDescriptor socket = ListenAt(*at);
      if (socket.valid()) return socket;
      why = std::strerror(errno);
    }
  }
  return absl::FailedPreconditionError(
      absl::StrCat("cannot listen on ", address, " (", why,
                   "); is another program there, or is the address not this machine's?"));
}

int PortOf(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  in_port_t port = 0;
  // At the same place in both families.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  std::memcpy(&port, reinterpret_cast<const char*>(&address) + offsetof(sockaddr_in, sin_port),
              sizeof(port));
  return ntohs(port);
}

int MaxConnections(int asked) {
  if (asked > 0) return asked;
  return std::clamp((DescriptorLimit() - kOtherDescriptors) / 4, kMinConnections, kMaxConnections);
}

class ListeningDoorman final : public Doorman {
 public:
  ListeningDoorman(FileDescriptor listener, std::unique_ptr<Acceptor> acceptor, int max, Log log)
      : listener_(std::move(listener)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        port_(PortOf(listener_.get())),
        acceptor_(std::move(acceptor)),
        seats_(max, std::max(1, max / 2)),
        log_(std::move(log)) {}
  ~ListeningDoorman() override { Stop(); }

  void Start() override {
    // Signals are for the main thread.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { Serve(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  void Stop() override {
    const uint64_t one = 1;
    stopping_ = true;
    (void)!write(wake_.get(), &one, sizeof(one));
    if (thread_.joinable()) thread_.join();
    listener_.Reset();
  }

  int port() const override { return port_; }
  int64_t refused() const override { return refused_; }
  int64_t lacked() const override { return lacked_; }

 private:
  // Waits until somebody comes, or, with `timeout_ms`, for that time alone.
  void Wait(int timeout_ms) {
    std::array<pollfd, 2> waited{{{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}}};
    poll(waited.data(), timeout_ms < 0 ? 2 : 1, timeout_ms);
  }

  void Serve() {
    while (!stopping_) {
      sockaddr_storage from{};
      socklen_t size = sizeof(from);
      FileDescriptor connection(accept4(listener_.get(), reinterpret_cast<sockaddr*>(&from), &size,
                                        SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (connection.valid()) {
        Admit(std::move(connection), StrangerOf(from));
      } else if (errno == EAGAIN) {
        Wait(-1);
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        const int why = errno;
        ++lacked_;
        Warn(absl::StrCat("no connection can be taken: ", std::strerror(why)));
        Wait(kPauseMs);
      }
      // All else is about one connection that has gone again.
    }
  }

  void Admit(FileDescriptor connection, const std::string& stranger) {
    if (seats_.IsFull(stranger) && clock_.Monotonic() - swept_ >= kSweepPause) {
      seats_.Sweep();
      swept_ = clock_.Monotonic();
    }
    if (!seats_.Take(connection.get(), stranger)) {
      ++refused_;
      Warn(absl::StrCat("connections are turned away, ", seats_.taken(),
                        " are open here; so far: ", refused_.load()));
      return;
    }
    Acceptor::NewConnectionParameters parameters;
    parameters.listener_fd = listener_.get();
    parameters.fd = connection.Release();
    acceptor_->HandleNewConnection(&parameters);
  }

  void Warn(const std::string& what) {
    if (clock_.Monotonic() - warned_ < kWarnPause) return;
    warned_ = clock_.Monotonic();
    log_.Warning(what);
  }

  FileDescriptor listener_;
  const FileDescriptor wake_;
  const int port_;
  const std::unique_ptr<Acceptor> acceptor_;
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> refused_{0};
  std::atomic<int64_t> lacked_{0};
  // Of the thread alone.
  DoorSeats seats_;
  absl::Duration swept_ = -absl::InfiniteDuration();
  absl::Duration warned_ = -absl::InfiniteDuration();
  const SystemClock clock_;
  const Log log_;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Doorman>> Doorman::Open(
    grpc::ServerBuilder& builder, const std::string& address,
    std::shared_ptr<grpc::ServerCredentials> credentials, Options options) {
  MTP_ASSIGN_OR_RETURN(FileDescriptor listener, Listen(address));
  auto acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      std::move(credentials));
  return std::make_unique<ListeningDoorman>(std::move(listener), std::move(acceptor),
                                            MaxConnections(options.max_connections),
                                            std::move(options.log));
}

absl::Status CanListen(const std::string& address) { return Listen(address).status(); }

}  // namespace mtp::tls
