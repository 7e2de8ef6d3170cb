#include "controller/backups/repositories.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <set>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/base/utf8.h"
#include "common/restic/repository_place.h"
#include "controller/backups/repository_secrets.h"
#include "controller/backups/tenant_schedule.h"

namespace mtp {
namespace {

using state::v1::RepositoryRecord;

constexpr size_t kMaxNameBytes = 40;
constexpr size_t kRootKeyBytes = 32;
constexpr size_t kMaxReasonBytes = 1000;

absl::Status CheckName(absl::string_view name) {
  const bool valid = !name.empty() && name.size() <= kMaxNameBytes && name.front() != '-' &&
                     name.back() != '-' && std::all_of(name.begin(), name.end(), [](char c) {
                       const auto byte = static_cast<unsigned char>(c);
                       return absl::ascii_islower(byte) || absl::ascii_isdigit(byte) || c == '-';
                     });
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "a repository's name is 1 to 40 lowercase letters, digits and inner hyphens");
}

absl::StatusOr<v1::RepositorySecrets> OpenSecrets(const SecretBox& box, const Tables& tables,
                                                  const kv::Row<RepositoryRecord>& row) {
  auto plain = box.Open(row.value.sealed_secrets(), tables.repositories.Key(row.id));
  if (!plain.ok()) {
    return Annotate(plain.status(), absl::StrCat("the secrets of repository ", row.id));
  }
  v1::RepositorySecrets secrets;
  const absl::string_view bytes = plain->Reveal();
  if (!secrets.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError(
        absl::StrCat("the secrets of repository ", row.id, " cannot be read"));
  }
  return secrets;
}

std::string PasswordFor(const v1::RepositorySecrets& secrets, const std::string& tenant) {
  const SecretString key(absl::HexStringToBytes(secrets.root_key()));
  const std::string what = "mtp-repository/" + tenant;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  HMAC(EVP_sha256(), key.Reveal().data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(what.data()), what.size(), digest.data(), &length);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), length));
}

absl::Status NoSuch(absl::string_view name) {
  return absl::NotFoundError(
      absl::StrCat("there is no repository \"", name, "\"; `mtp-cli repository list` shows all"));
}

void Put(const Tables& tables, const kv::Row<RepositoryRecord>& row, kv::Txn& txn) {
  txn.RequireRevision(tables.repositories.Key(row.id), row.revision);
  tables.repositories.Put(txn, row.id, row.value);
}

}  // namespace

absl::StatusOr<v1::Repository> Repositories::Add(const v1::AddRepositoryRequest& request) {
  const std::string& name = request.repository_id();
  MTP_RETURN_IF_ERROR(CheckName(name));
  MTP_ASSIGN_OR_RETURN(const RepositoryPlace place, RepositoryPlace::Parse(request.url()));
  absl::MutexLock lock(&adding_);
  const auto known = tables_.repositories.Get(name);
  if (known.ok()) return Again(*known, place.url(), request.secrets());
  if (!absl::IsNotFound(known.status())) return known.status();
  MTP_RETURN_IF_ERROR(CheckRepositorySecrets(place, request.secrets()));
  MTP_ASSIGN_OR_RETURN(const auto others, tables_.repositories.List());

  v1::RepositorySecrets secrets = request.secrets();
  secrets.set_root_key(secrets.root_key().empty()
                           ? absl::BytesToHexString(random_->Bytes(kRootKeyBytes))
                           : absl::AsciiStrToLower(secrets.root_key()));
  const SecretString plain(secrets.SerializeAsString());
  RepositoryRecord record;
  v1::Repository& shown = *record.mutable_repository();
  shown.set_name("repositories/" + name);
  shown.set_url(place.url());
  shown.set_is_default(others.empty());
  *shown.mutable_create_time() = ToTimestamp(clock_->Now());
  record.set_sealed_secrets(box_->Seal(plain.Reveal(), tables_.repositories.Key(name)));
  kv::Txn txn;
  txn.RequireAbsent(tables_.repositories.Key(name));
  tables_.repositories.Put(txn, name, record);
  MTP_RETURN_IF_ERROR(store_->Commit(txn).status());
  return Show(record, 0);
}

absl::StatusOr<v1::Repository> Repositories::Again(const kv::Row<RepositoryRecord>& row,
                                                   const std::string& url,
                                                   const v1::RepositorySecrets& given) const {
  MTP_ASSIGN_OR_RETURN(const v1::RepositorySecrets held, OpenSecrets(*box_, tables_, row));
  if (row.value.repository().url() != url || !AgreesWith(given, held)) {
    return absl::AlreadyExistsError(
        absl::StrCat("there is already a repository \"", row.id,
                     "\" with another url or other secrets; choose another name"));
  }
  MTP_ASSIGN_OR_RETURN(const std::vector<v1::Repository> all, List());
  for (const v1::Repository& repository : all) {
    if (repository.name() == row.value.repository().name()) return repository;
  }
  return NoSuch(row.id);
}

absl::StatusOr<std::map<std::string, std::vector<std::string>>> Repositories::Contents() const {
  MTP_ASSIGN_OR_RETURN(const auto backups, tables_.backups.List());
  std::map<std::string, std::vector<std::string>> contents;
  for (const auto& row : backups) {
    contents[row.value.backup().repository()].push_back(row.value.backup().tenant());
  }
  return contents;
}

absl::StatusOr<std::vector<v1::Repository>> Repositories::List() const {
  MTP_ASSIGN_OR_RETURN(auto contents, Contents());
  MTP_ASSIGN_OR_RETURN(const auto rows, tables_.repositories.List());
  std::vector<v1::Repository> repositories;
  repositories.reserve(rows.size());
  for (const auto& row : rows) repositories.push_back(Show(row.value, contents[row.id].size()));
  return repositories;
}

