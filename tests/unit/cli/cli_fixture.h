// One CLI against a fake controller, with everything else of its environment in memory.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "cli/commands/run.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/cli/fake_controller.h"

namespace mtp::cli {

class CliTest : public ::testing::Test {
 protected:
  CliTest()
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
              return grpc::CreateChannel(address_, grpc::InsecureChannelCredentials());
            },
            .listens = [this](const std::string&) { return listens_; },
            .sleep = [this](absl::Duration) { ++sleeps_; },
            .clock = clock_,
            .random = random_} {
    address_ = controller_.address();
    variables_ = {{"HOME", folder_.path()}};
  }

  // Runs against the fake controller by explicit flags.
  int Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--controller", "fake:1", "--identity", "/none"});
    return RunBare(arguments);
  }
  int RunBare(const std::vector<std::string>& arguments) {
    out_.str("");
    err_.str("");
    return RunCli(arguments, environment_);
  }

  std::string File(const std::string& name, const std::string& content) {
    const std::string path = folder_ / name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }
  nlohmann::json OutJson() const { return nlohmann::json::parse(out_.str(), nullptr, false); }

  mtp::testing::TempFolder folder_;
  FakeController controller_;
  std::string address_;
  std::ostringstream out_;
  std::ostringstream err_;
  std::map<std::string, std::string> variables_;
  std::string input_;
  std::string answer_;
  std::vector<std::string> prompts_;
  bool hidden_ = false;
  int sleeps_ = 0;
  bool listens_ = false;
  int columns_ = 120;
  Endpoint endpoint_;
  SystemClock clock_;
  SystemRandom random_;
  Environment environment_;
};

}  // namespace mtp::cli
