// Names and other short texts: accepted exactly when they are of the documented form.
#include "common/base/names.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <set>

#include "agent/backup/beneath.h"
#include "agent/docker/engine_answers.h"
#include "cli/commands/arguments.h"
#include "cli/output/text.h"
#include "common/base/durations.h"
#include "common/base/image_reference.h"
#include "common/base/timestamps.h"
#include "common/base/ulid.h"
#include "common/restic/restic_command.h"
#include "common/tls/identity.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace mtp::fuzz {
namespace {

constexpr absl::string_view kLower = "abcdefghijklmnopqrstuvwxyz";
constexpr absl::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr absl::string_view kDigits = "0123456789";

bool OnlyOf(absl::string_view text, const std::string& letters) {
  return text.find_first_not_of(letters) == absl::string_view::npos;
}

bool IsName(absl::string_view text) {
  return !text.empty() && text.size() <= 40 && OnlyOf(text, absl::StrCat(kLower, kDigits, "-")) &&
         text.front() != '-' && text.back() != '-';
}

bool IsPrintable(absl::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
}

// `refused` is a sentence for people, of bounded length, whatever the text was.
void CheckRefusal(const absl::Status& refused) {
  MTP_HOLDS(refused.ok() || absl::IsInvalidArgument(refused));
  MTP_HOLDS(IsPrintable(refused.message()) && refused.message().size() < 400);
}

void CheckPrefix(const TenantName& name) {
  const std::string prefix = name.EnvPrefix();
  MTP_HOLDS(OnlyOf(prefix, absl::StrCat(kUpper, kDigits, "_")));
  MTP_HOLDS(!absl::ascii_isdigit(static_cast<unsigned char>(prefix.front())));
  MTP_HOLDS(!absl::StrContains(name.EnvPrefixKey(), "__"));
  MTP_HOLDS(TenantName::ParseResource(name.Resource())->value() == name.value());
}

// Seconds that every form of a time can hold.
bool IsNear(int64_t seconds) {
  constexpr int64_t kEnd = int64_t{1} << 32;
  return seconds > -kEnd && seconds < kEnd;
}

bool IsOneWord(absl::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); });
}

}  // namespace

// Two texts, a line each.
void Names(absl::string_view input) {
  Input lines(input);
  const std::string text = lines.Line();
  const auto tenant = TenantName::Parse(text);
  const auto host = HostName::Parse(text);
  MTP_HOLDS(tenant.ok() == (IsName(text) && text != "admin"));
  MTP_HOLDS(host.ok() == IsName(text));
  MTP_HOLDS(OperatorName::Parse(text).ok() == IsName(text));
  CheckRefusal(tenant.status());
  CheckRefusal(host.status());
  CheckRefusal(TenantName::ParseResource(text).status());
  CheckRefusal(HostName::ParseResource(text).status());
  MTP_HOLDS(cli::ParseTenant(text).ok() == tenant.ok());
  MTP_HOLDS(cli::ParseHost(text).ok() == host.ok());
  const auto target = cli::ParseTarget(text);
  MTP_HOLDS(!target.ok() || *target == text || *target == "tenants/" + text);

  const auto other = TenantName::Parse(lines.Rest());
  if (tenant.ok()) CheckPrefix(*tenant);
  if (tenant.ok() && other.ok()) {
    // Equal variables in `.env` are always refused, by the key that is unique in the fleet.
    MTP_HOLDS(tenant->EnvPrefix() != other->EnvPrefix() ||
              tenant->EnvPrefixKey() == other->EnvPrefixKey());
    MTP_HOLDS((*tenant == *other) == (tenant->Container() == other->Container()));
  }

  const bool is_ulid = text.size() == 26 && text[0] >= '0' && text[0] <= '7' &&
                       OnlyOf(text, "0123456789ABCDEFGHJKMNPQRSTVWXYZ");
  MTP_HOLDS(IsUlid(text) == is_ulid);
  const auto operation = cli::ParseOperation(text);
  MTP_HOLDS(!is_ulid || Gives(operation, "operations/" + text));
  MTP_HOLDS(!operation.ok() || Gives(cli::ParseOperation(*operation), *operation));
}

