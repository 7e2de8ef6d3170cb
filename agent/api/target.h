// What a call about one container names: `tenants/acme`, or `admins/h1` for this host's admin
// instance.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

#include "agent/tenants/journal.h"
#include "agent/tenants/project_writer.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

struct Target {
  std::string name;       // `acme` or `admin`
  std::string container;  // `mtp-acme`
};

// Finds targets of this host. Thread-safe.
class Targets {
 public:
  Targets(std::string host, const Journal* journal, ProjectWriter* writer)
      : host_(std::move(host)), journal_(journal), writer_(writer) {}

  // INVALID_ARGUMENT for a malformed name, NOT_FOUND for what is not on this host.
  absl::StatusOr<Target> Find(absl::string_view resource) const;
  // Of a target that was found; for calling its gateway and for redaction.
  absl::StatusOr<v1::TenantSecrets> Secrets(const Target& target) const;

 private:
  const std::string host_;
  const Journal* const journal_;
  ProjectWriter* const writer_;
};

}  // namespace mtp
