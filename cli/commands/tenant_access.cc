#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>

#include "cli/commands/arguments.h"
#include "cli/commands/call.h"
#include "cli/commands/command.h"
#include "cli/commands/log_text.h"
#include "cli/output/failure.h"
#include "mtp/v1/tenant.grpc.pb.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

// A tenant by name, or a host's admin instance.
struct TargetOptions {
  std::string name;
};

void AddTarget(CLI::App* command, TargetOptions* options) {
  command->add_option("NAME", options->name, "Tenant, or admins/HOST for a host's admin instance")
      ->required();
}

// --- logs

struct LogsOptions : TargetOptions {
  bool follow = false;
  bool timestamps = false;
  std::string since;
  int tail = -1;
};

constexpr int kFollowTail = 100;  // lines to begin with when following and nothing is said

absl::StatusOr<v1::StreamTenantLogsRequest> LogsRequest(const LogsOptions& options) {
  v1::StreamTenantLogsRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseTarget(options.name));
  request.set_follow(options.follow);
  request.set_timestamps(options.timestamps);
  if (!options.since.empty()) {
    MTP_ASSIGN_OR_RETURN(const absl::Duration since, ParseWait(options.since, "--since"));
    request.mutable_since()->set_seconds(absl::ToInt64Seconds(since));
  }
  if (options.tail >= 0) {
    request.set_tail(options.tail == 0 ? -1 : options.tail);
  } else if (options.follow && options.since.empty()) {
    request.set_tail(kFollowTail);
  }
  return request;
}

absl::StatusOr<int> Logs(Invocation& invocation, const LogsOptions& options) {
  MTP_ASSIGN_OR_RETURN(v1::StreamTenantLogsRequest request, LogsRequest(options));
  MTP_ASSIGN_OR_RETURN(auto channel, invocation.Connected());
  v1::TenantService::Stub stub(channel);
  Environment& environment = invocation.environment;
  LogText text(invocation.colour());
  const auto print = [&](const std::string& safe, const std::string& raw) {
    environment.out << (environment.out_is_terminal ? safe : raw) << std::flush;
  };
  bool begun = false;
  absl::Duration last = environment.clock.Monotonic();  // when something came
  for (int lost = 1;; ++lost) {
    grpc::ClientContext context;
    auto reader = stub.StreamTenantLogs(&context, request);
    v1::LogChunk chunk;
    while (environment.out.good() && reader->Read(&chunk)) {
      begun = true;
      lost = 0;
      last = environment.clock.Monotonic();
      print(text.Next(chunk.data()), chunk.data());
    }
    if (!environment.out.good()) {
      context.TryCancel();
      reader->Finish();
      return 0;
    }
    const grpc::Status status = reader->Finish();
    print(text.Rest(), "");
    if (status.ok()) return 0;
    const bool again = status.error_code() == grpc::StatusCode::UNAVAILABLE &&
                       (begun ? options.follow && lost < 60 : lost < kCallTries);
    if (!again) return CallStatus(invocation, status, kCallTimeout);
    if (begun) {
      if (lost == 0) invocation.Warn("the connection is lost, trying again");
      // Rather a line twice than one missing.
      request.set_tail(0);
      request.mutable_since()->set_seconds(
          absl::ToInt64Seconds(environment.clock.Monotonic() - last) + 2);
    }
    PauseBeforeTry(invocation, RetryPause(std::clamp(lost, 1, 3)));
  }
}

// --- exec

struct ExecOptions : TargetOptions {
  std::string timeout = "10m";
};

