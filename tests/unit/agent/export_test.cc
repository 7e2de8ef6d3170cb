// Exports: what comes out is the backup, or nothing that could be taken for it, and nothing stays
// on the host.
#include "agent/tenants/export.h"

#include <absl/strings/match.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "agent/api/agent_service.h"
#include "agent/backup/tree_manifest.h"
#include "common/base/sha256.h"
#include "common/base/thread_pool.h"
#include "tests/unit/agent/backup_fixture.h"

namespace mtp {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string RandomBytes(size_t size) {
  std::mt19937_64 random(7);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

class ExportTest : public BackupFixture {
 protected:
  ExportTest() {
    Provision("acme");
    Write("acme/workspace/notes", "of the backup");
  }
  static v1::ExportFromRepositoryRequest RequestFor(const v1::BackupReference& backup) {
    v1::ExportFromRepositoryRequest request;
    *request.mutable_backup() = backup;
    SetRepository(request.mutable_repository(), backup.tenant());
    return request;
  }
  absl::Status Export(const v1::BackupReference& backup) {
    chunks_.clear();
    return exporter_.Export(RequestFor(backup),
                            [this](v1::ExportChunk chunk) {
                              chunks_.push_back(std::move(chunk));
                              return true;
                            },
                            {});
  }
  std::string Data() const {
    std::string data;
    for (const v1::ExportChunk& chunk : chunks_) data += chunk.data();
    return data;
  }
  std::string Unpacked() {
    std::ofstream(out_ / "a.tar.gz", std::ios::binary) << Data();
    SubprocessOptions tar;
    tar.argv = {"tar", "-xzf", out_ / "a.tar.gz", "-C", out_.path()};
    const auto result = RunSubprocess(tar);
    EXPECT_TRUE(result.ok() && result->exit_code == 0);
    return out_ / "acme";
  }
  // As an archive keeps times, to the second, so that a comparison can be exact.
  void WholeSeconds() {
    SubprocessOptions touch;
    touch.argv = {"find", DataPath("acme"), "-exec", "touch", "-h", "-d", "@1777000000", "{}", "+"};
    const auto result = RunSubprocess(touch);
    EXPECT_TRUE(result.ok() && result->exit_code == 0);
  }
  std::string ManifestOf(const std::string& backup) {
    return absl::StrCat(machine_.repositories.folder, "/_repository_acme/fleet+acme+", backup,
                        "/manifest.jsonl");
  }
  void ExpectNothingLeft() { EXPECT_THAT(Names(".restores"), IsEmpty()); }

