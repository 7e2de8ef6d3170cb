// One CLI against a fake controller, with everything else of its environment in memory.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "cli/commands/environment.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/cli/fake_controller.h"

namespace mtp::cli {

class CliTest : public ::testing::Test {
 protected:
  CliTest();
  ~CliTest() override;

  // Runs against the fake controller by explicit flags.
  int Run(std::vector<std::string> arguments);
  int RunBare(const std::vector<std::string>& arguments);

  // To the fake controller.
  std::shared_ptr<grpc::Channel> NewChannel() const;

  std::string File(const std::string& name, const std::string& content);

  std::string out() const;
  std::string err() const;
  nlohmann::json OutJson() const;

  mtp::testing::TempFolder folder_;
  const std::unique_ptr<FakeController> served_ = FakeController::Start();
  FakeController& controller_ = *served_;
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
