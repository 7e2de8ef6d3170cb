// The agent's engine, OpenClaw, memory and backup parts against a real engine and the real
// OpenClaw.
#include "agent/docker/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "agent/backup/archive.h"
#include "agent/backup/exclusions.h"
#include "agent/backup/tree.h"
#include "agent/docker/filtered_socket.h"
#include "agent/memory/cgroup.h"
#include "agent/openclaw/openclaw.h"
#include "tests/e2e/own_engine.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kToken[] = "a$b#c'd e";

// The newest image archive that deploy/openclaw-image/build.sh made.
std::optional<std::string> ImageArchive() {
  if (const char* given = getenv("MTP_OPENCLAW_IMAGE_TAR")) return given;
  std::optional<std::string> newest;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/var/cache/mtp", ignored)) {
    const std::string path = entry.path();
    // `openclaw-2026.9.6.tar`; the test double's image lies there too.
    const std::string name = entry.path().filename();
    if (name.starts_with("openclaw-2") && name.ends_with(".tar") &&
        (!newest.has_value() || path > *newest))
      newest = path;
  }
  return newest;
}

class RealEngine : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const std::optional<std::string> image = ImageArchive();
    if (geteuid() != 0 || !image.has_value() || Shell("dockerd --version") != 0) return;
    own_ = new testing::OwnEngine();
    if (!testing::WaitFor(seconds(60), [] { return own_->IsUp(); })) return;
    std::string loaded;
    if (own_->Docker("load -q -i " + *image, &loaded) != 0) return;
    image_ = loaded.substr(loaded.find(": ") + 2);
    image_.erase(image_.find_last_not_of('\n') + 1);
    StartTenant();
    own_->Docker(
        "run -d --name other --label com.docker.compose.project=else "
        "--label com.docker.compose.service=acme -e KEY=planted " +
        image_ + " sleep 86400");
    up_ = true;
  }
  static void TearDownTestSuite() {
    delete own_;
    own_ = nullptr;
  }

  static int Shell(const std::string& command) { return testing::Shell(command); }

  static void StartTenant() {
    const std::string data = own_->folder() / "tenants/acme";
    fs::create_directories(data + "/.openclaw");
    fs::create_directories(data + "/workspace");
    std::ofstream(data + "/.openclaw/openclaw.json")
        << R"({gateway: {mode: "local", bind: "lan", port: 18789, controlUi: {enabled: false},
               auth: {mode: "token", token: "${OPENCLAW_GATEWAY_TOKEN}"}},
               agents: {defaults: {workspace: "/home/node/workspace"}}})";
    ASSERT_TRUE(SetOwnerBeneath(own_->folder() / "tenants", "acme", 1000, 1000).ok());
    setenv("OPENCLAW_GATEWAY_TOKEN", kToken, 1);
    std::string output;
    ASSERT_EQ(own_->Docker("run -d --name mtp-acme --label com.docker.compose.project=mtp --label "
                           "com.docker.compose.service=acme "
                           "-e OPENCLAW_GATEWAY_TOKEN -e NODE_OPTIONS=--max-semi-space-size=2 "
                           "--memory 2g --memory-swap 2g -v " +
                               data + "/.openclaw:/home/node/.openclaw -v " + data +
                               "/workspace:/home/node/workspace " + image_,
                           &output),
              0)
        << output;
  }

  void SetUp() override {
    if (own_ == nullptr) {
      GTEST_SKIP() << "needs root, dockerd and an image from deploy/openclaw-image/build.sh";
    }
    ASSERT_TRUE(up_) << "the engine or the image did not come up";
    engine_ = NewEngine(own_->socket());
  }

  ContainerProcess Acme() {
    const auto details = engine_->InspectContainer("mtp-acme");
    EXPECT_TRUE(details.ok()) << details.status();
    return {details->id, details->pid};
  }
  void WaitUntilReady() {
    const auto openclaw = NewOpenClaw();
    ProbeResult last;
    const bool ready = testing::WaitFor(seconds(240), [&] {
      const auto probe = openclaw->Probe(Acme(), absl::Seconds(5));
      if (probe.ok()) last = *probe;
      return probe.ok() && probe->ready;
    });
    ASSERT_TRUE(ready) << last.message;
  }

  static testing::OwnEngine* own_;
  static std::string image_;
  static bool up_;
  std::unique_ptr<Engine> engine_;
};
testing::OwnEngine* RealEngine::own_ = nullptr;
std::string RealEngine::image_;
bool RealEngine::up_ = false;

