#include "tests/load/attacks.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "common/tls/credentials.h"
#include "common/tls/keys.h"
#include "mtp/v1/enrollment.grpc.pb.h"
#include "mtp/v1/fleet.grpc.pb.h"

namespace mtp::load {
namespace {

constexpr absl::Duration kCall = absl::Seconds(20);
constexpr int kStreamsPerConnection = 50;

// By name, for those that are expected; else the number.
std::string CodeName(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return "OK";
    case grpc::StatusCode::CANCELLED:
      return "CANCELLED";
    case grpc::StatusCode::INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case grpc::StatusCode::NOT_FOUND:
      return "NOT_FOUND";
    case grpc::StatusCode::PERMISSION_DENIED:
      return "PERMISSION_DENIED";
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case grpc::StatusCode::UNAVAILABLE:
      return "UNAVAILABLE";
    default:
      return absl::StrCat("code ", static_cast<int>(code));
  }
}

struct Stream {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::FleetStatus>> reader;
};

}  // namespace

std::string SlowReaders(const Target& target, int streams, absl::Duration hold) {
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  std::vector<std::unique_ptr<Stream>> open;
  for (int i = 0; i < streams; ++i) {
    if (i % kStreamsPerConnection == 0) channels.push_back(Connect(target));
    open.push_back(std::make_unique<Stream>());
    open.back()->context.set_wait_for_ready(true);
    open.back()->reader =
        v1::FleetService::NewStub(channels.back())->WatchFleetStatus(&open.back()->context, {});
  }
  absl::SleepFor(hold);
  int refused = 0;
  int held = 0;
  for (const auto& stream : open) {
    // One that was not refused has had a status waiting here, unless its connection was given up.
    v1::FleetStatus status;
    if (stream->reader->Read(&status)) {
      ++held;
      stream->context.TryCancel();
    }
    if (stream->reader->Finish().error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) ++refused;
  }
  return nlohmann::json({{"streams", streams}, {"refused", refused}, {"held", held}}).dump();
}

std::string Oversized(const Target& target) {
  const auto stub = v1::FleetService::NewStub(Connect(target));
  nlohmann::json codes = nlohmann::json::object();
  for (const size_t bytes : {size_t{1} << 10, size_t{1} << 20, size_t{3} << 20, size_t{64} << 20}) {
    v1::GetFleetStatusRequest request;
    request.set_tenant(std::string(bytes, 'x'));
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kCall));
    v1::FleetStatus answer;
    codes[absl::StrCat(bytes)] =
        CodeName(stub->GetFleetStatus(&context, request, &answer).error_code());
  }
  return codes.dump();
}

std::string JoinFlood(const std::string& enrollment, const std::string& authority_pem, int callers,
                      absl::Duration during) {
  const SecretString key = tls::NewPrivateKey().value();
  v1::JoinRequest request;
  request.set_token_id("01ARZ3NDEKTSV4RRFFQ69G5FAV");
  request.set_token_secret(std::string(64, 'a'));
  request.set_host_id("h99");
  request.set_agent_address("127.0.0.1:9");
  request.set_csr_pem(tls::NewRequest(key, "agent/h99").value());
  const absl::Time end = absl::Now() + during;
  absl::Mutex mutex;
  std::map<std::string, int> codes;
  int calls = 0;
  std::vector<std::thread> threads;
  threads.reserve(callers);
  for (int caller = 0; caller < callers; ++caller) {
    threads.emplace_back([&] {
      grpc::ChannelArguments arguments =
          tls::PeerArguments(tls::Identity{tls::Identity::Kind::kController, "", ""});
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      const auto stub = v1::EnrollmentService::NewStub(grpc::CreateCustomChannel(
          enrollment, tls::ServerOnlyTlsClient(authority_pem), arguments));
      while (absl::Now() < end) {
        grpc::ClientContext context;
        context.set_deadline(absl::ToChronoTime(absl::Now() + kCall));
        v1::JoinResponse response;
        const auto code = stub->Join(&context, request, &response).error_code();
        absl::MutexLock lock(&mutex);
        ++calls;
        ++codes[CodeName(code)];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return nlohmann::json({{"calls", calls}, {"codes", codes}}).dump();
}

}  // namespace mtp::load
