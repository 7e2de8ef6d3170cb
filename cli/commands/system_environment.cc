#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <netdb.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>

#include "cli/commands/environment.h"
#include "common/base/atomic_file.h"
#include "common/base/file_descriptor.h"
#include "common/tls/credentials.h"

namespace mtp::cli {
namespace {

constexpr size_t kMaxLine = 8192;

// Of the terminal that is there; a pipe is as wide as COLUMNS says, or 120.
int TerminalSize(unsigned short winsize::*dimension, const char* variable, int fallback) {
  winsize size = {};
  for (int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.*dimension > 0) {
      return size.*dimension;
    }
  }
  int told = 0;
  const char* text = std::getenv(variable);
  return text != nullptr && absl::SimpleAtoi(text, &told) && told > 0 ? told : fallback;
}

absl::StatusOr<SecretString> ReadInput(size_t max_bytes) {
  std::string content;
  char buffer[4096];
  while (true) {
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "standard input");
    if (got == 0) break;
    content.append(buffer, static_cast<size_t>(got));
    if (content.size() > max_bytes) {
      WipeString(&content);
      return absl::ResourceExhaustedError(
          absl::StrCat("standard input has more than ", max_bytes, " bytes"));
    }
  }
  explicit_bzero(buffer, sizeof buffer);
  return SecretString(std::move(content));
}

// Turns the terminal's echo off while it lives.
class HiddenInput {
 public:
  explicit HiddenInput(bool hidden) : changed_(hidden && tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!changed_) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
  }
  ~HiddenInput() {
    if (!changed_) return;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    std::cerr << std::endl;
  }
  HiddenInput(const HiddenInput&) = delete;
  HiddenInput& operator=(const HiddenInput&) = delete;

 private:
  termios before_ = {};
  const bool changed_;
};

absl::StatusOr<SecretString> Ask(absl::string_view prompt, bool hidden) {
  std::cerr << prompt << std::flush;
  const HiddenInput input(hidden);
  std::string line;
  char c = 0;
  while (true) {
    const ssize_t got = read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return absl::CancelledError("the input ended");
    if (c == '\n') return SecretString(std::move(line));
    if (line.size() == kMaxLine) return absl::InvalidArgumentError("the line is too long");
    line += c;
  }
}

bool Listens(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return false;
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo wanted = {};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &wanted, &found) != 0) {
    return false;
  }
  constexpr int kPatienceMs = 1000;
  bool listens = false;
  for (const addrinfo* each = found; each != nullptr && !listens; each = each->ai_next) {
    const FileDescriptor fd(socket(each->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) continue;
    if (connect(fd.get(), each->ai_addr, each->ai_addrlen) == 0) {
      listens = true;
    } else if (errno == EINPROGRESS) {
      pollfd wait = {.fd = fd.get(), .events = POLLOUT, .revents = 0};
      int error = 0;
      socklen_t size = sizeof error;
      listens = poll(&wait, 1, kPatienceMs) == 1 &&
                getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
    }
  }
  freeaddrinfo(found);
  return listens;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const Endpoint& endpoint) {
  const tls::IdentityFolder files(endpoint.identity_folder);
  for (const std::string& file : {files.key, files.certificate, files.authority}) {
    if (access(file.c_str(), R_OK) != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the identity file ", file, " cannot be read: ", ErrnoStatus(errno, "open").message()));
    }
  }
  grpc::ChannelArguments arguments = tls::PeerArguments({.kind = tls::Identity::Kind::kController});
  return grpc::CreateCustomChannel(endpoint.controller,
                                   tls::MutualTlsClient(endpoint.identity_folder), arguments);
}

}  // namespace

Environment SystemEnvironment(const Clock& clock, Random& random) {
  return {
      .out = std::cout,
      .err = std::cerr,
      .in_is_terminal = isatty(STDIN_FILENO) != 0,
      .out_is_terminal = isatty(STDOUT_FILENO) != 0,
      .err_is_terminal = isatty(STDERR_FILENO) != 0,
      .columns = [] { return TerminalSize(&winsize::ws_col, "COLUMNS", 120); },
      .rows = [] { return TerminalSize(&winsize::ws_row, "LINES", 50); },
      .variable = [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        if (value == nullptr || *value == '\0') return std::nullopt;
        return value;
      },
      .read_input = ReadInput,
      .ask = Ask,
      .connect = Connect,
      .listens = Listens,
      .sleep = [](absl::Duration duration) { absl::SleepFor(duration); },
      .clock = clock,
      .random = random,
  };
}

}  // namespace mtp::cli
