// What a call needs of the repository and of the host: a cache, a lock, room.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/base/file_descriptor.h"
#include "common/restic/repository.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::TempFolder;

// A server that is there, and a program in restic's place that writes its arguments down.
class PastTheCache : public ::testing::Test {
 protected:
  void SetUp() override {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ASSERT_EQ(bind(server_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(getsockname(server_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    ASSERT_EQ(listen(server_.get(), 8), 0);
    Program("");
    std::filesystem::create_directory(folder_ / "out");
    auto opened = OpenResticRepository(
        {.url = "s3:http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/bucket",
         .password = SecretString("p"),
         .s3_access_key = "k",
         .s3_secret_key = SecretString("s")},
        {.program = folder_ / "program", .state_folder = folder_ / "state"});
    ASSERT_TRUE(opened.ok()) << opened.status();
    repository_ = *std::move(opened);
  }
  // After it has written its arguments down it does what the script says.
  void Program(const std::string& script) {
    std::ofstream(folder_ / "program") << "#!/bin/sh\necho \"$@\" >>" << folder_ / "said"
                                       << "\n"
                                       << script << "\n";
    ASSERT_EQ(chmod((folder_ / "program").c_str(), 0700), 0);
  }
  std::string Said() {
    std::ifstream in(folder_ / "said");
    return std::string((std::istreambuf_iterator<char>(in)), {});
  }

  TempFolder folder_;
  FileDescriptor server_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::unique_ptr<Repository> repository_;
  const std::string snapshot_ = std::string(64, 'a');
};

TEST_F(PastTheCache, ARestoreReadsTheRepositoryItself) {
  ASSERT_TRUE(repository_->Restore(snapshot_, folder_ / "out", nullptr).ok());
  EXPECT_THAT(Said(), HasSubstr("--no-cache restore"));
}

TEST_F(PastTheCache, ARestoreNeedsNoRoomForALock) {
  Program(
      "case \"$*\" in *--no-lock*) exit 0;; esac\n"
      "echo 'unable to create lock in backend: write /r/locks/1: no space left on device' >&2\n"
      "exit 1");
  const absl::Status restored = repository_->Restore(snapshot_, folder_ / "out", nullptr);
  EXPECT_TRUE(restored.ok()) << restored;
}

TEST_F(PastTheCache, ARestoreThatFindsNoRoomForItsDataSaysSo) {
  Program("echo 'write /out/x: no space left on device' >&2; exit 1");
  EXPECT_EQ(repository_->Restore(snapshot_, folder_ / "out", nullptr).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(PastTheCache, AListMayComeFromTheCache) {
  repository_->List("fleet", "acme", nullptr).status().IgnoreError();
  EXPECT_THAT(Said(), Not(HasSubstr("--no-cache")));
}

}  // namespace
}  // namespace mtp