absl::StatusOr<int> Exec(Invocation& invocation, const ExecOptions& options) {
  v1::ExecTenantRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseTarget(options.name));
  MTP_ASSIGN_OR_RETURN(const absl::Duration timeout, ParseWait(options.timeout, "--timeout"));
  if (invocation.trailing.empty()) {
    return WithHint(absl::InvalidArgumentError("no command was given"),
                    absl::StrCat("mtp-cli exec ", options.name, " -- ls -l"));
  }
  for (const std::string& word : invocation.trailing) request.add_command(word);
  request.mutable_timeout()->set_seconds(std::max<int64_t>(1, absl::ToInt64Seconds(timeout)));

  // Never repeated: a command may have done something before the connection broke.
  MTP_ASSIGN_OR_RETURN(auto channel, invocation.Connected());
  v1::TenantService::Stub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout + kCallTimeout));
  auto reader = stub.ExecTenant(&context, request);
  Environment& environment = invocation.environment;
  LogText out_text(invocation.colour());
  LogText err_text(invocation.err_colour());
  v1::ExecOutput output;
  bool finished = false;
  int exit_code = 0;
  while (reader->Read(&output)) {
    if (output.stderr()) {
      environment.err << (environment.err_is_terminal ? err_text.Next(output.data())
                                                      : output.data())
                      << std::flush;
    } else {
      environment.out << (environment.out_is_terminal ? out_text.Next(output.data())
                                                      : output.data())
                      << std::flush;
    }
    if (output.finished()) {
      finished = true;
      exit_code = output.exit_code();
    }
  }
  if (environment.out_is_terminal) environment.out << out_text.Rest() << std::flush;
  if (environment.err_is_terminal) environment.err << err_text.Rest() << std::flush;
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return CallStatus(invocation, status, timeout);
  if (!finished) return absl::InternalError("the command's end was not reported");
  return exit_code;
}

// --- rpc

struct RpcOptions : TargetOptions {
  std::string method;
  std::string parameters;
};

absl::StatusOr<int> Rpc(Invocation& invocation, const RpcOptions& options) {
  v1::CallTenantGatewayRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_name(), ParseTarget(options.name));
  request.set_method(options.method);
  if (!options.parameters.empty()) {
    const Json parameters = Json::parse(options.parameters, nullptr, /*allow_exceptions=*/false);
    if (!parameters.is_object()) {
      return WithHint(absl::InvalidArgumentError("the parameters are not a JSON object"),
                      R"(for example: mtp-cli rpc acme agent.identity.get '{"agentId":"main"}')");
    }
    request.set_params_json(options.parameters);
  }
  // Not repeated: what a method does is the gateway's own matter.
  MTP_ASSIGN_OR_RETURN(auto channel, invocation.Connected());
  v1::TenantService::Stub stub(channel);
  grpc::ClientContext context;
  constexpr absl::Duration kTimeout = absl::Minutes(5);
  context.set_deadline(absl::ToChronoTime(absl::Now() + kTimeout));
  v1::CallTenantGatewayResponse response;
  const grpc::Status status = stub.CallTenantGateway(&context, request, &response);
  if (!status.ok()) return CallStatus(invocation, status, kTimeout);
  const Json payload = Json::parse(response.payload_json(), nullptr, /*allow_exceptions=*/false);
  if (payload.is_discarded()) return absl::InternalError("the gateway's answer is not JSON");
  if (invocation.format == Format::kTable) invocation.format = Format::kJson;
  invocation.Print(payload, [] { return std::string(); });
  return 0;
}

}  // namespace

void AddTenantAccess(CLI::App& root, Chosen& chosen) {
  auto [logs, logs_options] =
      AddCommand<LogsOptions>(root, chosen, "logs", "Show a container's log", Logs);
  AddTarget(logs, logs_options.get());
  logs->add_flag("-f,--follow", logs_options->follow, "Go on as new lines come, across restarts");
  logs->add_option("--since", logs_options->since, "Only lines of the last 10m, 2h …")
      ->type_name("TIME");
  logs->add_option("--tail", logs_options->tail,
                   "Lines from the end to begin with; all when not given, the last 100 with -f")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  logs->add_flag("-t,--timestamps", logs_options->timestamps,
                 "Put the engine's time before each line");

  auto [exec, exec_options] = AddCommand<ExecOptions>(
      root, chosen, "exec",
      "Run a command in a container: exec NAME -- COMMAND…; its exit code is exec's", Exec);
  AddTarget(exec, exec_options.get());
  exec->add_option("--timeout", exec_options->timeout, "Ends the command after this long")
      ->type_name("TIME")
      ->capture_default_str();

  auto [rpc, rpc_options] = AddCommand<RpcOptions>(
      root, chosen, "rpc", "Call a method of a tenant's gateway: rpc NAME health", Rpc);
  AddTarget(rpc, rpc_options.get());
  rpc->add_option("METHOD", rpc_options->method, "Method of the gateway")->required();
  rpc->add_option("JSON", rpc_options->parameters, "Parameters, a JSON object");
}

}  // namespace mtp::cli
