#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "agent/backup/archive.h"
#include "agent/backup/exclusions.h"
#include "agent/backup/manifest.h"
#include "common/base/disk_floor.h"
#include "common/base/sha256.h"
#include "tests/unit/agent/scratch_folder.h"

namespace mtp {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string HashOf(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  Sha256 hash;
  hash.Update(text.str().data(), text.str().size());
  return hash.Finish();
}

class Archive : public ::testing::Test {
 protected:
  Archive() {
    fs::create_directories(folder_ / "data/acme");
    fs::create_directories(folder_ / "backups");
  }

  ArchiveRequest Request() const {
    ArchiveRequest request;
    request.root = folder_ / "data";
    request.names = {"acme"};
    request.output = folder_ / "backups/acme.tar.gz";
    request.exclude = ExcludedFromBackup;
    return request;
  }
  absl::StatusOr<ArchiveResult> Write() { return WriteArchive(Request(), nullptr, {}); }

  // Runs GNU tar, as an operator would.
  void Extract() {
    fs::create_directories(folder_ / "out");
    const std::string command = "tar -xzpf '" + (folder_ / "backups/acme.tar.gz") + "' -C '" +
                                (folder_ / "out") + "' 2>'" + (folder_ / "tar.err") + "'";
    ASSERT_EQ(system(command.c_str()), 0) << folder_.Read("tar.err");
  }

  std::map<std::string, ManifestEntry> Manifest() {
    std::ifstream in(folder_ / "backups/acme.tar.gz.manifest.json");
    std::map<std::string, ManifestEntry> entries;
    std::string line;
    while (std::getline(in, line)) {
      auto value = ParseManifestLine(line);
      EXPECT_TRUE(value.ok()) << line;
      if (value.ok() && value->kind == ManifestLineValue::Kind::kEntry) {
        entries[value->entry.path] = value->entry;
      }
    }
    return entries;
  }

  std::vector<std::string> FilesIn(const std::string& name) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_ / name)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  testing::ScratchFolder folder_;
};

