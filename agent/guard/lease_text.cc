#include "agent/guard/lease_text.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace mtp::guard {
namespace {

constexpr char kLeaseHead[] = "mtp-lease 1";
constexpr char kBeatHead[] = "mtp-guard 1";

bool IsWord(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '/';
  });
}

// FNV-1a: against torn writes, not against people; whoever can write here is root.
uint64_t Checksum(std::string_view text) {
  uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211ULL;
  }
  return hash;
}

std::string WithChecksum(std::string text, size_t bytes) {
  text += "end " + std::to_string(Checksum(text)) + "\n";
  if (text.size() > bytes) return "";
  text.resize(bytes, '\n');
  return text;
}

template <typename Number>
bool ParseNumber(std::string_view text, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

// Calls `take` with each line but head and end; false when the text is not whole.
template <typename Take>
bool ForEachLine(std::string_view text, std::string_view head, Take take) {
  size_t begin = 0;
  bool first = true;
  while (begin < text.size()) {
    const size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) return false;
    const std::string_view line = text.substr(begin, end - begin);
    if (first) {
      if (line != head) return false;
      first = false;
    } else if (line.substr(0, 4) == "end ") {
      uint64_t sum = 0;
      return ParseNumber(line.substr(4), &sum) && sum == Checksum(text.substr(0, begin));
    } else if (!take(line)) {
      return false;
    }
    begin = end + 1;
  }
  return false;
}

// The rest of a line that begins with `key` and a blank.
bool Consume(std::string_view line, std::string_view key, std::string_view* rest) {
  if (line.size() <= key.size() || line.substr(0, key.size()) != key || line[key.size()] != ' ') {
    return false;
  }
  *rest = line.substr(key.size() + 1);
  return true;
}

}  // namespace

std::string EncodeSlot(const Lease& lease) {
  if (lease.containers.size() > kMaxContainers || !IsWord(lease.boot_id)) return "";
  std::string text = std::string(kLeaseHead) + "\nnumber " + std::to_string(lease.number) +
                     "\nboot " + lease.boot_id + "\ndeadline_ns " +
                     std::to_string(lease.deadline_ns) + "\n";
  for (const auto& [id, tenant] : lease.containers) {
    if (!IsWord(id) || !IsWord(tenant)) return "";
    text.append("container ").append(id).append(" ").append(tenant).append("\n");
  }
  return WithChecksum(std::move(text), kSlotBytes);
}

std::optional<Lease> DecodeSlot(std::string_view slot) {
  Lease lease;
  const bool whole = ForEachLine(slot, kLeaseHead, [&](std::string_view line) {
    std::string_view rest;
    if (Consume(line, "number", &rest)) return ParseNumber(rest, &lease.number);
    if (Consume(line, "deadline_ns", &rest)) return ParseNumber(rest, &lease.deadline_ns);
    if (Consume(line, "boot", &rest)) {
      lease.boot_id = rest;
      return true;
    }
    if (Consume(line, "container", &rest)) {
      const size_t blank = rest.find(' ');
      if (blank == std::string_view::npos) return false;
      lease.containers.emplace(rest.substr(0, blank), rest.substr(blank + 1));
    }
    return true;  // a line of a newer agent
  });
  if (!whole) return std::nullopt;
  return lease;
}

std::optional<Lease> DecodeFile(std::string_view content) {
  std::optional<Lease> newest;
  for (int slot = 0; slot < kSlots; ++slot) {
    const size_t begin = slot * kSlotBytes;
    if (begin >= content.size()) break;
    std::optional<Lease> lease = DecodeSlot(content.substr(begin, kSlotBytes));
    if (lease && (!newest || lease->number > newest->number)) newest = std::move(lease);
  }
  return newest;
}

std::string EncodeBeat(const Beat& beat) {
  return WithChecksum(std::string(kBeatHead) + "\nboot " + beat.boot_id + "\nat_ns " +
                          std::to_string(beat.at_ns) + "\npid " + std::to_string(beat.pid) + "\n",
                      kBeatBytes);
}

std::optional<Beat> DecodeBeat(std::string_view content) {
  Beat beat;
  const bool whole = ForEachLine(content, kBeatHead, [&](std::string_view line) {
    std::string_view rest;
    if (Consume(line, "at_ns", &rest)) return ParseNumber(rest, &beat.at_ns);
    if (Consume(line, "pid", &rest)) return ParseNumber(rest, &beat.pid);
    if (Consume(line, "boot", &rest)) beat.boot_id = rest;
    return true;
  });
  if (!whole) return std::nullopt;
  return beat;
}

std::string BootId() {
  std::string id = ReadWhole("/proc/sys/kernel/random/boot_id", 64).value_or("");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

int64_t BootTimeNs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::optional<std::string> ReadWhole(const std::string& path, size_t max_bytes) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::string content(max_bytes, '\0');
  size_t size = 0;
  while (size < max_bytes) {
    const ssize_t got = read(file, content.data() + size, max_bytes - size);
    if (got < 0) {
      close(file);
      return std::nullopt;
    }
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  close(file);
  content.resize(size);
  return content;
}

}  // namespace mtp::guard
