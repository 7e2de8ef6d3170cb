#include "common/tls/doorman.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>
#include <vector>

#include "common/base/descriptor_limit.h"
#include "common/base/file_descriptor.h"
#include "common/tls/credentials.h"
#include "common/tls/door_seats.h"
#include "common/tls/peer.h"
#include "mtp/v1/operation.grpc.pb.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/tls/fleet_keys.h"

namespace mtp::tls {
namespace {

constexpr auto kDeadline = std::chrono::seconds(20);

// Answers with who calls, and from where.
class WhoAmI final : public v1::OperationService::Service {
 public:
  grpc::Status GetOperation(grpc::ServerContext* context, const v1::GetOperationRequest*,
                            v1::Operation* operation) override {
    operation->set_name(ReadPeer(*context->auth_context()).identity.ToString());
    operation->set_kind(PeerAddress(context->peer()));
    return grpc::Status::OK;
  }
};

class DoormanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    PrepareTls();
    authority_.Equip(folder_ / "server", kController);
    authority_.Equip(folder_ / "client", kOperator);
  }
  void TearDown() override {
    if (door_) door_->Stop();
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
  }

  void Serve(const std::string& address, int max_connections) {
    grpc::ServerBuilder builder;
    SetServerDefaults(builder);
    Doorman::Options options;
    options.max_connections = max_connections;
    auto door = Doorman::Open(builder, address, MutualTlsServer(folder_ / "server"), options);
    ASSERT_TRUE(door.ok()) << door.status();
    door_ = *std::move(door);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    door_->Start();
  }

  // One call over a connection of its own.
  absl::StatusOr<v1::Operation> Call(const std::string& host = "127.0.0.1") {
    grpc::ChannelArguments arguments = PeerArguments(kController);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto stub = v1::OperationService::NewStub(grpc::CreateCustomChannel(
        absl::StrCat(host, ":", door_->port()), MutualTlsClient(folder_ / "client"), arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    context.set_wait_for_ready(true);
    v1::Operation answer;
    const grpc::Status status = stub->GetOperation(&context, {}, &answer);
    if (!status.ok()) return absl::UnavailableError(status.error_message());
    return answer;
  }

  // A connection that says nothing, from 127.0.0.`last`.
  FileDescriptor Silent(int last) const {
    FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl((127U << 24) + static_cast<unsigned>(last));
    EXPECT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&own), sizeof(own)), 0);
    sockaddr_in door = own;
    door.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    door.sin_port = htons(static_cast<uint16_t>(door_->port()));
    EXPECT_EQ(connect(socket.get(), reinterpret_cast<sockaddr*>(&door), sizeof(door)), 0);
    return socket;
  }
  // Waits until the server has closed it.
  static bool IsTurnedAway(const FileDescriptor& connection) {
    const timeval timeout{20, 0};
    setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    char byte = 0;
    return recv(connection.get(), &byte, 1, 0) == 0;
  }

  testing::TempFolder folder_;
  TestAuthority authority_;
  WhoAmI service_;
  std::unique_ptr<Doorman> door_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(DoormanTest, CallersGetThroughWithTheirIdentityAndAddress) {
  Serve("127.0.0.1:0", 64);
  const auto answer = Call();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->name(), "operator/alice");
  EXPECT_EQ(answer->kind(), "127.0.0.1");
  EXPECT_EQ(door_->refused(), 0);
}

TEST_F(DoormanTest, EveryAddressMeansThoseOfBothFamilies) {
  Serve("0.0.0.0:0", 64);
  const auto answer = Call();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->kind(), "127.0.0.1");
}

TEST_F(DoormanTest, OneStrangerLeavesRoomForOthers) {
  Serve("127.0.0.1:0", 8);
  std::vector<FileDescriptor> silent;
  for (int i = 0; i < 4; ++i) silent.push_back(Silent(2));
  EXPECT_TRUE(IsTurnedAway(Silent(2)));
  EXPECT_EQ(door_->refused(), 1);
  EXPECT_TRUE(Call().ok());
}

TEST_F(DoormanTest, WhoGoesMakesRoom) {
  Serve("127.0.0.1:0", 8);
  for (int round = 0; round < 20; ++round) {
    std::vector<FileDescriptor> silent;
    for (int i = 0; i < 4; ++i) silent.push_back(Silent(2));
  }
  // From the same address: taken as soon as those before have been closed by the server, too.
  EXPECT_TRUE(Call().ok());
}

