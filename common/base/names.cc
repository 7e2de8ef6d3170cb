#include "common/base/names.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>

namespace mtp {
namespace {

constexpr size_t kMaxLength = 40;

// Bad input may be long or hold control characters: the sentence shows only what is safe to print.
std::string Quoted(absl::string_view text) {
  std::string shown;
  for (char c : text.substr(0, 60)) {
    shown += absl::ascii_isprint(static_cast<unsigned char>(c)) ? c : '?';
  }
  if (text.size() > 60) shown += "…";
  return absl::StrCat("\"", shown, "\"");
}

absl::Status CheckName(absl::string_view kind, absl::string_view text) {
  auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(
        Quoted(text), " is not a valid ", kind, " name: ", why,
        ". Use lowercase letters, digits and inner hyphens, at most ", kMaxLength, " characters"));
  };
  if (text.empty()) return refuse("it is empty");
  if (text.size() > kMaxLength) return refuse(absl::StrCat("it has ", text.size(), " characters"));
  for (char c : text) {
    const bool valid = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    if (!valid && c >= 'A' && c <= 'Z') return refuse("it has an uppercase letter");
    if (!valid && c == ' ') return refuse("it has a space");
    if (!valid) return refuse("it has a character that is not allowed");
  }
  if (text.front() == '-' || text.back() == '-') return refuse("a hyphen may not be first or last");
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> ShortName(absl::string_view resource,
                                            absl::string_view collection) {
  absl::string_view rest = resource;
  if (!absl::ConsumePrefix(&rest, collection)) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(resource), " is not a resource name of the form ", collection, "NAME"));
  }
  return rest;
}

}  // namespace

absl::StatusOr<TenantName> TenantName::Parse(absl::string_view text) {
  if (absl::Status status = CheckName("tenant", text); !status.ok()) return status;
  if (text == "admin") {
    return absl::InvalidArgumentError(
        "\"admin\" is reserved for the host's admin instance. Choose another tenant name");
  }
  return TenantName(std::string(text));
}

absl::StatusOr<TenantName> TenantName::ParseResource(absl::string_view resource) {
  auto name = ShortName(resource, "tenants/");
  if (!name.ok()) return name.status();
  return Parse(*name);
}

std::string TenantName::EnvPrefix() const {
  std::string prefix = absl::AsciiStrToUpper(value_);
  std::replace(prefix.begin(), prefix.end(), '-', '_');
  if (absl::ascii_isdigit(static_cast<unsigned char>(prefix.front()))) prefix.insert(0, "T_");
  return prefix;
}

std::string TenantName::EnvPrefixKey() const {
  std::string key = EnvPrefix();
  key.erase(
      std::unique(key.begin(), key.end(), [](char a, char b) { return a == '_' && b == '_'; }),
      key.end());
  return key;
}

absl::StatusOr<HostName> HostName::Parse(absl::string_view text) {
  if (absl::Status status = CheckName("host", text); !status.ok()) return status;
  return HostName(std::string(text));
}

absl::StatusOr<HostName> HostName::ParseResource(absl::string_view resource) {
  auto name = ShortName(resource, "hosts/");
  if (!name.ok()) return name.status();
  return Parse(*name);
}

absl::StatusOr<OperatorName> OperatorName::Parse(absl::string_view text) {
  if (absl::Status status = CheckName("operator", text); !status.ok()) return status;
  return OperatorName(std::string(text));
}

}  // namespace mtp
