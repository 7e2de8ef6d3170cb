// Each filter's words: what an operator reads when a host cannot take a tenant.
#include "controller/scheduler/filters.h"

#include <gtest/gtest.h>

#include "tests/unit/scheduler/fleet_builder.h"

namespace mtp::scheduler {
namespace {

std::string Words(const HostView& host, const Request& request) {
  return Refusal(host, request).value_or("");
}

TEST(Filters, TakeATenantThatFitsExactly) { EXPECT_EQ(Words(Host("h1", 1024), Tenant(1024)), ""); }

TEST(Filters, RefuseEveryHostButTheOneAskedFor) {
  Request request = Tenant(512);
  request.host = "h2";
  EXPECT_EQ(Words(Host("h1", 1024), request), "the tenant asks for host h2");
  EXPECT_EQ(Words(Host("h2", 1024), request), "");
}

TEST(Filters, RefuseACordonedHostAlsoWhenItIsAskedFor) {
  HostView host = Host("h1", 1024);
  host.cordoned = true;
  Request request = Tenant(512);
  request.host = "h1";
  EXPECT_EQ(Words(host, request), "it is cordoned");
}

TEST(Filters, RefuseAHostWhoseAgentIsAway) {
  HostView host = Host("h1", 1024);
  host.reachable = false;
  EXPECT_EQ(Words(host, Tenant(512)), "its agent cannot be reached");
}

TEST(Filters, RefuseAHostWhoseEngineIsDown) {
  HostView host = Host("h1", 1024);
  host.engine_up = false;
  EXPECT_EQ(Words(host, Tenant(512)), "its Docker Engine does not answer");
}

TEST(Filters, RefuseAHostWithoutAGuardToATenantThatMayFailOver) {
  HostView host = Host("h1", 1024);
  Request request = Tenant(512);
  EXPECT_EQ(Words(host, request), "");
  request.needs_guard = true;
  EXPECT_EQ(Words(host, request), "its guard does not run, and the tenant may fail over");
  host.guarded = true;
  EXPECT_EQ(Words(host, request), "");
}

TEST(Filters, NameTheLabelThatIsMissingOrOther) {
  HostView host = Host("h1", 1024);
  host.labels = {{"zone", "north"}};
  Request request = Tenant(512);
  request.host_labels = {{"zone", "north"}};
  EXPECT_EQ(Words(host, request), "");
  request.host_labels = {{"zone", "south"}};
  EXPECT_EQ(Words(host, request), "its label zone is north, not south");
  request.host_labels = {{"disk", "ssd"}};
  EXPECT_EQ(Words(host, request), "it has no label disk");
}

TEST(Filters, KeepTenantsOfOneGroupApart) {
  HostView host = Host("h1", 4096);
  host.Take({"acme-1", 512, "client=acme"}, kFirstPort);
  Request request = Tenant(512);
  request.anti_affinity = "client=acme";
  EXPECT_EQ(Words(host, request), "tenant acme-1 with client=acme is there already");
  request.anti_affinity = "client=beta";
  EXPECT_EQ(Words(host, request), "");
  request.anti_affinity = "";
  EXPECT_EQ(Words(host, request), "");
}

TEST(Filters, DoNotKeepATenantApartFromItself) {
  HostView host = Host("h1", 4096);
  host.Take({"newcomer", 512, "client=acme"}, kFirstPort);
  Request request = Tenant(512);
  request.anti_affinity = "client=acme";
  EXPECT_EQ(Words(host, request), "");
}

TEST(Filters, RefuseAHostThatHasNotToldItsMemory) {
  EXPECT_EQ(Words(Host("h1", 0), Tenant(512)), "its memory is not known yet");
}

TEST(Filters, TellTheFiguresWhenThereIsNoRoom) {
  EXPECT_EQ(Words(HostWith("h1", 16'384, 15'600), Tenant(1024)),
            "784 MiB free of 16,384 MiB allocatable, 1,024 MiB needed");
}

TEST(Filters, CallAHostThatShrankBelowItsPromisesFull) {
  EXPECT_EQ(Words(HostWith("h1", 1000, 1500), Tenant(1)),
            "0 MiB free of 1,000 MiB allocatable, 1 MiB needed");
}

TEST(Filters, RefuseAHostWhoseTenantsOutgrewTheirReservations) {
  HostView host = Host("h1", 8192);
  host.memory_total_mib = 10'000;
  host.used_mib = 9'700;
  EXPECT_EQ(Words(host, Tenant(512)),
            "only 300 MiB of 10,000 MiB is available as measured, 512 MiB needed");
  EXPECT_EQ(Words(host, Tenant(300)), "");
}

TEST(Filters, HoldAHostThatHasNotMeasuredYetToItsReservations) {
  HostView host = Host("h1", 1024);
  host.memory_total_mib = 0;
  EXPECT_EQ(Words(host, Tenant(1024)), "");
  EXPECT_NE(Words(host, Tenant(1025)), "");
}

TEST(Filters, RefuseAHostUnderMemoryPressureAboveTwentyPercent) {
  HostView host = Host("h1", 8192);
  host.memory_pressure_percent = 20;
  EXPECT_EQ(Words(host, Tenant(512)), "");
  host.memory_pressure_percent = 35;
  EXPECT_EQ(Words(host, Tenant(512)),
            "it is short of memory now (tasks waited 35 % of the last minute)");
}

TEST(Filters, RefuseAHostWithLessThanAGibibyteOfDisk) {
  HostView host = Host("h1", 8192);
  host.disk_free_mib = 1023;
  EXPECT_EQ(Words(host, Tenant(512)), "only 1,023 MiB of disk is free, 1,024 MiB needed");
  host.disk_free_mib = 1024;
  EXPECT_EQ(Words(host, Tenant(512)), "");
  host.disk_free_mib = -1;  // not known: no reason to refuse
  EXPECT_EQ(Words(host, Tenant(512)), "");
}

TEST(Filters, RefuseAHostWithoutAFreePort) {
  HostView host = Host("h1", 8192);
  for (int32_t port = kFirstPort; port < kLastPort; ++port) host.ports.push_back(port);
  EXPECT_EQ(Words(host, Tenant(512)), "");
  host.ports.push_back(kLastPort);
  EXPECT_EQ(Words(host, Tenant(512)), "all ports from 18801 to 28800 are taken");
}

TEST(Filters, TellWhatAnOperatorDecidedBeforeWhatIsBrokenBeforeWhatIsFull) {
  HostView host = HostWith("h1", 1024, 1024);
  host.cordoned = true;
  host.reachable = false;
  EXPECT_EQ(Words(host, Tenant(512)), "it is cordoned");
  host.cordoned = false;
  EXPECT_EQ(Words(host, Tenant(512)), "its agent cannot be reached");
  host.reachable = true;
  EXPECT_EQ(Words(host, Tenant(512)), "0 MiB free of 1,024 MiB allocatable, 512 MiB needed");
}

TEST(Filters, WriteMebibytesInGroupsOfThree) {
  EXPECT_EQ(Mib(0), "0 MiB");
  EXPECT_EQ(Mib(999), "999 MiB");
  EXPECT_EQ(Mib(1000), "1,000 MiB");
  EXPECT_EQ(Mib(1'234'567), "1,234,567 MiB");
  EXPECT_EQ(Mib(-999), "-999 MiB");
  EXPECT_EQ(Mib(-1000), "-1,000 MiB");
}

}  // namespace
}  // namespace mtp::scheduler
