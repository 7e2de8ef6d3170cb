#include <gtest/gtest.h>

#include <filesystem>

#include "agent/memory/cgroup.h"
#include "agent/memory/host.h"
#include "tests/unit/agent/scratch_folder.h"

namespace mtp {
namespace {

constexpr char kV1[] =
    "9:name=systemd:/docker/abc\n4:memory:/docker/abc\n2:cpuacct:/docker/abc\n0::/docker/abc\n";
constexpr char kV2[] = "0::/system.slice/docker-abc.scope\n";

TEST(CgroupMemory, IsReadFromVersion1) {
  const testing::ScratchFolder root;
  root.Write("proc/7/cgroup", kV1);
  const std::string folder = "sys/fs/cgroup/memory/docker/abc/";
  root.Write(folder + "memory.usage_in_bytes", "1000\n");
  root.Write(folder + "memory.stat",
             "cache 1\nrss 2\ntotal_cache 400\ntotal_rss 500\ntotal_swap 70\n"
             "total_inactive_file 300\n");
  root.Write(folder + "memory.max_usage_in_bytes", "2000\n");
  root.Write(folder + "memory.limit_in_bytes", "4096\n");
  root.Write(folder + "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");

  const auto memory = CgroupReader(root.path()).Memory(7);

  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(memory->used_bytes, 700);
  EXPECT_EQ(memory->anonymous_bytes, 500);
  EXPECT_EQ(memory->file_bytes, 400);
  EXPECT_EQ(memory->swap_bytes, 70);
  EXPECT_EQ(memory->peak_bytes, 2000);
  EXPECT_EQ(memory->limit_bytes, 4096);
  EXPECT_EQ(memory->oom_kills, 3);
  EXPECT_FALSE(memory->pressure_percent.has_value());
}

TEST(CgroupMemory, IsReadFromVersion2) {
  const testing::ScratchFolder root;
  root.Write("proc/7/cgroup", kV2);
  const std::string folder = "sys/fs/cgroup/system.slice/docker-abc.scope/";
  root.Write(folder + "memory.current", "1000\n");
  root.Write(folder + "memory.stat", "anon 500\nfile 400\ninactive_file 300\n");
  root.Write(folder + "memory.peak", "2000\n");
  root.Write(folder + "memory.swap.current", "70\n");
  root.Write(folder + "memory.max", "max\n");
  root.Write(folder + "memory.events", "low 0\noom 4\noom_kill 3\n");
  root.Write(folder + "memory.pressure",
             "some avg10=0.00 avg60=1.50 avg300=0.00 total=1\nfull avg10=0 avg60=0 avg300=0 t=0\n");

  const auto memory = CgroupReader(root.path()).Memory(7);

  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(memory->used_bytes, 700);
  EXPECT_EQ(memory->anonymous_bytes, 500);
  EXPECT_EQ(memory->swap_bytes, 70);
  EXPECT_EQ(memory->peak_bytes, 2000);
  EXPECT_FALSE(memory->limit_bytes.has_value());
  EXPECT_EQ(memory->oom_kills, 3);
  EXPECT_DOUBLE_EQ(*memory->pressure_percent, 1.5);
}

TEST(CgroupMemory, HasNoLimitWhenVersion1SaysItsLargestNumber) {
  const testing::ScratchFolder root;
  root.Write("proc/7/cgroup", kV1);
  root.Write("sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "1\n");
  root.Write("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(CgroupReader(root.path()).Memory(7)->limit_bytes.has_value());
}

TEST(CgroupMemory, MissingFiguresAreUnsetAndNeverNegative) {
  const testing::ScratchFolder root;
  root.Write("proc/7/cgroup", kV2);
  const std::string folder = "sys/fs/cgroup/system.slice/docker-abc.scope/";
  root.Write(folder + "memory.current", "100\n");
  root.Write(folder + "memory.stat", "inactive_file 300\nfile -5\nanon x\n\n\xff\n");

  const auto memory = CgroupReader(root.path()).Memory(7);

  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(memory->used_bytes, 0);
  EXPECT_EQ(memory->file_bytes, 0);
  EXPECT_FALSE(memory->swap_bytes.has_value());
  EXPECT_FALSE(memory->peak_bytes.has_value());
}

TEST(CgroupMemory, TellsAProcessThatIsGoneFromFilesThatAreBroken) {
  const testing::ScratchFolder root;
  EXPECT_TRUE(absl::IsNotFound(CgroupReader(root.path()).Memory(7).status()));
  root.Write("proc/7/cgroup", "");
  EXPECT_TRUE(absl::IsNotFound(CgroupReader(root.path()).Memory(7).status()));
  root.Write("proc/7/cgroup", kV2);
  EXPECT_TRUE(absl::IsNotFound(CgroupReader(root.path()).Memory(7).status()));
  root.Write("sys/fs/cgroup/system.slice/docker-abc.scope/memory.current", "many\n");
  EXPECT_TRUE(absl::IsInternal(CgroupReader(root.path()).Memory(7).status()));
  root.Write("proc/7/cgroup", "0::/../../etc\n");
  EXPECT_TRUE(absl::IsInternal(CgroupReader(root.path()).Memory(7).status()));
}

TEST(HostMemory, IsReadFromMemInfoAndPsi) {
  const testing::ScratchFolder root;
  root.Write("proc/meminfo",
             "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    600 kB\n"
             "SwapTotal:       50 kB\nSwapFree:        20 kB\nHugePages_Total:       0\n");
  HostReader host(root.path());

  auto memory = host.Memory();

  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(memory->total_bytes, 1000 * 1024);
  EXPECT_EQ(memory->available_bytes, 600 * 1024);
  EXPECT_EQ(memory->swap_free_bytes, 20 * 1024);
  EXPECT_EQ(memory->pressure_percent, 0) << "a kernel without PSI";
  root.Write("proc/pressure/memory", "some avg10=1.00 avg60=12.34 avg300=0.00 total=99\n");
  EXPECT_DOUBLE_EQ(host.Memory()->pressure_percent, 12.34);
}

TEST(HostMemory, RefusesFilesWithoutTheNumbers) {
  const testing::ScratchFolder root;
  EXPECT_FALSE(HostReader(root.path()).Memory().ok());
  root.Write("proc/meminfo", "MemTotal: lots kB\n");
  EXPECT_TRUE(absl::IsInternal(HostReader(root.path()).Memory().status()));
}

TEST(HostMemory, OfThisMachineIsPlausible) {
  const HostReader host;
  const auto memory = host.Memory();
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_GT(memory->total_bytes, memory->available_bytes);
  EXPECT_GE(host.Cpus(), 1);
  EXPECT_GT(host.DiskFreeBytes("/").value(), 0);
  EXPECT_TRUE(absl::IsNotFound(host.DiskFreeBytes("/no/such/path").status()));
}

TEST(Pressure, IgnoresGarbage) {
  EXPECT_EQ(PressurePercent(""), 0);
  EXPECT_EQ(PressurePercent("some avg60=nan"), 0);
  EXPECT_EQ(PressurePercent("full avg60=9.0"), 0);
  EXPECT_EQ(PressurePercent("some avg60=1e9"), 100);
}

}  // namespace
}  // namespace mtp