  mtp::testing::TempFolder out_;
  Exporter exporter_{&agent_->tools};
  std::vector<v1::ExportChunk> chunks_;
};

TEST_F(ExportTest, UnpacksToTheFilesOfTheBackup) {
  const std::string home = DataPath("acme/workspace/");
  std::filesystem::create_directories(home + "deep/er/empty");
  std::filesystem::create_symlink("/etc/passwd", home + "link out");
  std::filesystem::create_symlink("missing", home + "dangling");
  std::filesystem::create_hard_link(home + "notes", home + "second name");
  Write("acme/workspace/a\nname with\ttabs", "odd");
  Write("acme/workspace/not \xff\xfe utf-8", "odder");
  Write("acme/workspace/nothing", "");
  Write("acme/workspace/-rf", "not an option");
  Write("acme/workspace/large", RandomBytes(700'000));
  ASSERT_EQ(chmod((home + "large").c_str(), 0640), 0);
  ASSERT_EQ(truncate((home + "nothing").c_str(), 40 << 20), 0);
  WholeSeconds();
  const v1::BackupReference backup = Snapshot("acme", "b1");
  ASSERT_TRUE(Export(backup).ok());
  ExpectNothingLeft();
  // The tree is compared byte by byte: content, modes, owners, times, targets, hard links.
  const absl::Status same = CompareWithTree(Unpacked(), ManifestOf("b1"), TreeScanLimits(), {});
  EXPECT_TRUE(same.ok()) << same;
  ASSERT_FALSE(chunks_.empty());
  EXPECT_TRUE(chunks_.back().finished());
  Sha256 hash;
  const std::string data = Data();
  hash.Update(data.data(), data.size());
  EXPECT_EQ(chunks_.back().sha256(), hash.Finish());
  for (const v1::ExportChunk& chunk : chunks_) EXPECT_LE(chunk.data().size(), 65536u);
}

TEST_F(ExportTest, TellsWhatHappensBeforeTheFirstData) {
  ASSERT_TRUE(Export(Snapshot("acme", "b1")).ok());
  std::string told;
  for (const v1::ExportChunk& chunk : chunks_) {
    if (!chunk.data().empty()) break;
    absl::StrAppend(&told, chunk.progress(), "\n");
  }
  EXPECT_THAT(told, HasSubstr("comparing every file with the manifest"));
}

TEST_F(ExportTest, TheTenantNeedNotBeHere) {
  const v1::BackupReference backup = Snapshot("acme", "b1");
  auto remove = ActionRequest("o/remove", "acme", 1);
  remove.mutable_remove();
  ASSERT_EQ(agent_->Finish(remove).state(), v1::ACTION_STATE_DONE);
  EXPECT_TRUE(Export(backup).ok());
}

TEST_F(ExportTest, LeavesTheTenantAlone) {
  const v1::BackupReference backup = Snapshot("acme", "b1");
  Write("acme/workspace/notes", "newer");
  ASSERT_TRUE(Export(backup).ok());
  EXPECT_EQ(Read("acme/workspace/notes"), "newer");
  EXPECT_TRUE(IsRunning("mtp-acme"));
  EXPECT_EQ(Pauses("mtp-acme"), 1);
}

TEST_F(ExportTest, NoDataOfADamagedBackupIsSent) {
  const v1::BackupReference backup = Snapshot("acme", "b1");
  machine_.repositories.on_restore = [](const std::string& folder) {
    std::ofstream(folder + "/data/workspace/notes") << "OF THE BACKUP";
  };
  const absl::Status status = Export(backup);
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("workspace/notes"));
  EXPECT_EQ(Data(), "");
  ExpectNothingLeft();
}

// A manifest that was made to fit cannot be: its own hash is the catalogue's.
TEST_F(ExportTest, AnotherManifestIsRefused) {
  v1::BackupReference backup = Snapshot("acme", "b1");
  backup.set_manifest_sha256(std::string(64, 'a'));
  EXPECT_TRUE(absl::IsDataLoss(Export(backup)));
  EXPECT_EQ(Data(), "");
  ExpectNothingLeft();
}

// The pass over the files is after the comparison.
TEST_F(ExportTest, WhatHasNoPlaceInAnArchiveIsNamed) {
  const v1::BackupReference backup = Snapshot("acme", "b1");
  const std::string folder = DataPath(".restores/.export/");
  const absl::Status status =
      exporter_.Export(RequestFor(backup),
                       [&](const v1::ExportChunk& chunk) {
                         if (chunk.progress() == "sending") {
                           EXPECT_EQ(mkfifo((folder + "data/workspace/a fifo").c_str(), 0600), 0);
                         }
                         return true;
                       },
                       {});
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("acme/workspace/a fifo"));
  ExpectNothingLeft();
}

TEST_F(ExportTest, EndsWhenNobodyTakesItAnyMore) {
  const v1::BackupReference backup = Snapshot("acme", "b1");
  const absl::Status status = exporter_.Export(
      RequestFor(backup), [](const v1::ExportChunk& chunk) { return chunk.data().empty(); }, {});
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  ExpectNothingLeft();
  EXPECT_TRUE(Export(backup).ok());
}

TEST_F(ExportTest, OneAtATime) {
  const v1::BackupReference backup = Snapshot("acme", "b1");
  absl::Status second;
  ASSERT_TRUE(exporter_
                  .Export(RequestFor(backup),
                          [&](const v1::ExportChunk& chunk) {
                            if (chunk.data().empty()) second = Export(backup);
                            return true;
                          },
                          {})
                  .ok());
  EXPECT_TRUE(absl::IsResourceExhausted(second)) << second;
  EXPECT_TRUE(Export(backup).ok());
}

TEST_F(ExportTest, WaitsForItsPlaceAmongTheBackupsAndSendsWithoutIt) {
  const v1::BackupReference backup = Snapshot("acme", "b1");
  ASSERT_EQ(agent_->backups.Ask("other", nullptr), 0);
  bool waited = false;
  int ahead_while_sending = -1;
  const absl::Status status =
      exporter_.Export(RequestFor(backup),
                       [&](const v1::ExportChunk& chunk) {
                         if (absl::StartsWith(chunk.progress(), "waiting")) {
                           waited = true;
                           agent_->backups.Leave("other");
                         }
                         if (!chunk.data().empty() && ahead_while_sending < 0) {
                           ahead_while_sending = agent_->backups.Ask("next", nullptr);
                         }
                         return true;
                       },
                       {});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(waited);
  EXPECT_EQ(ahead_while_sending, 0);
}

TEST_F(ExportTest, StopsWhileItWaits) {
  const v1::BackupReference backup = Snapshot("acme", "b1");
  ASSERT_EQ(agent_->backups.Ask("other", nullptr), 0);
  std::stop_source stop;
  const absl::Status status = exporter_.Export(
      RequestFor(backup),
      [&](const v1::ExportChunk&) {
        stop.request_stop();
        return true;
      },
      stop.get_token());
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  agent_->backups.Leave("other");
  EXPECT_EQ(agent_->backups.Ask("next", nullptr), 0);
}

TEST_F(ExportTest, ARepositoryThatCannotBeReachedIsSaidToBeSo) {
  const v1::BackupReference backup = Snapshot("acme", "b1");
  machine_.repositories.open_error = absl::UnavailableError("the server cannot be reached");
  EXPECT_TRUE(absl::IsUnavailable(Export(backup)));
  ExpectNothingLeft();
}

TEST_F(ExportTest, WhatIsMalformedIsRefused) {
  v1::BackupReference backup = Snapshot("acme", "b1");
  backup.set_tenant("../acme");
  EXPECT_TRUE(absl::IsInvalidArgument(Export(backup)));
  backup = Snapshot("acme", "b2");
  backup.set_manifest_sha256("abcd");
  EXPECT_TRUE(absl::IsInvalidArgument(Export(backup)));
  EXPECT_THAT(chunks_, IsEmpty());
}

TEST_F(ExportTest, WhatAKilledAgentLeftIsGoneWithItsNextLife) {
  std::filesystem::create_directories(DataPath(".restores/.export/data"));
  Write(".restores/.export/data/notes", "of a client");
  NewAgent();
  ASSERT_TRUE(begun_.ok()) << begun_;
  ExpectNothingLeft();
}

// Over the wire, with a reader that goes away or stands still.
class ExportCalls : public ExportTest {
 protected:
  ExportCalls() {
    calls_.Start();
    blocking_.Start();
    AgentServiceDeps deps;
    deps.calls = &calls_;
    deps.blocking = &blocking_;
    deps.exporter = &exporter_;
    deps.export_patience = absl::Milliseconds(200);
    deps.authorize = [this](const grpc::ServerContextBase&) { return allowed_; };
    service_ = NewAgentService(std::move(deps));
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::AgentService::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
    // More than any window between the two.
    Write("acme/workspace/large", RandomBytes(24 << 20));
    WholeSeconds();
    backup_ = Snapshot("acme", "b1");
  }
  ~ExportCalls() override {
    server_->Shutdown(std::chrono::system_clock::now());
    blocking_.Stop();
    calls_.Stop();
  }
  static void Limit(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  }
  grpc::Status ReadAll() {
    grpc::ClientContext context;
    Limit(&context);
    auto reader = stub_->ExportBackup(&context, RequestFor(backup_));
    chunks_.clear();
    for (v1::ExportChunk chunk; reader->Read(&chunk);) chunks_.push_back(chunk);
    return reader->Finish();
  }
  // Once the one before has ended.
  grpc::Status ReadAllAfterwards() {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (true) {
      grpc::Status status = ReadAll();
      if (status.error_code() != grpc::StatusCode::RESOURCE_EXHAUSTED || absl::Now() > end) {
        return status;
      }
      absl::SleepFor(absl::Milliseconds(20));
    }
  }

