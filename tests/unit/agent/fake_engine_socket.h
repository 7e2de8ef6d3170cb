// A unix socket that answers each connection with bytes of the test's choice; stands in for the
// engine.
#pragma once

#include <sys/un.h>

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/file_descriptor.h"

namespace mtp::testing {

sockaddr_un UnixAddress(const std::string& path);

FileDescriptor ConnectUnix(const std::string& path);

// Writes as much as the peer takes.
bool SendAll(int fd, std::string_view bytes);

// Reads until the peer closes, or until `end` is there.
std::string ReadUntil(int fd, const std::string& end = "");

std::string HttpAnswer(int status, const std::string& body,
                       const std::string& type = "application/json");

class FakeEngineSocket {
 public:
  // Gets the request's head and the connection; returns what to send before closing.
  using Handler = std::function<std::string(const std::string& head, int connection)>;

  FakeEngineSocket(const std::string& path, Handler handler);
  ~FakeEngineSocket();

  // First lines of the requests so far, `GET /info HTTP/1.1`.
  std::vector<std::string> requests();

 private:
  void Run();
  void Serve(FileDescriptor connection);

  const Handler handler_;
  const FileDescriptor listener_;
  const FileDescriptor stop_;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::vector<std::thread> connections_;
  std::thread thread_;
};

}  // namespace mtp::testing