TEST_F(RealEngine, DescribesItselfAndItsContainers) {
  const auto info = engine_->Info();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_FALSE(info->engine_version.empty());
  EXPECT_GE(info->cpus, 1);
  EXPECT_GT(info->memory_bytes, 0);
  EXPECT_TRUE(info->cgroup_version == 1 || info->cgroup_version == 2);

  const auto list = engine_->ListContainers("mtp", "acme");
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->size(), 1u) << "only the project's";
  EXPECT_TRUE(engine_->ListContainers("mtp", "beta")->empty());
  EXPECT_EQ(list->at(0).name, "mtp-acme");

  const auto details = engine_->InspectContainer("mtp-acme");
  ASSERT_TRUE(details.ok()) << details.status();
  EXPECT_EQ(details->state, ContainerState::kRunning);
  EXPECT_EQ(details->memory_limit_bytes, int64_t{2} << 30);
  EXPECT_EQ(details->image, image_);
  EXPECT_EQ(engine_->InspectImage(image_)->id, details->image_id);
  EXPECT_TRUE(absl::IsNotFound(engine_->InspectContainer("nobody").status()));
  EXPECT_TRUE(absl::IsNotFound(engine_->InspectImage("nothing:1").status()));
}

TEST_F(RealEngine, RunsCommandsAndKillsThoseThatTakeTooLong) {
  std::string out;
  std::string error;
  const auto sink = [&](OutputStream stream, std::string_view bytes) {
    (stream == OutputStream::kStdout ? out : error).append(bytes);
    return true;
  };
  const auto code = engine_->Exec("mtp-acme", {"sh", "-c", "echo out; echo err >&2; exit 7"},
                                  absl::Seconds(30), sink, {});
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, 7);
  EXPECT_EQ(out, "out\n");
  EXPECT_EQ(error, "err\n");

  const auto late = engine_->Exec("mtp-acme", {"sleep", "4242"}, absl::Seconds(2), sink, {});
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
  std::string processes;
  EXPECT_TRUE(testing::WaitFor(seconds(10), [&] {
    processes.clear();
    own_->Docker("top mtp-acme -eo args", &processes);
    return processes.find("4242") == std::string::npos;
  })) << processes;
  EXPECT_TRUE(absl::IsFailedPrecondition(
      engine_->Kill("other", "SIGKILL").ok()
          ? engine_->Exec("other", {"true"}, absl::Seconds(5), sink, {}).status()
          : absl::OkStatus()))
      << "not running";
  EXPECT_TRUE(engine_->Start("other").ok());
}

TEST_F(RealEngine, FollowsEventsAndLogsOfTheProject) {
  std::stop_source stop;
  std::vector<std::string> seen;
  const absl::Status status = engine_->Events(
      "mtp", std::nullopt,
      [&](const EngineEvent& event) {
        seen.push_back(event.attributes.at("name") + " " + event.action);
        return event.action != "unpause";
      },
      stop.get_token(),
      [&] {
        own_->Docker("restart -t 0 other; docker -H " + own_->host() +
                     " pause mtp-acme; docker -H " + own_->host() + " unpause mtp-acme");
      });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_THAT(seen, Contains("mtp-acme pause"));
  EXPECT_THAT(seen, Not(Contains(HasSubstr("other"))));

  WaitUntilReady();
  std::string log;
  const auto sink = [&](OutputStream, std::string_view bytes) {
    log.append(bytes);
    return true;
  };
  ASSERT_TRUE(engine_->Logs("mtp-acme", {}, sink, {}).ok());
  EXPECT_THAT(log, HasSubstr("ready"));
}