TEST_F(DoormanTest, ALackOfDescriptorsPasses) {
  Serve("127.0.0.1:0", 64);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  // The client's end is made while there are some; the server's cannot be taken.
  FileDescriptor waiting(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit none = before;
  none.rlim_cur = 3;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  sockaddr_in door{};
  door.sin_family = AF_INET;
  door.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  door.sin_port = htons(static_cast<uint16_t>(door_->port()));
  EXPECT_EQ(connect(waiting.get(), reinterpret_cast<sockaddr*>(&door), sizeof(door)), 0);
  const auto end = std::chrono::steady_clock::now() + kDeadline;
  while (door_->lacked() == 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_GT(door_->lacked(), 0);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  const auto answer = Call();
  EXPECT_TRUE(answer.ok()) << answer.status();
}

TEST_F(DoormanTest, AnAddressThatIsTakenIsRefusedWithASentence) {
  Serve("127.0.0.1:0", 8);
  grpc::ServerBuilder builder;
  const auto second = Doorman::Open(builder, absl::StrCat("127.0.0.1:", door_->port()),
                                    grpc::InsecureServerCredentials(), {});
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  EXPECT_EQ(CanListen(absl::StrCat("127.0.0.1:", door_->port())), second.status());
  EXPECT_TRUE(CanListen("127.0.0.1:0").ok());
  for (const char* wrong : {"", "7443", ":7443", "127.0.0.1:x", "[::1:7443", "127.0.0.1:70000"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        Doorman::Open(builder, wrong, grpc::InsecureServerCredentials(), {}).status()))
        << wrong;
  }
}

FileDescriptor NewSocket() { return FileDescriptor(::socket(AF_INET, SOCK_STREAM, 0)); }

TEST(DoorSeats, AreBoundedInAllAndForEachStranger) {
  DoorSeats seats(3, 2);
  std::vector<FileDescriptor> open;
  const auto take = [&](const std::string& stranger) {
    open.push_back(NewSocket());
    return seats.Take(open.back().get(), stranger);
  };
  EXPECT_TRUE(take("a"));
  EXPECT_TRUE(take("a"));
  EXPECT_FALSE(take("a"));
  EXPECT_TRUE(take("b"));
  EXPECT_FALSE(take("c"));
}

TEST(DoorSeats, AreFreeOnceTheirConnectionIsClosedEvenWhenItsNumberIsUsedAgain) {
  DoorSeats seats(1, 1);
  FileDescriptor socket = NewSocket();
  const int number = socket.get();
  ASSERT_TRUE(seats.Take(number, "a"));
  seats.Sweep();
  EXPECT_FALSE(seats.Take(number, "a")) << "it is open";
  // Another socket, with the number of the first.
  FileDescriptor other = NewSocket();
  ASSERT_EQ(dup2(other.get(), number), number);
  seats.Sweep();
  EXPECT_EQ(seats.taken(), 0);
  EXPECT_TRUE(seats.Take(number, "a"));
  // A file that is no socket.
  FileDescriptor file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(dup2(file.get(), number), number);
  seats.Sweep();
  EXPECT_EQ(seats.taken(), 0);
}

sockaddr_storage Address(const char* text) {
  sockaddr_storage address{};
  auto* const six = reinterpret_cast<sockaddr_in6*>(&address);
  auto* const four = reinterpret_cast<sockaddr_in*>(&address);
  if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
    address.ss_family = AF_INET6;
  } else {
    address.ss_family = AF_INET;
    EXPECT_EQ(inet_pton(AF_INET, text, &four->sin_addr), 1);
  }
  return address;
}

TEST(DoorSeats, AStrangerIsAnAddressAndOfIpv6ANetwork) {
  const auto same = [](const char* a, const char* b) {
    return StrangerOf(Address(a)) == StrangerOf(Address(b));
  };
  EXPECT_TRUE(same("10.0.0.1", "::ffff:10.0.0.1"));
  EXPECT_FALSE(same("10.0.0.1", "10.0.0.2"));
  EXPECT_FALSE(same("::ffff:10.0.0.1", "::ffff:10.0.0.2"));
  EXPECT_TRUE(same("2001:db8:1:2::3", "2001:db8:1:2:ffff::4"));
  EXPECT_FALSE(same("2001:db8:1:2::3", "2001:db8:1:3::3"));
}

TEST(DescriptorLimit, IsRaisedAndNeverLowered) {
  const int before = DescriptorLimit();
  EXPECT_GE(RaiseDescriptorLimit(8), before);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit unchanged = limit;
  limit.rlim_cur = 256;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(RaiseDescriptorLimit(300), 300);
  EXPECT_EQ(RaiseDescriptorLimit(200), 300);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &unchanged), 0);
}

}  // namespace
}  // namespace mtp::tls