TEST_F(Archive, RestoresByHandWithEqualContent) {
  folder_.Write("data/acme/.openclaw/openclaw.json", "{}");
  folder_.Write("data/acme/workspace/big", std::string(3'000'000, 'x') + "end");
  folder_.Write("data/acme/workspace/empty", "");
  ASSERT_EQ(chmod((folder_ / "data/acme/workspace/big").c_str(), 0640), 0);

  const auto result = Write();

  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->files, 3);
  EXPECT_EQ(result->content_bytes, 3'000'005);
  EXPECT_THAT(result->changed, IsEmpty());
  EXPECT_EQ(result->sha256, HashOf(folder_ / "backups/acme.tar.gz"));
  EXPECT_EQ(static_cast<uintmax_t>(result->bytes), fs::file_size(folder_ / "backups/acme.tar.gz"));
  Extract();
  for (const auto& [path, entry] : Manifest()) {
    if (entry.type != EntryType::kFile) continue;
    EXPECT_EQ(HashOf(folder_ / ("out/" + path)), entry.sha256) << path;
    EXPECT_EQ(HashOf(folder_ / ("data/" + path)), entry.sha256) << path;
  }
  struct stat info {};
  ASSERT_EQ(stat((folder_ / "out/acme/workspace/big").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  EXPECT_TRUE(VerifyArchive(folder_ / "backups/acme.tar.gz", {}).ok());
  EXPECT_THAT(FilesIn("backups"), ElementsAre("acme.tar.gz", "acme.tar.gz.manifest.json"));
}

TEST_F(Archive, KeepsNamesOfAnyBytes) {
  const std::vector<std::string> names = {
      "two\nlines",         "ünïcode", "not utf8 \xff\xfe", "-rf", "tab\tquote\"back\\slash",
      std::string(255, 'n')};
  for (const std::string& name : names) folder_.Write("data/acme/" + name, "content of " + name);
  // A path that no single call could take, folder by folder.
  const std::string deep = "data/acme/" + std::string(200, 'd') + "/" + std::string(200, 'e');
  folder_.Write(deep + "/f", "deep");

  ASSERT_TRUE(Write().ok());
  Extract();

  for (const std::string& name : names) {
    EXPECT_EQ(folder_.Read("out/acme/" + name), "content of " + name) << name;
    EXPECT_TRUE(Manifest().contains("acme/" + name)) << name;
  }
  EXPECT_EQ(folder_.Read("out/" + deep.substr(5) + "/f"), "deep");
  EXPECT_TRUE(VerifyArchive(folder_ / "backups/acme.tar.gz", {}).ok());
}

TEST_F(Archive, StoresLinksAsLinksAndReadsNothingOutside) {
  folder_.Write("outside/secret", "not yours");
  fs::create_symlink(folder_ / "outside/secret", folder_ / "data/acme/to-file");
  fs::create_symlink(folder_ / "outside", folder_ / "data/acme/to-folder");
  fs::create_symlink("/etc/passwd", folder_ / "data/acme/to-etc");
  folder_.Write("data/acme/a-first", "shared");
  fs::create_hard_link(folder_ / "data/acme/a-first", folder_ / "data/acme/b-second");

  ASSERT_TRUE(Write().ok());
  Extract();

  auto manifest = Manifest();
  EXPECT_EQ(manifest["acme/to-file"].type, EntryType::kSymlink);
  EXPECT_EQ(manifest["acme/to-folder"].type, EntryType::kSymlink);
  EXPECT_EQ(manifest["acme/to-etc"].target, "/etc/passwd");
  EXPECT_FALSE(manifest.contains("acme/to-folder/secret"));
  EXPECT_EQ(manifest["acme/b-second"].type, EntryType::kHardlink);
  EXPECT_EQ(manifest["acme/b-second"].target, "acme/a-first");
  EXPECT_TRUE(fs::is_symlink(folder_ / "out/acme/to-etc"));
  EXPECT_TRUE(fs::equivalent(folder_ / "out/acme/a-first", folder_ / "out/acme/b-second"));
}

TEST_F(Archive, NamesWhatItLeavesOut) {
  ASSERT_EQ(mkfifo((folder_ / "data/acme/fifo").c_str(), 0600), 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof(address.sun_path), "%s",
           (folder_ / "data/acme/socket").c_str());
  ASSERT_EQ(bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(socket);
  folder_.Write("data/acme/.openclaw/cache/asset", "rebuilt");
  folder_.Write("data/acme/.openclaw/state/x.lock", "1234");

  const auto result = Write();

  ASSERT_TRUE(result.ok()) << result.status();
  auto manifest = Manifest();
  EXPECT_EQ(manifest["acme/fifo"].reason, "a fifo");
  EXPECT_EQ(manifest["acme/socket"].reason, "a socket");
  EXPECT_EQ(manifest["acme/.openclaw/cache"].reason, "excluded");
  EXPECT_EQ(manifest["acme/.openclaw/state/x.lock"].reason, "excluded");
  EXPECT_FALSE(manifest.contains("acme/.openclaw/cache/asset"));
  EXPECT_EQ(result->skipped, 4);
}

TEST_F(Archive, KeepsSparseFilesAndLeavesOutOnesThatOnlyClaimTheirSize) {
  folder_.Write("data/acme/sparse", "begin");
  fs::resize_file(folder_ / "data/acme/sparse", 5'000'000);
  folder_.Write("data/acme/bomb", "");
  fs::resize_file(folder_ / "data/acme/bomb", uintmax_t{1} << 40);

  ASSERT_TRUE(Write().ok());
  Extract();

  EXPECT_EQ(HashOf(folder_ / "out/acme/sparse"), HashOf(folder_ / "data/acme/sparse"));
  auto manifest = Manifest();
  EXPECT_EQ(manifest["acme/bomb"].type, EntryType::kSkipped);
  EXPECT_THAT(manifest["acme/bomb"].reason, HasSubstr("sparse"));
}

TEST_F(Archive, SaysWhichFileChangedWhileItWasRead) {
  folder_.Write("data/acme/log", std::string(40 << 20, 'x'));
  bool truncated = false;
  const auto shrink = [&](const ArchiveProgress& progress) {
    if (!truncated && progress.content_bytes > 0 && !progress.verifying) {
      fs::resize_file(folder_ / "data/acme/log", 1 << 20);
      truncated = true;
    }
  };

  const auto result = WriteArchive(Request(), shrink, {});

  ASSERT_TRUE(truncated);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->changed, ElementsAre("acme/log"));
  EXPECT_TRUE(Manifest()["acme/log"].changed);
}

TEST_F(Archive, EndsOnRequestAndLeavesNothing) {
  folder_.Write("data/acme/big", std::string(40 << 20, 'x'));
  std::stop_source stop;

  const auto result = WriteArchive(
      Request(), [&](const ArchiveProgress&) { stop.request_stop(); }, stop.get_token());

  EXPECT_TRUE(absl::IsCancelled(result.status())) << result.status();
  EXPECT_THAT(FilesIn("backups"), IsEmpty());
}

TEST_F(Archive, LeavesNothingWhenTheDiskIsFull) {
  ASSERT_EQ(geteuid(), 0u) << "needs root for a small file system";
  ASSERT_EQ(mount("tmpfs", (folder_ / "backups").c_str(), "tmpfs", 0, "size=256k"), 0);
  // Bytes that do not compress.
  std::string noise(2 << 20, '\0');
  std::ifstream("/dev/urandom").read(noise.data(), static_cast<std::streamsize>(noise.size()));
  folder_.Write("data/acme/noise", noise);

  const auto result = Write();

  EXPECT_TRUE(absl::IsResourceExhausted(result.status())) << result.status();
  EXPECT_THAT(FilesIn("backups"), IsEmpty());
  ASSERT_EQ(umount((folder_ / "backups").c_str()), 0);
}

TEST_F(Archive, LeavesTheTenantsTheLastOfTheDisk) {
  folder_.Write("data/acme/first", std::string(1 << 20, 'a'));
  folder_.Write("data/acme/second", std::string(1 << 20, 'b'));
  int asked = 0;
  const DiskFloor floor(folder_ / "backups", [&asked](const std::string&) {
    return DiskSpace{int64_t{100} << 30, ++asked < 6 ? int64_t{50} << 30 : int64_t{1} << 20};
  });
  ArchiveRequest request = Request();
  request.floor = &floor;
  const auto result = WriteArchive(request, nullptr, {});
  EXPECT_TRUE(absl::IsResourceExhausted(result.status())) << result.status();
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("free some of it first"));
  EXPECT_EQ(asked, 6);
  EXPECT_THAT(FilesIn("backups"), IsEmpty());
}

