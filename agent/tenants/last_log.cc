#include "agent/tenants/last_log.h"

namespace mtp {
namespace {

constexpr size_t kMaxBytes = 64 << 10;

}  // namespace

std::string ReadLastLog(Engine& engine, const std::string& container, int lines) {
  std::string output;
  bool cut = false;
  LogsOptions options;
  options.tail = lines;
  engine
      .Logs(
          container, options,
          [&](OutputStream, std::string_view bytes) {
            output.append(bytes.data(), bytes.size());
            if (output.size() > kMaxBytes) {
              output.erase(0, output.size() - kMaxBytes);
              cut = true;
            }
            return true;
          },
          std::stop_token())
      .IgnoreError();
  // The rest of a line may hold the rest of a secret, which nobody would know for one.
  if (cut) output.erase(0, output.find('\n'));
  return output;
}

}  // namespace mtp
