// How restic is called, and what its answers mean; the answers are recorded ones of restic 0.14.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "common/restic/restic_command.h"
#include "common/restic/restic_output.h"

namespace mtp {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(RepositoryUrl, AcceptsTheThreeForms) {
  EXPECT_EQ(ParseRepositoryUrl("/srv/backups")->restic_url, "/srv/backups");
  EXPECT_EQ(ParseRepositoryUrl("sftp://mtp@h:2222/srv/b")->restic_url, "sftp://mtp@h:2222//srv/b");
  EXPECT_EQ(ParseRepositoryUrl("s3:https://h:9000/bucket/a")->kind, RepositoryKind::kS3);
  EXPECT_TRUE(ParseRepositoryUrl("s3:http://127.0.0.1:9000/bucket").ok());
}

TEST(RepositoryUrl, RefusesWhatIsNotSafeOrNotKnown) {
  for (const char* url :
       {"", "relative", "/", "rest:https://h/", "s3:http://h/bucket",
        "s3:http://127.evil.org/bucket", "s3:https://h/ab", "sftp://h/path",
        "sftp://-oProxyCommand=x@h/p", "sftp://u@-h/p", "sftp://u@h", "sftp://u@h:99999/p",
        "sftp://u@h x/p", "/a\nb", "s3:https://../-lb", "s3:https://.h/bucket",
        "s3:https://h./bucket", "sftp://u@../p", "sftp://u@h.-x/p"}) {
    EXPECT_EQ(ParseRepositoryUrl(url).status().code(), absl::StatusCode::kInvalidArgument) << url;
  }
}

TEST(ResticCommand, HasNoSecretAmongItsArguments) {
  RepositoryAccess access{.url = "s3:https://h/bucket",
                          .password = SecretString("pass-canary"),
                          .s3_access_key = "id",
                          .s3_secret_key = SecretString("key-canary")};
  const auto address = ParseRepositoryUrl(access.url);
  const CallFiles files{"/state/call", "/state/cache"};
  EXPECT_THAT(ResticArguments("restic", *address, access, files, true),
              AllOf(Each(Not(HasSubstr("canary"))), Contains("/dev/stdin")));
  EXPECT_EQ(ResticEnvironment(*address, access, files)["AWS_SECRET_ACCESS_KEY"], "key-canary");
}

TEST(ResticCommand, SpeaksToKnownSftpServersOnly) {
  RepositoryAccess access{.url = "sftp://u@h/p"};
  EXPECT_THAT(ResticArguments("restic", *ParseRepositoryUrl(access.url), access,
                              {"/state/call", "/state/cache"}, true),
              Contains(AllOf(HasSubstr("StrictHostKeyChecking=yes"), HasSubstr("BatchMode=yes"),
                             HasSubstr("UserKnownHostsFile=/state/call/known_hosts"))));
}

TEST(RepositoryAccess, NeedsTheServersKeyForSftp) {
  RepositoryAccess access{
      .url = "sftp://u@h/p", .password = SecretString("p"), .sftp_private_key = SecretString("k")};
  EXPECT_THAT(CheckAccess(access).message(), HasSubstr("known_hosts"));
}

struct Case {
  const char* said;
  absl::StatusCode code;
};

TEST(ResticErrors, HaveTheCodeThatFits) {
  for (const Case& one : {
           Case{"Fatal: wrong password or no key found", absl::StatusCode::kPermissionDenied},
           {"Fatal: unable to open config file: stat /n/config: no such file or directory\nIs "
            "there "
            "a repository at the following location?\n/n",
            absl::StatusCode::kNotFound},
           {"Fatal: unable to open config file: Stat: The specified bucket does not exist",
            absl::StatusCode::kNotFound},
           {"Fatal: unable to open config file: Stat: The AWS Access Key Id you provided does not "
            "exist in our records.",
            absl::StatusCode::kPermissionDenied},
           {"Fatal: unable to open config file: Stat: Get \"https://localhost:4568/bkt\": dial tcp "
            "127.0.0.1:4568: connect: connection refused",
            absl::StatusCode::kUnavailable},
           {"subprocess ssh: ssh: connect to host 127.0.0.1 port 2223: Connection refused\nFatal: "
            "unable to open repository at sftp://u@h//p: unable to start the sftp session, error: "
            "EOF",
            absl::StatusCode::kUnavailable},
           {"subprocess ssh: No ED25519 host key is known for [127.0.0.1]:2222 and you have "
            "requested "
            "strict checking.\nsubprocess ssh: Host key verification failed.",
            absl::StatusCode::kFailedPrecondition},
           {"Fatal: unable to open repository at sftp://u@h//p: unable to start the sftp session, "
            "error: read |0: file already closed",
            absl::StatusCode::kFailedPrecondition},
           {"subprocess ssh: root@127.0.0.1: Permission denied (publickey).",
            absl::StatusCode::kPermissionDenied},
           {"unable to create lock in backend: repository is already locked by PID 1 on vm by root",
            absl::StatusCode::kAborted},
           {"Fatal: unable to save snapshot: write /r/data/x: no space left on device",
            absl::StatusCode::kResourceExhausted},
           {"could not load snapshot 88b29d85: load <snapshot/88b29d8598>: invalid data returned",
            absl::StatusCode::kDataLoss},
           {"ignoring error for /a: ciphertext verification failed\nFatal: There were 2 errors",
            absl::StatusCode::kDataLoss},
           {"Fatal: Unmarshal: illegal base64 data at input byte 32", absl::StatusCode::kDataLoss},
           {"Fatal: crypto.KDF: Check: scrypt: the parameters provided are invalid",
            absl::StatusCode::kDataLoss},
           {"panic: runtime error: slice bounds out of range [:16] with capacity 0\n\ngoroutine 1 "
            "[running]:\ngithub.com/restic/restic/internal/repository.OpenKey({0x104abd0?, 0x40})",
            absl::StatusCode::kDataLoss},
           {"invalid id \"01234567\": no matching ID found for prefix \"01234567\"",
            absl::StatusCode::kNotFound},
           {"what never was seen", absl::StatusCode::kInternal},
       }) {
    const absl::Status status = ResticError(1, one.said);
    EXPECT_EQ(status.code(), one.code) << one.said << "\n" << status;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n")));
  }
  EXPECT_EQ(ResticError(3, "error: open x").code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ResticBackupOutput, IsReadInPiecesOfAnySize) {
  const std::string text =
      "{\"message_type\":\"status\",\"bytes_done\":3,\"total_bytes\":9,\"files_done\":1}\n"
      "{\"message_type\":\"summary\",\"data_added\":301390,\"total_files_processed\":2,"
      "\"total_bytes_processed\":300003,\"total_duration\":0.5,\"snapshot_id\":\"e9cd12cb\"}\n";
  BackupOutput output;
  int64_t done = 0;
  for (char byte : text)
    output.Add(absl::string_view(&byte, 1), [&](const BackupProgress& p) { done = p.bytes_done; });
  const auto summary = output.Summary();
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(done, 3);
  EXPECT_EQ(summary->snapshot, "e9cd12cb");
  EXPECT_EQ(summary->bytes_added, 301390);
}

TEST(ResticBackupOutput, WithoutASummaryIsNoBackup) {
  EXPECT_EQ(BackupOutput().Summary().status().code(), absl::StatusCode::kDataLoss);
}

TEST(ResticSnapshots, CarryTheirIdentity) {
  const auto list = ParseSnapshots(
      R"([{"time":"2026-05-01T12:00:00Z","hostname":"h1","tags":["fleet=f","tenant=acme","backup=01"],)"
      R"("id":"e9cd12cba75477d0c6526e2ec8d04d2c63a281a9d5286647fc9dc52fa7942c64"}])");
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->size(), 1U);
  EXPECT_EQ(list->front().identity.tenant, "acme");
  EXPECT_FALSE(ParseSnapshots("nonsense").ok());
}

TEST(ResticPrune, SaysHowManyBytes) {
  EXPECT_EQ(ParsePrunedBytes("total prune:  3 blobs / 1.5 KiB\n").value(), 1536);
  EXPECT_FALSE(ParsePrunedBytes("").ok());
}

TEST(ResticFigures, AreCutToWhatFits) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(ParsePrunedBytes("total prune: 3 blobs / 1e300 TiB\n").value(), kMost);
  EXPECT_EQ(ParsePrunedBytes("total prune: 3 blobs / nan B\n").value(), 0);
  EXPECT_EQ(ParseStats(R"({"total_size":1e19})")->stored_bytes, kMost);
  EXPECT_EQ(ParseStats(R"({"total_size":-1e19})")->stored_bytes,
            std::numeric_limits<int64_t>::min());
  EXPECT_EQ(ParseStats(R"({"total_size":1.5e3})")->stored_bytes, 1500);
}

}  // namespace
}  // namespace mtp