TEST_F(Archive, RefusesWhatItCannotDo) {
  folder_.Write("data/acme/f", "x");
  ArchiveRequest request = Request();
  request.names = {"nobody"};
  EXPECT_TRUE(absl::IsNotFound(WriteArchive(request, nullptr, {}).status()));
  request.names = {"../data"};
  EXPECT_TRUE(absl::IsInvalidArgument(WriteArchive(request, nullptr, {}).status()));
  request = Request();
  request.output = "relative.tar.gz";
  EXPECT_TRUE(absl::IsInvalidArgument(WriteArchive(request, nullptr, {}).status()));
  request = Request();
  request.max_entries = 1;
  EXPECT_TRUE(absl::IsResourceExhausted(WriteArchive(request, nullptr, {}).status()));
  EXPECT_THAT(FilesIn("backups"), IsEmpty());

  ASSERT_TRUE(Write().ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Write().status()));
  EXPECT_TRUE(VerifyArchive(folder_ / "backups/acme.tar.gz", {}).ok());
}

TEST_F(Archive, VerificationFindsEverySingleFlippedByte) {
  folder_.Write("data/acme/f", "some content");
  ASSERT_TRUE(Write().ok());
  const std::string whole = folder_.Read("backups/acme.tar.gz");

  for (size_t at = 0; at < whole.size(); ++at) {
    std::string broken = whole;
    broken[at] = static_cast<char>(broken[at] ^ 1);
    folder_.Write("backups/acme.tar.gz", broken);
    EXPECT_FALSE(VerifyArchive(folder_ / "backups/acme.tar.gz", {}).ok()) << "byte " << at;
  }
  folder_.Write("backups/acme.tar.gz", whole.substr(0, whole.size() - 1));
  EXPECT_FALSE(VerifyArchive(folder_ / "backups/acme.tar.gz", {}).ok());
  folder_.Write("backups/acme.tar.gz", whole);
  EXPECT_TRUE(VerifyArchive(folder_ / "backups/acme.tar.gz", {}).ok());
}

