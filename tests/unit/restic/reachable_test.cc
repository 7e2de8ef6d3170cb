#include "common/restic/reachable.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "common/base/file_descriptor.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

// Bound to a free port of loopback; listens when asked to.
class LoopbackPort {
 public:
  LoopbackPort() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  void Listen() { EXPECT_EQ(listen(socket_.get(), 1), 0); }
  int port() const { return port_; }

 private:
  FileDescriptor socket_;
  int port_ = 0;
};

TEST(ReachableTest, TellsAServerThatListensFromOneThatDoesNot) {
  LoopbackPort port;
  const absl::Status refused = CheckReachable("127.0.0.1", port.port(), absl::Seconds(5));
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(refused.message(), HasSubstr("does not answer"));
  port.Listen();
  EXPECT_TRUE(CheckReachable("127.0.0.1", port.port(), absl::Seconds(5)).ok());
}

TEST(ReachableTest, SaysWhenTheNameIsNotKnown) {
  const absl::Status unknown = CheckReachable("no..such..name", 443, absl::Seconds(5));
  EXPECT_EQ(unknown.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(unknown.message(), HasSubstr("is not known"));
}

}  // namespace
}  // namespace mtp