TEST_F(RealEngine, MemoryIsTheSameByEngineAndKernelAndLimitsTakeEffect) {
  const CgroupReader cgroups;
  const auto memory = cgroups.Memory(Acme().pid);
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(memory->limit_bytes, int64_t{2} << 30);
  EXPECT_GT(memory->anonymous_bytes, 100 << 20);
  EXPECT_GE(*memory->peak_bytes, memory->used_bytes);
  const auto stats = engine_->Stats("mtp-acme");
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_NEAR(static_cast<double>(stats->memory_bytes), static_cast<double>(memory->used_bytes),
              200 << 20);

  const int64_t more = int64_t{3} << 30;
  ASSERT_TRUE(engine_->UpdateMemoryLimits("mtp-acme", {more, more}).ok());
  EXPECT_EQ(cgroups.Memory(Acme().pid)->limit_bytes, more);
}

TEST_F(RealEngine, ARestartPolicyIsChangedWithoutARestart) {
  const auto before = engine_->InspectContainer("mtp-acme");
  ASSERT_TRUE(before.ok()) << before.status();
  for (const char* policy : {"no", "unless-stopped"}) {
    const absl::Status status = engine_->UpdateRestartPolicy("mtp-acme", policy);
    ASSERT_TRUE(status.ok()) << status;
    const auto after = engine_->InspectContainer("mtp-acme");
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(after->restart_policy, policy);
    EXPECT_EQ(after->id, before->id);
    EXPECT_EQ(after->started_at, before->started_at);
  }
}

TEST_F(RealEngine, TheGatewayIsProbedAndCalledFromItsOwnLoopback) {
  WaitUntilReady();
  const auto openclaw = NewOpenClaw();
  const SecretString token{std::string(kToken)};
  for (const std::string method : {"health", "config.get", "channels.status", "usage.cost"}) {
    const auto payload = openclaw->Call(Acme(), token, method, "", absl::Seconds(60), {});
    ASSERT_TRUE(payload.ok()) << method << ": " << payload.status();
    EXPECT_EQ(payload->front(), '{') << method;
  }
  const auto unknown = openclaw->Call(Acme(), token, "no.such", "", absl::Seconds(30), {});
  EXPECT_TRUE(absl::IsInvalidArgument(unknown.status())) << unknown.status();
  const SecretString wrong(std::string("planted-wrong-token"));
  const auto refused = openclaw->Call(Acme(), wrong, "health", "", absl::Seconds(30), {});
  EXPECT_TRUE(absl::IsUnauthenticated(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), Not(HasSubstr("planted")));

  const auto details = engine_->InspectContainer("other");
  const auto silent = openclaw->Probe({details->id, details->pid}, absl::Seconds(2));
  ASSERT_TRUE(silent.ok()) << silent.status();
  EXPECT_FALSE(silent->live);
  EXPECT_TRUE(
      absl::IsNotFound(openclaw->Probe({details->id, Acme().pid}, absl::Seconds(2)).status()))
      << "a process of another container";
}

