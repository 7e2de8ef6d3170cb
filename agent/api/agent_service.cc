#include "agent/api/agent_service.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <atomic>

#include "agent/api/log_stream.h"
#include "agent/api/stream_writer.h"
#include "agent/api/watch_stream.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kMaxCommandWords = 128;
constexpr size_t kMaxCommandBytes = 64 * 1024;
constexpr absl::Duration kDefaultExecTimeout = absl::Minutes(10);
constexpr absl::Duration kMaxExecTimeout = absl::Hours(24);
constexpr absl::Duration kMaxGatewayTimeout = absl::Seconds(120);

// A stream that ends at once.
template <typename Message>
class EndedStream final : public grpc::ServerWriteReactor<Message> {
 public:
  explicit EndedStream(const grpc::Status& status) { this->Finish(status); }
  void OnDone() override { delete this; }
};

template <typename Message>
grpc::ServerWriteReactor<Message>* Refuse(const absl::Status& status) {
  return new EndedStream<Message>(ToGrpc(status));
}

// A unary call whose caller may go away while it is carried out.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  static std::shared_ptr<UnaryCall> New() {
    std::shared_ptr<UnaryCall> call(new UnaryCall());
    call->self_ = call;
    return call;
  }
  std::stop_token stop() const { return stop_.get_token(); }
  void OnCancel() override { stop_.request_stop(); }
  void OnDone() override { auto self = std::move(self_); }

 private:
  UnaryCall() = default;
  std::stop_source stop_;
  std::shared_ptr<UnaryCall> self_;
};

absl::Status CheckCommand(const v1::ExecTenantRequest& request) {
  size_t bytes = 0;
  for (const std::string& word : request.command()) bytes += word.size();
  if (request.command().empty()) return absl::InvalidArgumentError("the command is missing");
  if (request.command_size() > static_cast<int>(kMaxCommandWords) || bytes > kMaxCommandBytes) {
    return absl::InvalidArgumentError("the command is longer than 128 words or 64 KiB");
  }
  return absl::OkStatus();
}

absl::Duration ExecTimeout(const v1::ExecTenantRequest& request) {
  if (!request.has_timeout()) return kDefaultExecTimeout;
  const absl::Duration asked =
      absl::Seconds(request.timeout().seconds()) + absl::Nanoseconds(request.timeout().nanos());
  return std::clamp(asked, absl::Seconds(1), kMaxExecTimeout);
}

class AgentServiceImpl final : public v1::AgentService::CallbackService {
 public:
  explicit AgentServiceImpl(AgentServiceDeps deps) : deps_(std::move(deps)) {}

  grpc::ServerUnaryReactor* EnsureAction(grpc::CallbackServerContext* context,
                                         const v1::EnsureActionRequest* request,
                                         v1::Action* response) override {
    return Unary(context, response, [this, request] { return deps_.actions->Ensure(*request); });
  }

  grpc::ServerUnaryReactor* CancelAction(grpc::CallbackServerContext* context,
                                         const v1::CancelActionRequest* request,
                                         v1::Action* response) override {
    return Unary(context, response,
                 [this, request] { return deps_.actions->Cancel(request->key()); });
  }

  grpc::ServerWriteReactor<v1::AgentEvent>* WatchAgent(
      grpc::CallbackServerContext* context, const v1::WatchAgentRequest* request) override {
    absl::Status allowed = deps_.authorize(*context);
    if (!allowed.ok()) return Refuse<v1::AgentEvent>(allowed);
    deps_.log.Info(
        absl::StrCat("controller ", OneLine(request->controller_instance(), 64), " watches"));
    std::function<v1::LeaseStamp()> stamp;
    if (deps_.lease != nullptr) stamp = [this] { return deps_.lease->Stamp(); };
    return NewWatchStream(deps_.board, deps_.calls, std::move(stamp));
  }

