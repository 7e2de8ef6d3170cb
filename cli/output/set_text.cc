#include "cli/output/set_text.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include "cli/output/operation_view.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/words.h"

namespace mtp::cli {
namespace {

// `bot token, gateway token`.
std::string ChangedWords(const v1::Operation& operation) {
  const std::vector<std::string> fields =
      absl::StrSplit(ResultOf(operation, "changed"), ',', absl::SkipEmpty());
  return absl::StrJoin(fields, ", ", [](std::string* out, const std::string& field) {
    absl::StrAppend(out, SettingName(field));
  });
}

std::string Making(const std::string& tenant, const v1::Operation& operation,
                   const std::string& after) {
  const std::string words = ChangedWords(operation);
  if (words.empty()) return absl::StrCat(tenant, " has these settings already\n");
  const std::string not_ready = ResultOf(operation, "not_ready");
  return absl::StrCat(
      after, "\n  changed ", Visible(words), "\n",
      not_ready.empty() ? "" : absl::StrCat("  it is not ready: ", Visible(not_ready), "\n"));
}

}  // namespace

std::string SetText(const std::string& tenant, const std::string& failover,
                    const v1::Operation& operation, absl::Time now, bool colour) {
  const std::string after = absl::StrCat(Paint(tenant, Tone::kStrong, colour), " is set after ",
                                         HumanDuration(Elapsed(operation, now)));
  if (!failover.empty()) return absl::StrCat(after, "\n  on host loss ", failover, "\n");
  if (operation.kind() == "reconfigure") return Making(tenant, operation, after);
  const auto mib = [&](const char* key) {
    const std::string value = ResultOf(operation, key);
    return value.empty() ? std::string("unknown") : absl::StrCat(Visible(value), " MiB");
  };
  return absl::StrCat(after, "\n  memory limit ", mib("memory_limit_mib"), "\n  reserved     ",
                      mib("memory_reservation_mib"), "\n");
}

}  // namespace mtp::cli
