// What the agent tells the guard, as the text of a file that both know: until when this host's
// lease lasts, and which containers may run only under it.
//
// The file has two slots of a fixed size that are written in turn, in place: it takes no disk space
// once it is made, so a full disk ends no lease, and a writer that dies half-way leaves the other
// slot whole. A slot counts when its checksum is right; of two, the one with the higher number.
//
// Nothing here needs more than the C++ library: the guard is to be small.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace mtp::guard {

// Names in the folder that agent and guard share.
inline constexpr char kLeaseFile[] = "lease";
inline constexpr char kBeatFile[] = "beat";
inline constexpr char kLockFile[] = "guard.lock";

inline constexpr size_t kSlotBytes = 128 << 10;
inline constexpr int kSlots = 2;
// So many fit into a slot.
inline constexpr size_t kMaxContainers = 1000;

struct Lease {
  // Grows with each writing.
  uint64_t number = 0;
  // Of the boot whose clock is meant (BootId).
  std::string boot_id;
  // On CLOCK_BOOTTIME. 0: no lease was ever granted.
  int64_t deadline_ns = 0;
  // Engine's container ids, each with its tenant's short name.
  std::map<std::string, std::string> containers;
};

// A slot's text, padded to kSlotBytes. Empty when a value cannot be carried: more than
// kMaxContainers, or an id or name that is not 1 to 64 printable characters without blank and
// slash.
std::string EncodeSlot(const Lease& lease);
// Nothing for a slot that is not whole.
std::optional<Lease> DecodeSlot(std::string_view slot);
// The newest whole slot of a file's content.
std::optional<Lease> DecodeFile(std::string_view content);

// What the guard says once a second, so that the agent knows that it lives.
struct Beat {
  std::string boot_id;
  int64_t at_ns = 0;  // CLOCK_BOOTTIME
  int64_t pid = 0;
};
inline constexpr size_t kBeatBytes = 256;
std::string EncodeBeat(const Beat& beat);
std::optional<Beat> DecodeBeat(std::string_view content);

// Of the running kernel; empty when it cannot be read.
std::string BootId();
// Now, on CLOCK_BOOTTIME.
int64_t BootTimeNs();

// At most `max_bytes` of a file; nothing when it cannot be read.
std::optional<std::string> ReadWhole(const std::string& path, size_t max_bytes);

}  // namespace mtp::guard
