#include "controller/tenants/secrets.h"

#include <absl/strings/str_join.h>

#include <vector>

#include "common/base/secret_string.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// All are strings; one that is added to the message is rotated like the others.
template <typename Visit>
void ForEachField(Visit visit) {
  const auto* descriptor = v1::TenantSecrets::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) visit(descriptor->field(i));
}

std::string ValueOf(const v1::TenantSecrets& secrets,
                    const google::protobuf::FieldDescriptor* field) {
  return secrets.GetReflection()->GetString(secrets, field);
}

}  // namespace

absl::StatusOr<v1::TenantSecrets> OpenTenantSecrets(const SecretBox& box, const std::string& sealed,
                                                    const std::string& key) {
  MTP_ASSIGN_OR_RETURN(const SecretString plain, box.Open(sealed, key));
  const absl::string_view bytes = plain.Reveal();
  v1::TenantSecrets secrets;
  if (secrets.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return secrets;
  return absl::DataLossError("they cannot be read");
}

absl::StatusOr<v1::TenantSecrets> ReadTenantSecrets(
    const SecretBox& box, const kv::Table<state::v1::SecretsRecord>& table,
    const std::string& tenant) {
  MTP_ASSIGN_OR_RETURN(const auto row, table.Get(tenant));
  auto secrets = OpenTenantSecrets(box, row.value.sealed(), table.Key(tenant));
  if (!secrets.ok()) return Annotate(secrets.status(), "the tenant's secrets");
  return secrets;
}

std::string SealTenantSecrets(const SecretBox& box, const v1::TenantSecrets& secrets,
                              const std::string& key) {
  const SecretString plain(secrets.SerializeAsString());
  return box.Seal(plain.Reveal(), key);
}

std::string ChangedSecrets(const v1::TenantSecrets& before, const v1::TenantSecrets& after) {
  std::vector<std::string> names;
  ForEachField([&](const auto* field) {
    if (ValueOf(before, field) != ValueOf(after, field)) names.push_back(field->name());
  });
  return absl::StrJoin(names, ",");
}

bool ReplaceSecrets(const v1::TenantSecrets& before, const v1::TenantSecrets& after,
                    v1::TenantSecrets* secrets) {
  const bool same_tenant = secrets->gateway_token() == before.gateway_token();
  bool changed = false;
  ForEachField([&](const auto* field) {
    const std::string former = ValueOf(before, field);
    const std::string present = ValueOf(after, field);
    if (former == present || ValueOf(*secrets, field) != former) return;
    if (former.empty() && !same_tenant) return;
    secrets->GetReflection()->SetString(secrets, field, present);
    changed = true;
  });
  return changed;
}

}  // namespace mtp
