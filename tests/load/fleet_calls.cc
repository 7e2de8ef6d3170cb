#include "tests/load/fleet_calls.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/base/status.h"
#include "common/tls/credentials.h"
#include "mtp/v1/operation.grpc.pb.h"

namespace mtp::load {
namespace {

constexpr absl::Duration kEnd = absl::Minutes(5);

double At(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(share * sorted.size()))];
}

}  // namespace

std::shared_ptr<grpc::Channel> Connect(const Target& target) {
  // The fleet's name is in none of the names that are compared.
  grpc::ChannelArguments arguments =
      tls::PeerArguments(tls::Identity{tls::Identity::Kind::kController, "", ""});
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(target.controller, tls::MutualTlsClient(target.identity),
                                   arguments);
}

void Figures::Add(const std::string& what, absl::Duration took, const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  Row& row = rows_[what];
  row.took_ms.push_back(absl::ToDoubleMilliseconds(took));
  if (status.ok()) return;
  ++row.failed;
  row.error = std::string(status.message());
}

bool Figures::AllWell() const {
  absl::MutexLock lock(&mutex_);
  return std::all_of(rows_.begin(), rows_.end(),
                     [](const auto& row) { return row.second.failed == 0; });
}

std::string Figures::Json() const {
  absl::MutexLock lock(&mutex_);
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [what, row] : rows_) {
    std::vector<double> sorted = row.took_ms;
    std::sort(sorted.begin(), sorted.end());
    all[what] = {{"calls", sorted.size()},    {"failed", row.failed},
                 {"p50_ms", At(sorted, 0.5)}, {"p99_ms", At(sorted, 0.99)},
                 {"max_ms", At(sorted, 1.0)}, {"error", row.error}};
  }
  return all.dump();
}

absl::Status WaitForEnd(const std::shared_ptr<grpc::Channel>& channel,
                        const v1::Operation& operation) {
  const auto stub = v1::OperationService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kEnd));
  v1::WatchOperationRequest request;
  request.set_name(operation.name());
  const auto reader = stub->WatchOperation(&context, request);
  v1::Operation latest;
  v1::Operation read;
  while (reader->Read(&read)) latest = read;
  MTP_RETURN_IF_ERROR(Annotate(FromGrpc(reader->Finish()), operation.name()));
  if (latest.state() == v1::OPERATION_STATE_SUCCEEDED) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(operation.kind(), " of ", operation.target(), ": ",
                                          v1::OperationState_Name(latest.state()), ": ",
                                          latest.error().message()));
}

void InParallel(const Target& target, int parallel,
                const std::function<void(int, const std::shared_ptr<grpc::Channel>&)>& work) {
  std::vector<std::thread> threads;
  threads.reserve(parallel);
  for (int caller = 0; caller < parallel; ++caller) {
    threads.emplace_back([&target, &work, caller] { work(caller, Connect(target)); });
  }
  for (std::thread& thread : threads) thread.join();
}

std::string TenantOf(int number) { return absl::StrFormat("t%04d", number); }

}  // namespace mtp::load
