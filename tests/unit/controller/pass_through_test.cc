#include "controller/api/pass_through.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "mtp/v1/agent.grpc.pb.h"
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp {
namespace {

constexpr int kMessages = 6;
// More than a stream's window, so that a reader that waits keeps the write before it waiting.
constexpr size_t kMessageBytes = 128 << 10;
constexpr auto kDeadline = std::chrono::seconds(20);

// Says its messages and ends the call without waiting for anybody.
class Agent final : public v1::AgentService::Service {
 public:
  grpc::Status StreamLogs(grpc::ServerContext*, const v1::StreamTenantLogsRequest* request,
                          grpc::ServerWriter<v1::LogChunk>* writer) override {
    for (int i = 0; i < kMessages; ++i) {
      v1::LogChunk chunk;
      chunk.set_data(std::string(request->name() == "large" ? kMessageBytes : 1, 'a' + i));
      writer->Write(chunk);
    }
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "the container is gone");
  }
};

class Controller final : public v1::TenantService::CallbackService {
 public:
  explicit Controller(std::shared_ptr<grpc::Channel> agent)
      : agent_(std::move(agent)), stub_(v1::AgentService::NewStub(agent_)) {}

  grpc::ServerWriteReactor<v1::LogChunk>* StreamTenantLogs(
      grpc::CallbackServerContext*, const v1::StreamTenantLogsRequest* request) override {
    return new PassThrough<v1::StreamTenantLogsRequest, v1::LogChunk>(
        agent_, nullptr, *request,
        [this](grpc::ClientContext* call, const v1::StreamTenantLogsRequest* r,
               grpc::ClientReadReactor<v1::LogChunk>* reactor) {
          stub_->async()->StreamLogs(call, r, reactor);
        });
  }

 private:
  const std::shared_ptr<grpc::Channel> agent_;
  const std::unique_ptr<v1::AgentService::Stub> stub_;
};

class PassThroughTest : public ::testing::Test {
 protected:
  PassThroughTest()
      : agent_server_(Serve(&agent_, &agent_port_)),
        controller_(ChannelTo(agent_port_)),
        controller_server_(Serve(&controller_, &controller_port_)),
        stub_(v1::TenantService::NewStub(ChannelTo(controller_port_))) {}

  static std::unique_ptr<grpc::Server> Serve(grpc::Service* service, int* port) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), port);
    builder.RegisterService(service);
    return builder.BuildAndStart();
  }
  static std::shared_ptr<grpc::Channel> ChannelTo(int port) {
    return grpc::CreateChannel(absl::StrCat("127.0.0.1:", port),
                               grpc::InsecureChannelCredentials());
  }
  static void Prepare(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + kDeadline);
  }

  int agent_port_ = 0;
  int controller_port_ = 0;
  Agent agent_;
  std::unique_ptr<grpc::Server> agent_server_;
  Controller controller_;
  std::unique_ptr<grpc::Server> controller_server_;
  std::unique_ptr<v1::TenantService::Stub> stub_;
};

// The agent's end of the call comes while its last message still waits for the reader.
TEST_F(PassThroughTest, PassesAllMessagesAndTheEndToASlowReader) {
  v1::StreamTenantLogsRequest request;
  request.set_name("large");
  for (int round = 0; round < 5; ++round) {
    grpc::ClientContext context;
    Prepare(&context);
    auto reader = stub_->StreamTenantLogs(&context, request);
    std::string firsts;
    v1::LogChunk chunk;
    do {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      if (!reader->Read(&chunk)) break;
      EXPECT_EQ(chunk.data().size(), kMessageBytes);
      firsts += chunk.data().substr(0, 1);
    } while (true);
    EXPECT_EQ(firsts, "abcdef");
    const grpc::Status status = reader->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(status.error_message(), "the container is gone");
  }
}

TEST_F(PassThroughTest, PassesAllMessagesAndTheEndOfManyShortCalls) {
  for (int round = 0; round < 300; ++round) {
    grpc::ClientContext context;
    Prepare(&context);
    auto reader = stub_->StreamTenantLogs(&context, {});
    std::string all;
    v1::LogChunk chunk;
    while (reader->Read(&chunk)) all += chunk.data();
    ASSERT_EQ(all, "abcdef");
    ASSERT_EQ(reader->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
  }
}

TEST_F(PassThroughTest, OutlivesAReaderThatGoesAway) {
  v1::StreamTenantLogsRequest request;
  request.set_name("large");
  for (int round = 0; round < 50; ++round) {
    grpc::ClientContext context;
    Prepare(&context);
    auto reader = stub_->StreamTenantLogs(&context, request);
    v1::LogChunk chunk;
    if (round % 2 == 0) {
      EXPECT_TRUE(reader->Read(&chunk));
    }
    context.TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
}

}  // namespace
}  // namespace mtp
