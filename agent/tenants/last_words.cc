#include "agent/tenants/last_words.h"

#include <absl/strings/str_cat.h>

#include "agent/tenants/last_log.h"
#include "agent/tenants/redaction.h"

namespace mtp {
namespace {

constexpr int kShownLines = 8;
constexpr size_t kShownBytes = 900;

}  // namespace

std::string HowItEnded(const ContainerDetails& details) {
  if (details.oom_killed) {
    return absl::StrCat("the kernel killed it for want of memory (limit ",
                        details.memory_limit_bytes >> 20, " MiB)");
  }
  if (!details.error.empty()) return details.error;
  return absl::StrCat("exit code ", details.exit_code);
}

std::string WithLastWords(std::string why, Engine& engine, const std::string& container,
                          const v1::TenantSecrets& secrets) {
  const std::string lines =
      LastLines(ReadLastLog(engine, container, kShownLines * 2), secrets, kShownLines, kShownBytes);
  if (!lines.empty()) absl::StrAppend(&why, ". Its last words: ", lines);
  return why;
}

}  // namespace mtp