  absl::Status allowed_;
  ThreadPool calls_{1};
  ThreadPool blocking_{2};
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::AgentService::Stub> stub_;
  v1::BackupReference backup_;
};

TEST_F(ExportCalls, BringAllOfIt) {
  const grpc::Status status = ReadAll();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(chunks_.back().finished());
  const absl::Status same = CompareWithTree(Unpacked(), ManifestOf("b1"), TreeScanLimits(), {});
  EXPECT_TRUE(same.ok()) << same;
}

TEST_F(ExportCalls, AreForTheControllerAlone) {
  allowed_ = absl::PermissionDeniedError("not you");
  EXPECT_EQ(ReadAll().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(chunks_, IsEmpty());
}

TEST_F(ExportCalls, EndWithTheirCaller) {
  {
    grpc::ClientContext context;
    Limit(&context);
    auto reader = stub_->ExportBackup(&context, RequestFor(backup_));
    v1::ExportChunk chunk;
    while (reader->Read(&chunk) && chunk.data().empty()) {
    }
    context.TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_TRUE(ReadAllAfterwards().ok());
  ExpectNothingLeft();
}

TEST_F(ExportCalls, AReaderThatStandsStillIsNotWaitedForForEver) {
  grpc::ClientContext context;
  Limit(&context);
  auto reader = stub_->ExportBackup(&context, RequestFor(backup_));
  v1::ExportChunk chunk;
  while (reader->Read(&chunk) && chunk.data().empty()) {
  }
  // Takes nothing more, and does not go either.
  const absl::Time end = absl::Now() + absl::Seconds(60);
  while (!Names(".restores").empty() && absl::Now() < end) absl::SleepFor(absl::Milliseconds(20));
  ExpectNothingLeft();
  while (reader->Read(&chunk)) EXPECT_FALSE(chunk.finished());
  EXPECT_THAT(reader->Finish().error_code(),
              AnyOf(grpc::StatusCode::CANCELLED, grpc::StatusCode::UNKNOWN));
}

}  // namespace
}  // namespace mtp
