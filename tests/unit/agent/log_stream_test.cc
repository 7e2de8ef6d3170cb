// Logs as a caller gets them: without secrets, and over the container's ends.
#include "agent/api/log_stream.h"

#include <absl/strings/match.h>
#include <gtest/gtest.h>

#include <deque>

#include "tests/support/sim_clock.h"

namespace mtp {
namespace {

// An engine whose container writes, ends, and comes back.
class ScriptedLogs final : public Engine {
 public:
  struct Life {
    std::vector<std::string> pieces;
    absl::Status end;
  };
  explicit ScriptedLogs(std::deque<Life> lives) : lives_(std::move(lives)) {}

  absl::Status Logs(const std::string&, const LogsOptions& options, const OutputSink& sink,
                    std::stop_token) override {
    options_.push_back(options);
    if (lives_.empty()) return absl::CancelledError("stopped");
    Life life = std::move(lives_.front());
    lives_.pop_front();
    for (const std::string& piece : life.pieces) {
      if (!sink(OutputStream::kStdout, piece)) return absl::CancelledError("unwanted");
    }
    return life.end;
  }
  absl::StatusOr<ContainerDetails> InspectContainer(const std::string&) override {
    ContainerDetails details;
    details.pid = 1;
    return details;
  }
  absl::StatusOr<EngineInfo> Info() override { return absl::UnimplementedError(""); }
  absl::Status Ping() override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<ContainerSummary>> ListContainers(const std::string&,
                                                               const std::string&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<ContainerStats> Stats(const std::string&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<std::string> RegistryDigest(const std::string&, std::stop_token) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<ImageDetails> InspectImage(const std::string&) override {
    return absl::UnimplementedError("");
  }
  absl::Status Events(const std::string&, std::optional<absl::Time>, const EventSink&,
                      std::stop_token, const std::function<void()>&) override {
    return absl::UnimplementedError("");
  }
  absl::StatusOr<int> Exec(const std::string&, const std::vector<std::string>&, absl::Duration,
                           const OutputSink&, std::stop_token) override {
    return absl::UnimplementedError("");
  }
  absl::Status UpdateMemoryLimits(const std::string&, const MemoryLimits&) override {
    return absl::OkStatus();
  }
  absl::Status UpdateRestartPolicy(const std::string&, const std::string&) override {
    return absl::OkStatus();
  }
  absl::Status Start(const std::string&) override { return absl::OkStatus(); }
  absl::Status Stop(const std::string&, absl::Duration, std::stop_token) override {
    return absl::OkStatus();
  }
  absl::Status Restart(const std::string&, absl::Duration, std::stop_token) override {
    return absl::OkStatus();
  }
  absl::Status Pause(const std::string&) override { return absl::OkStatus(); }
  absl::Status Unpause(const std::string&) override { return absl::OkStatus(); }
  absl::Status Kill(const std::string&, const std::string&) override { return absl::OkStatus(); }

  std::vector<LogsOptions> options_;

 private:
  std::deque<Life> lives_;
};

class LogStreamTest : public ::testing::Test {
 protected:
  std::string Stream(ScriptedLogs& engine, bool follow) {
    LogStreamRequest request;
    request.target = {"acme", "mtp-acme"};
    request.secrets.set_anthropic_key("planted-secret");
    request.options.set_follow(follow);
    request.options.set_tail(5);
    std::string log;
    end_ = StreamLogs(
        engine, clock_, request,
        [&log](const v1::LogChunk& chunk) {
          log += chunk.data();
          return !absl::StrContains(log, "enough");
        },
        [] { return true; }, std::stop_token());
    return log;
  }
  testing::SimClock clock_;
  absl::Status end_;
};

TEST_F(LogStreamTest, ASecretThatArrivesInTwoPiecesIsRedacted) {
  ScriptedLogs engine({{{"key plant", "ed-secret used\n"}, absl::OkStatus()}});
  EXPECT_EQ(Stream(engine, false), "key [redacted] used\n");
}

TEST_F(LogStreamTest, FollowingGoesOnAfterARestartWithWhatIsNew) {
  ScriptedLogs engine({{{"one\n"}, absl::OkStatus()},
                       {{"two\n"}, absl::NotFoundError("made anew")},
                       {{"enough\n"}, absl::OkStatus()}});
  EXPECT_EQ(Stream(engine, true), "one\ntwo\nenough\n");
  ASSERT_EQ(engine.options_.size(), 3u);
  EXPECT_EQ(engine.options_[0].tail, 5);
  EXPECT_FALSE(engine.options_[1].tail.has_value());
  EXPECT_TRUE(engine.options_[1].since.has_value());
}

TEST_F(LogStreamTest, WithoutFollowAMissingContainerIsSaid) {
  ScriptedLogs engine({{{}, absl::NotFoundError("no such container")}});
  Stream(engine, false);
  EXPECT_EQ(end_.code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace mtp