TEST_F(Archive, VerificationFindsAManifestThatWasChanged) {
  folder_.Write("data/acme/f", "some content");
  ASSERT_TRUE(Write().ok());
  const std::string name = "backups/acme.tar.gz.manifest.json";
  const std::string whole = folder_.Read(name);
  const auto verify = [&] { return VerifyArchive(folder_ / "backups/acme.tar.gz", {}); };

  folder_.Write(name, whole.substr(0, whole.rfind("{\"end\"")));
  EXPECT_EQ(verify().code(), absl::StatusCode::kDataLoss);
  folder_.Write(name, whole.substr(whole.find('\n') + 1));
  EXPECT_EQ(verify().code(), absl::StatusCode::kDataLoss);
  folder_.Write(name, "garbage\n");
  EXPECT_EQ(verify().code(), absl::StatusCode::kDataLoss);
  fs::remove(folder_ / name);
  EXPECT_TRUE(absl::IsNotFound(verify()));
}

TEST_F(Archive, SweepsOnlyUnfinishedFiles) {
  folder_.Write("backups/.mtp-partial-acme.tar.gz", "half");
  folder_.Write("backups/acme-1.tar.gz", "whole");
  folder_.Write("backups/notes.txt", "the operator's");

  ASSERT_TRUE(SweepUnfinishedArchives(folder_ / "backups").ok());

  EXPECT_THAT(FilesIn("backups"), ElementsAre("acme-1.tar.gz", "notes.txt"));
}

TEST(Manifest, LinesSurviveTheirWayThroughText) {
  ManifestEntry entry;
  entry.path = "acme/\xff\n";
  entry.type = EntryType::kSymlink;
  entry.mode = 0777;
  entry.uid = 1000;
  entry.gid = 1001;
  entry.mtime_s = 1764000000;
  entry.target = "\xfe";
  const auto value = ParseManifestLine(ManifestLine(entry));
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->entry.path, entry.path);
  EXPECT_EQ(value->entry.target, entry.target);
  EXPECT_EQ(value->entry.mode, entry.mode);
  EXPECT_EQ(value->entry.gid, entry.gid);
}

TEST(Exclusions, LeaveOutOnlyWhatComesBackByItself) {
  EXPECT_TRUE(ExcludedFromBackup(".openclaw/cache", true));
  EXPECT_TRUE(ExcludedFromBackup(".openclaw/tmp", true));
  EXPECT_TRUE(ExcludedFromBackup(".openclaw/logs", true));
  EXPECT_TRUE(ExcludedFromBackup(".openclaw/agents/main/run.lock", false));
  EXPECT_TRUE(ExcludedFromBackup("workspace/node_modules", true));
  EXPECT_TRUE(ExcludedFromBackup("workspace/skills/weather/node_modules", true));
  EXPECT_TRUE(ExcludedFromBackup(".openclaw/extensions/voice/node_modules", true));

  EXPECT_FALSE(ExcludedFromBackup(".openclaw/cache", false));
  EXPECT_FALSE(ExcludedFromBackup(".openclaw/cache2", true));
  EXPECT_FALSE(ExcludedFromBackup("workspace/.openclaw/cache", true));
  EXPECT_FALSE(ExcludedFromBackup("workspace/yarn.lock", false));
  EXPECT_FALSE(ExcludedFromBackup(".openclaw/skills/weather/Cargo.lock", false));
  EXPECT_FALSE(ExcludedFromBackup("workspace/project/deep/node_modules", true));
  EXPECT_FALSE(ExcludedFromBackup("workspace/skills/node_modules", true));
  EXPECT_FALSE(ExcludedFromBackup(".openclaw/state/openclaw.sqlite", false));
}

}  // namespace
}  // namespace mtp
