#include "common/tls/callback_threads.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>

#include <memory>

namespace mtp::tls {
namespace {

// A call that is never started, and so a channel that never connects.
class Forever final : public grpc::ClientUnaryReactor {
 public:
  Forever()
      : channel_(grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials())),
        stub_(channel_) {
    stub_.PrepareUnaryCall(&context_, "/none/None", grpc::StubOptions(), &request_, &response_,
                           this);
  }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
};

}  // namespace

void KeepCallbackThreads() {
  static const Forever* const forever = new Forever;
  (void)forever;
}

}  // namespace mtp::tls
