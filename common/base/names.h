// Names as types: once parsed, always valid. One rule for tenants, hosts and operators: lowercase
// letters, digits and inner hyphens, 1 to 40 characters.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <compare>
#include <string>

namespace mtp {

class TenantName {
 public:
  // INVALID_ARGUMENT with a sentence for bad names and for the reserved name `admin`.
  static absl::StatusOr<TenantName> Parse(absl::string_view text);
  // From a resource name, `tenants/acme`.
  static absl::StatusOr<TenantName> ParseResource(absl::string_view resource);

  const std::string& value() const { return value_; }
  std::string Resource() const { return "tenants/" + value_; }
  // `mtp-acme`.
  std::string Container() const { return "mtp-" + value_; }
  // Prefix of the tenant's variables in `.env`: uppercase, hyphens become underscores; a leading
  // digit gets `T_` in front, since a variable name may not begin with one. `client-a` ->
  // `CLIENT_A`.
  std::string EnvPrefix() const;
  // What must be unique in the fleet so that no two prefixes are equal or easily confused: the
  // prefix with runs of underscores made one. `client-a` and `client--a` share `CLIENT_A`.
  std::string EnvPrefixKey() const;

  auto operator<=>(const TenantName&) const = default;

 private:
  explicit TenantName(std::string value) : value_(std::move(value)) {}
  std::string value_;
};

class HostName {
 public:
  static absl::StatusOr<HostName> Parse(absl::string_view text);
  // From a resource name, `hosts/h1`.
  static absl::StatusOr<HostName> ParseResource(absl::string_view resource);

  const std::string& value() const { return value_; }
  std::string Resource() const { return "hosts/" + value_; }

  auto operator<=>(const HostName&) const = default;

 private:
  explicit HostName(std::string value) : value_(std::move(value)) {}
  std::string value_;
};

class OperatorName {
 public:
  static absl::StatusOr<OperatorName> Parse(absl::string_view text);
  const std::string& value() const { return value_; }
  auto operator<=>(const OperatorName&) const = default;

 private:
  explicit OperatorName(std::string value) : value_(std::move(value)) {}
  std::string value_;
};

}  // namespace mtp