TEST_F(RealEngine, TheFilteredSocketReadsTheProjectAndRefusesEveryChange) {
  FilteredSocketOptions options;
  options.engine_socket = own_->socket();
  options.path = own_->folder() / "admin.sock";
  options.project = "mtp";
  FilteredSocket socket(options);
  ASSERT_TRUE(socket.Start().ok());
  const std::string docker = "timeout 20 docker -H unix://" + options.path + " ";
  const auto before = engine_->InspectContainer("mtp-acme");
  ASSERT_TRUE(before.ok());

  std::string seen;
  for (const std::string& command : std::vector<std::string>{
           "version", "info", "ps -a", "images", "inspect mtp-acme", "logs --tail 5 mtp-acme",
           "top mtp-acme", "stats --no-stream", "network ls", "image inspect " + image_}) {
    EXPECT_EQ(testing::Shell(docker + command, &seen), 0) << command << ": " << seen;
  }
  EXPECT_THAT(seen, HasSubstr("mtp-acme"));
  EXPECT_THAT(seen, Not(HasSubstr(kToken)));
  EXPECT_THAT(seen, Not(HasSubstr("planted")));

  for (const std::string& command : std::vector<std::string>{"inspect other",
                                                             "logs other",
                                                             "top other",
                                                             "top mtp-acme axe",
                                                             "stop mtp-acme",
                                                             "start mtp-acme",
                                                             "restart mtp-acme",
                                                             "kill mtp-acme",
                                                             "pause mtp-acme",
                                                             "rm -f mtp-acme",
                                                             "exec mtp-acme id",
                                                             "attach mtp-acme",
                                                             "rename mtp-acme x",
                                                             "update -m 4g mtp-acme",
                                                             "cp mtp-acme:/etc/passwd /dev/null",
                                                             "export mtp-acme",
                                                             "commit mtp-acme x",
                                                             "diff mtp-acme",
                                                             "create x",
                                                             "run --rm " + image_ + " true",
                                                             "image rm " + image_,
                                                             "save " + image_,
                                                             "tag " + image_ + " x",
                                                             "push x",
                                                             "pull x",
                                                             "history " + image_,
                                                             "network create x",
                                                             "network rm x",
                                                             "volume ls",
                                                             "volume create x",
                                                             "system df",
                                                             "system prune -f",
                                                             "container prune -f",
                                                             "image prune -f",
                                                             "swarm init",
                                                             "plugin ls",
                                                             "secret ls",
                                                             "node ls"}) {
    std::string output;
    EXPECT_NE(testing::Shell(docker + command, &output), 0) << command << ": " << output;
    EXPECT_THAT(output, Not(HasSubstr("planted"))) << command;
  }
  const auto after = engine_->InspectContainer("mtp-acme");
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->id, before->id);
  EXPECT_EQ(after->pid, before->pid);
  EXPECT_EQ(after->started_at, before->started_at);
  EXPECT_EQ(after->state, ContainerState::kRunning);
}

TEST_F(RealEngine, ABackupOfTheStoppedTenantRestoresWithWholeDatabases) {
  WaitUntilReady();
  ASSERT_TRUE(engine_->Stop("mtp-acme", absl::Seconds(60), {}).ok());
  ArchiveRequest request;
  request.root = own_->folder() / "tenants";
  request.names = {"acme"};
  request.output = own_->folder() / "acme.tar.gz";
  request.exclude = ExcludedFromBackup;
  const auto result = WriteArchive(request, nullptr, {});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->changed.empty());

  const std::string out = own_->folder() / "restored";
  fs::create_directories(out);
  std::string output;
  ASSERT_EQ(testing::Shell("tar -xzpf " + request.output + " -C " + out, &output), 0) << output;
  int databases = 0;
  for (const auto& entry : fs::recursive_directory_iterator(out)) {
    if (entry.path().extension() != ".sqlite") continue;
    std::string answer;
    testing::Shell(
        "python3 -c 'import sqlite3,sys; print(sqlite3.connect(sys.argv[1])."
        "execute(\"pragma integrity_check\").fetchone()[0])' " +
            entry.path().string(),
        &answer);
    EXPECT_EQ(answer, "ok\n") << entry.path();
    ++databases;
  }
  EXPECT_GE(databases, 1);
  ASSERT_TRUE(engine_->Start("mtp-acme").ok());
}

TEST_F(RealEngine, AnEngineThatDiesIsUnavailableAndComesBack) {
  own_->End(SIGKILL);
  EXPECT_TRUE(absl::IsUnavailable(engine_->Ping()));
  own_->Start();
  EXPECT_TRUE(testing::WaitFor(seconds(90), [&] { return engine_->Ping().ok(); }));
  EXPECT_TRUE(engine_->ListContainers("mtp", "acme").ok());
}

}  // namespace
}  // namespace mtp