  grpc::ServerWriteReactor<v1::LogChunk>* StreamLogs(
      grpc::CallbackServerContext* context, const v1::StreamTenantLogsRequest* request) override {
    LogStreamRequest stream;
    stream.options = *request;
    absl::Status ready = Prepare(*context, request->name(), &stream.target, &stream.secrets);
    if (!ready.ok()) return Refuse<v1::LogChunk>(ready);
    return Stream<v1::LogChunk>([this, stream](StreamWriter<v1::LogChunk>& writer) {
      const std::string name = stream.options.name();
      return mtp::StreamLogs(
          *deps_.engine, *deps_.clock, stream,
          [&writer](v1::LogChunk chunk) { return writer.Write(std::move(chunk)); },
          [this, name] { return deps_.targets->Find(name).ok(); }, writer.stop());
    });
  }

  grpc::ServerWriteReactor<v1::ExecOutput>* Exec(grpc::CallbackServerContext* context,
                                                 const v1::ExecTenantRequest* request) override {
    Target target;
    absl::Status ready = Prepare(*context, request->name(), &target, nullptr);
    if (ready.ok()) ready = CheckCommand(*request);
    if (!ready.ok()) return Refuse<v1::ExecOutput>(ready);
    const std::vector<std::string> command(request->command().begin(), request->command().end());
    return Stream<v1::ExecOutput>([this, target, command, timeout = ExecTimeout(*request)](
                                      StreamWriter<v1::ExecOutput>& writer) {
      return RunCommand(target, command, timeout, writer);
    });
  }

  grpc::ServerUnaryReactor* CallGateway(grpc::CallbackServerContext* context,
                                        const v1::CallTenantGatewayRequest* request,
                                        v1::CallTenantGatewayResponse* response) override {
    auto call = UnaryCall::New();
    Target target;
    v1::TenantSecrets secrets;
    absl::Status ready = Prepare(*context, request->name(), &target, &secrets);
    if (ready.ok()) ready = TakePlace();
    if (!ready.ok()) {
      call->Finish(ToGrpc(ready));
      return call.get();
    }
    const absl::Duration timeout =
        std::min(kMaxGatewayTimeout, absl::FromChrono(context->deadline()) - absl::Now());
    deps_.blocking->Post(
        [this, call, target, request, response, timeout, token = secrets.gateway_token()] {
          auto payload = AskGateway(target, SecretString(token), *request, timeout, call->stop());
          const grpc::Status status = ToGrpc(payload.status());
          if (payload.ok()) response->set_payload_json(*std::move(payload));
          LeavePlace();
          call->Finish(status);
        });
    return call.get();
  }

  grpc::ServerWriteReactor<v1::ExportChunk>* ExportBackup(
      grpc::CallbackServerContext* context,
      const v1::ExportFromRepositoryRequest* request) override {
    absl::Status allowed = deps_.authorize(*context);
    if (!allowed.ok()) return Refuse<v1::ExportChunk>(allowed);
    return Stream<v1::ExportChunk>(
        [this, context, request = *request](StreamWriter<v1::ExportChunk>& writer) {
          const auto send = [&](v1::ExportChunk chunk) {
            if (writer.Write(std::move(chunk), deps_.export_patience)) return true;
            context->TryCancel();
            return false;
          };
          return deps_.exporter->Export(request, send, writer.stop());
        });
  }

  grpc::ServerUnaryReactor* ReplaceTrust(grpc::CallbackServerContext* context,
                                         const v1::ReplaceTrustRequest* request,
                                         v1::HostTrust* response) override {
    return Unary(context, response, [this, request] { return deps_.trust->Replace(*request); });
  }

  grpc::ServerUnaryReactor* GrantLease(grpc::CallbackServerContext* context,
                                       const v1::GrantLeaseRequest* request,
                                       v1::GrantLeaseResponse* response) override {
    return Unary(context, response, [this, request]() -> absl::StatusOr<v1::GrantLeaseResponse> {
      if (deps_.lease == nullptr) {
        return absl::FailedPreconditionError("this agent keeps no lease");
      }
      MTP_RETURN_IF_ERROR(deps_.lease->Grant(*request));
      return v1::GrantLeaseResponse();
    });
  }

