// Secrets of tenants as they are recorded: sealed, each for the key of the record that holds them.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <string>

#include "common/base/secret_box.h"
#include "common/kv/table.h"
#include "mtp/state/v1/state.pb.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp {

// DATA_LOSS when they cannot be opened or read.
absl::StatusOr<v1::TenantSecrets> OpenTenantSecrets(const SecretBox& box, const std::string& sealed,
                                                    const std::string& key);
// The tenant's in that table. NOT_FOUND; DATA_LOSS as above.
absl::StatusOr<v1::TenantSecrets> ReadTenantSecrets(
    const SecretBox& box, const kv::Table<state::v1::SecretsRecord>& table,
    const std::string& tenant);
std::string SealTenantSecrets(const SecretBox& box, const v1::TenantSecrets& secrets,
                              const std::string& key);

// Names of the fields of v1::TenantSecrets whose values differ, in their order, with commas.
std::string ChangedSecrets(const v1::TenantSecrets& before, const v1::TenantSecrets& after);

// Gives `secrets` the value of `after` in each field that has the one of `before`, where these two
// differ. A key that there was not before is added where the gateway token tells that they are of
// the same tenant. Other values are none of its business. Whether anything was changed.
bool ReplaceSecrets(const v1::TenantSecrets& before, const v1::TenantSecrets& after,
                    v1::TenantSecrets* secrets);

}  // namespace mtp
