#include "cli/commands/renewal.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "cli/commands/call.h"
#include "common/base/atomic_file.h"
#include "common/base/file_descriptor.h"
#include "common/base/status.h"
#include "common/tls/credentials.h"
#include "common/tls/renewal.h"
#include "mtp/v1/fleet.grpc.pb.h"

namespace mtp::cli {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);

// Certificates begin 10 minutes in the past; one of the last two minutes is left alone.
constexpr absl::Duration kMinAge = absl::Minutes(12);

using Wants = std::function<bool(const tls::StoredIdentity&)>;

bool IsDue(const tls::CertificateFacts& facts, absl::Time now) {
  return now >= tls::RenewalTime(facts.not_before, facts.not_after, facts.identity.Uri()) &&
         now < facts.not_after;
}

// Replacing a link, or another user's file, would take the identity away from someone.
absl::Status CheckOwn(const std::string& path) {
  struct stat facts = {};
  if (lstat(path.c_str(), &facts) != 0) return ErrnoStatus(errno, path);
  if (S_ISREG(facts.st_mode) && facts.st_uid == geteuid()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, " is a link or another user's; let its owner call the fleet once"));
}

// Nothing when another run has it.
absl::StatusOr<FileDescriptor> Lock(const std::string& folder) {
  const std::string path = folder + "/renewal.lock";
  FileDescriptor lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid()) return ErrnoStatus(errno, path);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  return errno == EWOULDBLOCK ? absl::StatusOr<FileDescriptor>(FileDescriptor())
                              : ErrnoStatus(errno, path);
}

absl::StatusOr<v1::RenewCertificateResponse> Ask(Invocation& invocation, const SecretString& key) {
  v1::RenewCertificateRequest request;
  MTP_ASSIGN_OR_RETURN(*request.mutable_csr_pem(), tls::NewRequest(key, "operator"));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kTimeout));
  v1::RenewCertificateResponse response;
  const grpc::Status status =
      v1::FleetService::NewStub(invocation.channel)->RenewCertificate(&context, request, &response);
  if (!status.ok()) return CallStatus(invocation, status, kTimeout);
  return response;
}

absl::Status Renew(Invocation& invocation, const std::string& folder, const Wants& wants) {
  MTP_RETURN_IF_ERROR(CheckOwn(tls::IdentityFolder(folder).key));
  MTP_ASSIGN_OR_RETURN(const FileDescriptor lock, Lock(folder));
  if (!lock.valid()) return absl::OkStatus();
  // Another run may have done it just before.
  MTP_ASSIGN_OR_RETURN(const tls::StoredIdentity present, tls::ReadIdentity(folder));
  if (!wants(present)) return absl::OkStatus();
  MTP_ASSIGN_OR_RETURN(const SecretString key, tls::NewPrivateKey());
  MTP_ASSIGN_OR_RETURN(const v1::RenewCertificateResponse response, Ask(invocation, key));
  MTP_ASSIGN_OR_RETURN(const tls::CertificateFacts next,
                       tls::ReadCertificate(response.certificate_pem()));
  MTP_ASSIGN_OR_RETURN(const std::string own_key, tls::KeyFingerprint(key));
  MTP_RETURN_IF_ERROR(tls::CheckIssuer(response.certificate_pem(), response.ca_pem()));
  if (next.identity != present.facts.identity || next.key != own_key) {
    return absl::InternalError("the controller's answer is not a certificate of this operator");
  }
  return tls::WriteIdentity(folder, key, response.certificate_pem(), response.ca_pem());
}

void RenewIf(Invocation& invocation, const std::string& folder, const Wants& wants) {
  const auto present = tls::ReadIdentity(folder);
  if (!present.ok() || !wants(*present)) return;
  const absl::Status renewed = Renew(invocation, folder, wants);
  if (renewed.ok()) return;
  invocation.Warn(
      absl::StrCat("the identity in ", folder, " ends on ",
                   absl::FormatTime("%Y-%m-%d", present->facts.not_after, absl::UTCTimeZone()),
                   " and could not be renewed: ", renewed.message()));
}

std::vector<std::string> Certificates(absl::string_view pem) {
  constexpr absl::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  std::vector<std::string> all;
  for (size_t at = pem.find(kBegin); at != pem.npos; at = pem.find(kBegin, at + 1)) {
    if (auto one = tls::FirstCertificate(pem.substr(at)); one.ok()) all.push_back(*std::move(one));
  }
  return all;
}

// What the controller trusts: all behind its own certificate, the authority that issues first.
std::vector<std::string> AuthoritiesOf(const grpc::AuthContext& connection) {
  const auto chains = connection.FindPropertyValues("x509_pem_cert_chain");
  if (chains.empty()) return {};
  auto all = Certificates(absl::string_view(chains[0].data(), chains[0].size()));
  if (!all.empty()) all.erase(all.begin());
  return all;
}

// Whether the identity is of the authority that issues, and trusts that one, and none that the
// controller does not trust (any more).
bool Follows(const tls::StoredIdentity& identity, const std::string& trusted_pem,
             const std::vector<std::string>& authorities) {
  const std::vector<std::string> trusted = Certificates(trusted_pem);
  const auto has = [](const std::vector<std::string>& all, const std::string& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  return has(trusted, authorities.front()) &&
         std::all_of(trusted.begin(), trusted.end(),
                     [&](const std::string& one) { return has(authorities, one); }) &&
         tls::CheckIssuer(identity.chain_pem, authorities.front()).ok();
}

}  // namespace

void RenewIdentity(Invocation& invocation, const std::string& folder) {
  RenewIf(invocation, folder, [&](const tls::StoredIdentity& present) {
    return IsDue(present.facts, invocation.now());
  });
}

void FollowAuthority(Invocation& invocation, const grpc::AuthContext& connection) {
  if (!invocation.renews || invocation.identity_folder.empty()) return;
  invocation.renews = false;  // once is enough
  const std::vector<std::string> authorities = AuthoritiesOf(connection);
  if (authorities.empty()) return;
  RenewIf(invocation, invocation.identity_folder, [&](const tls::StoredIdentity& present) {
    const auto trusted =
        ReadFile(tls::IdentityFolder(invocation.identity_folder).authority, 64 << 10);
    const bool follows = trusted.ok() && Follows(present, *trusted, authorities);
    return !follows && invocation.now() > present.facts.not_before + kMinAge;
  });
}

}  // namespace mtp::cli