  grpc::ServerUnaryReactor* StoreState(grpc::CallbackServerContext* context,
                                       const v1::StoreStateRequest* request,
                                       v1::StoreStateResponse* response) override {
    auto call = UnaryCall::New();
    absl::Status ready = deps_.authorize(*context);
    if (ready.ok()) ready = TakePlace();
    if (!ready.ok()) {
      call->Finish(ToGrpc(ready));
      return call.get();
    }
    deps_.blocking->Post([this, call, request, response] {
      auto stored = deps_.state_store->Store(*request, call->stop());
      const grpc::Status status = ToGrpc(stored.status());
      if (stored.ok()) *response = *std::move(stored);
      LeavePlace();
      call->Finish(status);
    });
    return call.get();
  }

 private:
  // Authorises, then carries `work` out off gRPC's threads.
  template <typename Response, typename Work>
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, Response* response,
                                  Work work) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    absl::Status allowed = deps_.authorize(*context);
    if (!allowed.ok()) {
      reactor->Finish(ToGrpc(allowed));
      return reactor;
    }
    deps_.calls->Post([reactor, response, work] {
      auto answer = work();
      const grpc::Status status = ToGrpc(answer.status());
      if (answer.ok()) *response = *std::move(answer);
      reactor->Finish(status);
    });
    return reactor;
  }

  // Authorises and finds the target; `secrets` may be null.
  absl::Status Prepare(const grpc::ServerContextBase& context, const std::string& name,
                       Target* target, v1::TenantSecrets* secrets) {
    MTP_RETURN_IF_ERROR(deps_.authorize(context));
    MTP_ASSIGN_OR_RETURN(*target, deps_.targets->Find(name));
    if (secrets == nullptr) return absl::OkStatus();
    MTP_ASSIGN_OR_RETURN(*secrets, deps_.targets->Secrets(*target));
    return absl::OkStatus();
  }

  template <typename Message, typename Produce>
  grpc::ServerWriteReactor<Message>* Stream(Produce produce) {
    absl::Status place = TakePlace();
    if (!place.ok()) return Refuse<Message>(place);
    auto writer = StreamWriter<Message>::New();
    deps_.blocking->Post([this, writer, produce] {
      const absl::Status end = produce(*writer);
      LeavePlace();
      writer->End(ToGrpc(end));
    });
    return writer.get();
  }

  absl::Status TakePlace() {
    if (places_taken_.fetch_add(1) < deps_.max_blocking) return absl::OkStatus();
    places_taken_.fetch_sub(1);
    return absl::ResourceExhaustedError(
        absl::StrCat("this host serves ", deps_.max_blocking,
                     " log streams, commands and gateway calls already; end one and try again"));
  }
  void LeavePlace() { places_taken_.fetch_sub(1); }

  absl::Status RunCommand(const Target& target, const std::vector<std::string>& command,
                          absl::Duration timeout, StreamWriter<v1::ExecOutput>& writer) {
    auto exit_code = deps_.engine->Exec(
        target.container, command, timeout,
        [&writer](OutputStream stream, std::string_view bytes) {
          v1::ExecOutput output;
          output.set_data(bytes.data(), bytes.size());
          output.set_stderr(stream == OutputStream::kStderr);
          return writer.Write(std::move(output));
        },
        writer.stop());
    if (!exit_code.ok()) return exit_code.status();
    v1::ExecOutput last;
    last.set_finished(true);
    last.set_exit_code(*exit_code);
    writer.Write(std::move(last));
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> AskGateway(const Target& target, const SecretString& token,
                                         const v1::CallTenantGatewayRequest& request,
                                         absl::Duration timeout, std::stop_token stop) {
    MTP_ASSIGN_OR_RETURN(const auto details, deps_.engine->InspectContainer(target.container));
    if (!details.HasProcesses()) {
      return absl::FailedPreconditionError(
          absl::StrCat(target.name, " does not run; start it first"));
    }
    return deps_.openclaw->Call({details.id, details.pid}, token, request.method(),
                                request.params_json(), timeout, stop);
  }

  const AgentServiceDeps deps_;
  std::atomic<int> places_taken_{0};
};

}  // namespace

std::unique_ptr<grpc::Service> NewAgentService(AgentServiceDeps deps) {
  return std::make_unique<AgentServiceImpl>(std::move(deps));
}

}  // namespace mtp
