// Placement by RAM: one pure function. The same function answers real placements, dry runs, and
// capacity. See docs/decisions/0004-scheduling.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mtp::scheduler {

// A tenant that is placed, as far as placement cares.
struct Placed {
  std::string tenant;
  int64_t memory_mib = 0;
  // `key=value` of its anti-affinity label; empty without.
  std::string anti_affinity;
};

// A host as a value that tests build by hand.
class HostView {
 public:
  std::string name;
  bool cordoned = false;
  bool reachable = true;
  bool engine_up = true;
  // Its guard runs: it takes tenants that may fail over.
  bool guarded = false;
  // Total less the reserve for system, engine, agent and admin instance, MiB. 0 when not known yet.
  int64_t allocatable_mib = 0;
  // In use now as measured, MiB; total as measured.
  int64_t used_mib = 0;
  int64_t memory_total_mib = 0;
  // Share of the last 60 s in which some task waited for memory, percent.
  double memory_pressure_percent = 0;
  int64_t disk_free_mib = -1;  // -1: not known
  std::map<std::string, std::string> labels;
  // Loopback ports in use, beside those that are not to be used at all.
  std::vector<int32_t> ports;

  // Adds a tenant and the port it has.
  void Take(Placed tenant, int32_t port);
  // Takes memory for something that is no tenant and goes by itself: a sandbox.
  void SetAside(int64_t memory_mib) { reserved_mib_ += memory_mib; }
  const std::vector<Placed>& placed() const { return placed_; }
  // Sum over the tenants, and what is set aside: kept with them, since every placement asks each
  // host for it.
  int64_t reserved_mib() const { return reserved_mib_; }
  // What is left of the allocatable; negative when a host shrank below what was promised on it.
  int64_t FreeMib() const { return allocatable_mib - reserved_mib_; }

 private:
  std::vector<Placed> placed_;
  int64_t reserved_mib_ = 0;
};

enum class Policy {
  kBinpack,  // fill hosts one after another: fewest machines
  kSpread,   // even out: least harm when a host is lost
};

struct Request {
  std::string tenant;
  int64_t memory_mib = 0;
  std::string host;  // only this one; empty: any
  std::map<std::string, std::string> host_labels;
  std::string anti_affinity;  // `key=value`; empty without
  bool needs_guard = false;   // it may fail over
  Policy policy = Policy::kBinpack;
};

struct Rejection {
  std::string host;
  std::string reason;  // one sentence with the figures, no final full stop
};

struct Decision {
  std::optional<std::string> host;
  int32_t port = 0;    // lowest free from kFirstPort
  std::string reason;  // why this one
  // Every host that was not chosen, by name; also those that would have done but scored lower.
  std::vector<Rejection> rejections;
};

inline constexpr int32_t kFirstPort = 18801;
inline constexpr int32_t kLastPort = 28800;

// Pure: same input, same decision; ties are broken by name. Never places beyond allocatable.
Decision Place(const std::vector<HostView>& hosts, const Request& request);

struct HostRoom {
  std::string host;
  int32_t more_tenants = 0;
  int64_t free_mib = 0;
  std::string reason;  // why it takes none
};

struct CapacityReport {
  int32_t more_tenants = 0;
  std::vector<HostRoom> hosts;
  bool survives_largest_host_loss = false;
  std::string largest_host;
  std::vector<std::string> stranded_tenants;
};

// How many more tenants of that size Place would place by reservation (each host counted up to
// 10,000), and whether every tenant of the host with the largest reserved sum would find room on
// the others by Place, largest first.
CapacityReport Capacity(const std::vector<HostView>& hosts, int64_t memory_mib, Policy policy);

}  // namespace mtp::scheduler