// References to images and containers, and what becomes an argument of restic's.
void References(absl::string_view input) {
  const std::string text(input);
  const auto is_safe = [](absl::string_view part) {
    return !part.empty() && part != "." && part != ".." && part.front() != '-';
  };
  if (IsContainerReference(text)) {
    MTP_HOLDS(is_safe(text) && text.size() <= 128);
    MTP_HOLDS(OnlyOf(text, absl::StrCat(kLower, kUpper, kDigits, "_.-")));
  }
  if (CheckImageReference(text).ok()) {
    MTP_HOLDS(text.size() <= 400);
    for (const absl::string_view part : absl::StrSplit(text, '/')) MTP_HOLDS(is_safe(part));
    MTP_HOLDS(OnlyOf(text, absl::StrCat(kLower, kUpper, kDigits, "_.-:@/")));
  }
  if (IsPlainName(text)) MTP_HOLDS(is_safe(text) || text.front() == '-');
  if (IsPlainName(text)) MTP_HOLDS(text.find('/') == std::string::npos);
  if (CheckIdentity({.fleet = text, .tenant = text, .backup = text}).ok()) {
    // Tags are parted by commas, and a name from its value by `=`.
    MTP_HOLDS(!text.empty() && OnlyOf(text, absl::StrCat(kLower, kUpper, kDigits, "._-")));
  }
  if (CheckSnapshotId(text).ok()) {
    MTP_HOLDS(text.size() == 64 && OnlyOf(text, absl::StrCat(kDigits, "abcdef")));
  }
}

// The text is a certificate's URI.
void Identities(absl::string_view input) {
  const auto identity = tls::Identity::ParseUri(input);
  if (!identity.ok()) {
    CheckRefusal(identity.status());
    return;
  }
  // One spelling alone.
  MTP_HOLDS(identity->Uri() == input);
  MTP_HOLDS(Gives(tls::Identity::ParseUri(identity->Uri()), *identity));
  MTP_HOLDS(IsName(identity->fleet));
  const bool controller = identity->kind == tls::Identity::Kind::kController;
  MTP_HOLDS(identity->kind != tls::Identity::Kind::kAnonymous);
  MTP_HOLDS(controller ? identity->name.empty() : IsName(identity->name));
}

// Lines: what a person types for a time; seconds and nanoseconds of a message.
void Durations(absl::string_view input) {
  Input lines(input);
  const std::string text = lines.Line();
  const auto wait = cli::ParseWait(text, "--timeout");
  if (wait.ok()) {
    MTP_HOLDS(*wait > absl::ZeroDuration() && *wait <= absl::Hours(24 * 365));
    const auto again = cli::ParseWait(absl::FormatDuration(*wait), "--timeout");
    MTP_HOLDS(*wait < absl::Nanoseconds(1) || again.ok());
    MTP_HOLDS(!again.ok() || absl::AbsDuration(*again - *wait) <= absl::Microseconds(1));
  } else {
    CheckRefusal(wait.status());
  }

  google::protobuf::Duration message;
  message.set_seconds(lines.Number());
  message.set_nanos(static_cast<int32_t>(lines.Number() % 1'000'000'000));
  const absl::Duration duration = FromDuration(message);
  const std::string shown = cli::HumanDuration(duration);
  MTP_HOLDS(IsOneWord(shown) && !shown.empty() && shown.size() < 24);
  // What both can hold comes back.
  if (IsNear(message.seconds())) {
    MTP_HOLDS(FromDuration(ToDuration(duration)) == duration);
  }

  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(message.seconds());
  timestamp.set_nanos(std::abs(message.nanos()));
  const absl::Time time = FromTimestamp(timestamp);
  MTP_HOLDS(IsPrintable(cli::Rfc3339(time)));
  if (IsNear(message.seconds())) {
    MTP_HOLDS(FromTimestamp(ToTimestamp(time)) == time);
    MTP_HOLDS(cli::Rfc3339(time).size() == sizeof("2026-01-31T12:00:00Z") - 1);
  }
}

}  // namespace mtp::fuzz
