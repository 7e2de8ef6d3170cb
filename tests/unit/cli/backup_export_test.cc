// Exporting a backup: the file is there whole, or not at all.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/commands/partial_file.h"
#include "common/base/atomic_file.h"
#include "common/base/sha256.h"
#include "tests/unit/cli/backup_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string HashOf(const std::string& bytes) {
  Sha256 hash;
  hash.Update(bytes.data(), bytes.size());
  return hash.Finish();
}

class BackupExport : public BackupCliTest {
 protected:
  BackupExport() {
    Sends(bytes_, HashOf(bytes_));
    std::filesystem::create_directory(home_);
  }
  void Sends(const std::string& bytes, const std::string& sha256) {
    controller_.exported.clear();
    controller_.exported.emplace_back().set_progress("comparing every file with the manifest");
    for (size_t at = 0; at < bytes.size(); at += 7) {
      controller_.exported.emplace_back().set_data(bytes.substr(at, 7));
    }
    v1::ExportChunk& last = controller_.exported.emplace_back();
    last.set_finished(true);
    last.set_sha256(sha256);
  }
  int Export(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"backup", "export", kNewest, file_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(home_)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string Content() const { return ReadFile(file_, 1 << 20).value_or("absent"); }

  const std::string bytes_ = std::string("\x1f\x8b\0 an archive of some length", 29);
  const std::string home_ = folder_ / "exports";
  const std::string file_ = home_ + "/acme.tar.gz";
};

TEST_F(BackupExport, WritesTheFileForItsOwnerAlone) {
  ASSERT_EQ(Export(), 0) << err();
  EXPECT_EQ(Content(), bytes_);
  EXPECT_THAT(Files(), ElementsAre("acme.tar.gz"));
  struct stat info {};
  ASSERT_EQ(stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  ASSERT_EQ(controller_.exported_backups.size(), 1u);
  EXPECT_EQ(controller_.exported_backups[0].name(), std::string("backups/") + kNewest);
  EXPECT_THAT(out(), HasSubstr(HashOf(bytes_)));
  EXPECT_THAT(err(), HasSubstr("comparing every file"));
}

TEST_F(BackupExport, IsJsonWhenAsked) {
  ASSERT_EQ(Export({"-o", "json"}), 0) << err();
  const nlohmann::json expected = {
      {"backup", kNewest}, {"file", file_}, {"bytes", 29}, {"sha256", HashOf(bytes_)}};
  EXPECT_EQ(OutJson(), expected);
  EXPECT_EQ(err(), "");
}

TEST_F(BackupExport, LeavesAFileThatExistsAloneWithoutForce) {
  std::ofstream(file_) << "precious";
  EXPECT_EQ(Export(), 3);
  EXPECT_THAT(err(), HasSubstr("--force"));
  EXPECT_EQ(Content(), "precious");
  EXPECT_THAT(controller_.exported_backups, IsEmpty());
  EXPECT_EQ(Export({"--force"}), 0) << err();
  EXPECT_EQ(Content(), bytes_);
}

TEST_F(BackupExport, LeavesTheOldFileWhenTheNewOneDoesNotCome) {
  std::ofstream(file_) << "precious";
  Sends(bytes_, HashOf("something else"));
  EXPECT_EQ(Export({"--force"}), 1);
  EXPECT_EQ(Content(), "precious");
  EXPECT_THAT(Files(), ElementsAre("acme.tar.gz"));
}

TEST_F(BackupExport, AFileThatAppearsMeanwhileIsNotReplaced) {
  controller_.on_exported = [this] { std::ofstream(file_) << "precious"; };
  EXPECT_EQ(Export(), 3);
  EXPECT_EQ(Content(), "precious");
  EXPECT_THAT(Files(), ElementsAre("acme.tar.gz"));
}

TEST_F(BackupExport, DoesNotFollowALinkOrTakeOverAnotherRunsFile) {
  const std::string victim = File("victim", "precious");
  std::filesystem::create_symlink(victim, file_ + ".partial");
  EXPECT_EQ(Export(), 3);
  EXPECT_THAT(err(), HasSubstr(".partial"));
  EXPECT_EQ(ReadFile(victim, 100).value_or(""), "precious");
  EXPECT_THAT(Files(), ElementsAre("acme.tar.gz.partial"));
  EXPECT_THAT(controller_.exported_backups, IsEmpty());
}

TEST_F(BackupExport, ALinkInThePlaceOfTheFileIsReplacedItself) {
  const std::string victim = File("victim", "precious");
  std::filesystem::create_symlink(victim, file_);
  EXPECT_EQ(Export(), 3);
  EXPECT_EQ(Export({"--force"}), 0) << err();
  EXPECT_EQ(ReadFile(victim, 100).value_or(""), "precious");
  EXPECT_FALSE(std::filesystem::is_symlink(file_));
}

TEST_F(BackupExport, NothingIsLeftOfBytesThatChangedOnTheWay) {
  Sends(bytes_, HashOf("something else"));
  EXPECT_EQ(Export(), 1);
  EXPECT_THAT(err(), HasSubstr("SHA-256"));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BackupExport, NothingIsLeftOfAStreamThatEndsEarly) {
  controller_.exported.pop_back();
  EXPECT_EQ(Export(), 1);
  EXPECT_THAT(err(), HasSubstr("before all"));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BackupExport, ADamagedBackupIsSaidToBeSo) {
  controller_.exported.resize(2);
  controller_.refusals = {{grpc::StatusCode::DATA_LOSS, "workspace/notes has another content"}};
  EXPECT_EQ(Export(), 1);
  EXPECT_THAT(err(), HasSubstr("workspace/notes has another content"));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BackupExport, IsAskedForAgainWhileTheControllerIsAway) {
  controller_.refusals = {{grpc::StatusCode::UNAVAILABLE, "failed to connect"}};
  EXPECT_EQ(Export(), 0) << err();
  EXPECT_EQ(controller_.exported_backups.size(), 2u);
  EXPECT_EQ(Content(), bytes_);
}

TEST_F(BackupExport, AHostThatIsAwayIsUnreachable) {
  controller_.refusals.assign(9, {grpc::StatusCode::UNAVAILABLE, "host h1 is not connected"});
  EXPECT_EQ(Export(), 4);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BackupExport, StandardOutputGetsTheArchiveAndNothingElse) {
  ASSERT_EQ(Run({"backup", "export", kNewest, "-"}), 0) << err();
  EXPECT_EQ(out(), bytes_);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BackupExport, ATerminalGetsNoArchive) {
  environment_.out_is_terminal = true;
  EXPECT_EQ(Run({"backup", "export", kNewest, "-"}), 2);
  EXPECT_EQ(out(), "");
  EXPECT_EQ(Run({"backup", "export", kNewest, "-", "-o", "json"}), 2);
  EXPECT_THAT(controller_.exported_backups, IsEmpty());
}

TEST_F(BackupExport, NamesThatMakeNoSenseAreUsageErrors) {
  EXPECT_EQ(Run({"backup", "export", "nonsense", file_}), 2);
  EXPECT_EQ(Run({"backup", "export", kNewest, home_}), 2);
  EXPECT_EQ(Run({"backup", "export", kNewest}), 2);
  EXPECT_THAT(controller_.exported_backups, IsEmpty());
}

TEST_F(BackupExport, ShowsItsStateOnATerminal) {
  environment_.err_is_terminal = true;
  variables_["TERM"] = "xterm";
  ASSERT_EQ(Export(), 0) << err();
  EXPECT_THAT(err(), HasSubstr("received"));
}

// Each signal in a process of its own, which holds a begun file.
TEST(PartialFileDeathTest, SignalsLeaveNothing) {
  const mtp::testing::TempFolder folder;
  const std::string path = folder / "acme.tar.gz";
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EXIT(
        {
          auto file = PartialFile::Create(path, false);
          if (!file.ok() || !(*file)->Write("begun").ok()) _exit(9);
          if (!std::filesystem::exists(path + ".partial")) _exit(8);
          raise(signal);
          _exit(7);
        },
        ::testing::KilledBySignal(signal), "");
    EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << signal;
  }
}

TEST(PartialFileTest, SignalsAreAsBeforeOnceItIsPublished) {
  const mtp::testing::TempFolder folder;
  struct sigaction before {};
  struct sigaction after {};
  sigaction(SIGINT, nullptr, &before);
  {
    auto file = PartialFile::Create(folder / "a", false);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE((*file)->Publish().ok());
  }
  sigaction(SIGINT, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
  EXPECT_TRUE(std::filesystem::exists(folder / "a"));
}

}  // namespace
}  // namespace mtp::cli