absl::StatusOr<v1::RecoveryKit> Repositories::Kit(const std::string& fleet) const {
  MTP_ASSIGN_OR_RETURN(auto contents, Contents());
  MTP_ASSIGN_OR_RETURN(const auto rows, tables_.repositories.List());
  v1::RecoveryKit kit;
  kit.set_fleet(fleet);
  *kit.mutable_create_time() = ToTimestamp(clock_->Now());
  for (const auto& row : rows) {
    const std::vector<std::string>& backups = contents[row.id];
    v1::RecoveryKit::Entry& entry = *kit.add_repositories();
    *entry.mutable_repository() = Show(row.value, backups.size());
    MTP_ASSIGN_OR_RETURN(*entry.mutable_secrets(), OpenSecrets(*box_, tables_, row));
    const std::set<std::string> tenants(backups.begin(), backups.end());
    for (const std::string& tenant : tenants) entry.add_tenants(tenant);
  }
  return kit;
}

v1::Repository Repositories::Show(const RepositoryRecord& record, size_t backups) const {
  v1::Repository repository = record.repository();
  repository.set_backups(static_cast<int32_t>(backups));
  return repository;
}

absl::StatusOr<std::string> Repositories::Choose(const std::string& resource) const {
  MTP_ASSIGN_OR_RETURN(const auto rows, tables_.repositories.List());
  if (rows.empty()) {
    return absl::FailedPreconditionError(
        "no repository for backups was added yet; begin with `mtp-cli repository add NAME URL`");
  }
  absl::string_view name = resource;
  if (!name.empty() && !absl::ConsumePrefix(&name, "repositories/")) {
    return absl::InvalidArgumentError(
        "a repository is named repositories/NAME; `mtp-cli repository list` shows all");
  }
  if (!resource.empty()) MTP_RETURN_IF_ERROR(CheckName(name));
  for (const auto& row : rows) {
    if (resource.empty() ? row.value.repository().is_default() : row.id == name) return row.id;
  }
  return NoSuch(name);
}

std::string RepositoryResource(const std::string& name) {
  return name.empty() ? "" : absl::StrCat("repositories/", name);
}

bool IsRepositoryResource(absl::string_view resource) {
  return absl::ConsumePrefix(&resource, "repositories/") && CheckName(resource).ok();
}

absl::StatusOr<std::string> Repositories::ChooseFor(const std::string& tenant,
                                                    const std::string& resource) const {
  if (!resource.empty()) return Choose(resource);
  MTP_ASSIGN_OR_RETURN(const v1::BackupPolicy policy, PolicyOfTenant(tables_, tenant));
  return Choose(RepositoryResource(policy.repository()));
}

absl::StatusOr<std::string> Repositories::OfTenant(const std::string& tenant) const {
  absl::StatusOr<std::string> chosen = ChooseFor(tenant, "");
  if (absl::IsFailedPrecondition(chosen.status())) return std::string();
  return chosen;
}

v1::RepositoryAccess AccessOf(const std::string& url, const v1::RepositorySecrets& secrets,
                              const std::string& tenant) {
  v1::RepositoryAccess access;
  access.set_url(absl::StrCat(absl::StripSuffix(url, "/"), "/", tenant));
  access.set_password(PasswordFor(secrets, tenant));
  access.set_s3_access_key(secrets.s3_access_key());
  access.set_s3_secret_key(secrets.s3_secret_key());
  access.set_sftp_private_key(secrets.sftp_private_key());
  access.set_sftp_known_hosts(secrets.sftp_known_hosts());
  access.set_ca_certificates(secrets.ca_certificates());
  return access;
}

absl::StatusOr<v1::RepositorySecrets> SecretsFor(const Tables& tables, const SecretBox& box,
                                                 const std::string& repository) {
  const auto row = tables.repositories.Get(repository);
  if (absl::IsNotFound(row.status())) return NoSuch(repository);
  if (!row.ok()) return row.status();
  return OpenSecrets(box, tables, *row);
}

absl::StatusOr<v1::RepositoryAccess> AccessFor(const Tables& tables, const SecretBox& box,
                                               const std::string& repository,
                                               const std::string& tenant) {
  MTP_ASSIGN_OR_RETURN(const v1::RepositorySecrets secrets, SecretsFor(tables, box, repository));
  MTP_ASSIGN_OR_RETURN(const auto row, tables.repositories.Get(repository));
  return AccessOf(row.value.repository().url(), secrets, tenant);
}

void NoteSuccess(const Tables& tables, const std::string& repository, absl::Time time,
                 kv::Txn& txn) {
  auto row = tables.repositories.Get(repository);
  if (!row.ok()) return;
  v1::Repository& shown = *row->value.mutable_repository();
  *shown.mutable_last_success_time() = ToTimestamp(time);
  shown.clear_last_failure_time();
  shown.clear_last_failure();
  Put(tables, *row, txn);
}

void NoteFailure(const Tables& tables, const std::string& repository, absl::Time time,
                 const std::string& reason, kv::Txn& txn) {
  auto row = tables.repositories.Get(repository);
  if (!row.ok()) return;
  v1::Repository& shown = *row->value.mutable_repository();
  *shown.mutable_last_failure_time() = ToTimestamp(time);
  shown.set_last_failure(ValidUtf8(reason, kMaxReasonBytes));
  Put(tables, *row, txn);
}

}  // namespace mtp
