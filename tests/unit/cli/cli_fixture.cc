#include "tests/unit/cli/cli_fixture.h"

#include <grpcpp/grpcpp.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/commands/run.h"

namespace mtp::cli {

CliTest::CliTest()
    : environment_{
          .out = out_,
          .err = err_,
          .columns = [this] { return columns_; },
          .rows = [] { return 40; },
          .variable = [this](const std::string& name) -> std::optional<std::string> {
            const auto found = variables_.find(name);
            if (found == variables_.end()) return std::nullopt;
            return found->second;
          },
          .read_input = [this](size_t) -> absl::StatusOr<SecretString> {
            return SecretString(input_);
          },
          .ask = [this](absl::string_view prompt, bool hidden) -> absl::StatusOr<SecretString> {
            prompts_.emplace_back(prompt);
            hidden_ = hidden;
            return SecretString(answer_);
          },
          .connect =
              [this](const Endpoint& endpoint) -> absl::StatusOr<std::shared_ptr<grpc::Channel>> {
            endpoint_ = endpoint;
            return NewChannel();
          },
          .listens = [this](const std::string&) { return listens_; },
          .sleep = [this](absl::Duration) { ++sleeps_; },
          .clock = clock_,
          .random = random_} {
  address_ = controller_.address();
  variables_ = {{"HOME", folder_.path()}};
}

CliTest::~CliTest() = default;

int CliTest::Run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--controller", "fake:1", "--identity", "/none"});
  return RunBare(arguments);
}

int CliTest::RunBare(const std::vector<std::string>& arguments) {
  out_.str("");
  err_.str("");
  return RunCli(arguments, environment_);
}

std::shared_ptr<grpc::Channel> CliTest::NewChannel() const {
  return grpc::CreateChannel(address_, grpc::InsecureChannelCredentials());
}

std::string CliTest::File(const std::string& name, const std::string& content) {
  const std::string path = folder_ / name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

std::string CliTest::out() const { return out_.str(); }

std::string CliTest::err() const { return err_.str(); }

nlohmann::json CliTest::OutJson() const {
  return nlohmann::json::parse(out_.str(), nullptr, false);
}

}  // namespace mtp::cli
