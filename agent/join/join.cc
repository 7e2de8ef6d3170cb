#include "agent/join/join.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>

#include "agent/join/fetch_authority.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"
#include "common/base/version.h"
#include "common/tls/credentials.h"
#include "common/tls/keys.h"
#include "mtp/v1/enrollment.grpc.pb.h"

namespace mtp::agent {
namespace {

constexpr size_t kMaxKeyBytes = 256 << 10;

// The key of an earlier try is used again: the controller answers a repeated request only for the
// same key.
absl::StatusOr<SecretString> KeyIn(const std::string& folder) {
  const std::string path = tls::IdentityFolder(folder).key;
  auto present = ReadFile(path, kMaxKeyBytes);
  if (present.ok()) return SecretString(*std::move(present));
  if (!absl::IsNotFound(present.status())) return present.status();
  MTP_RETURN_IF_ERROR(MakeFolders(folder, 0700));
  MTP_ASSIGN_OR_RETURN(SecretString key, tls::NewPrivateKey());
  MTP_RETURN_IF_ERROR(WriteFileAtomically(path, key.Reveal(), 0600));
  return key;
}

}  // namespace

absl::StatusOr<JoinResult> Join(const tls::JoinToken& token, const std::string& identity_folder,
                                const std::string& agent_address) {
  MTP_ASSIGN_OR_RETURN(const std::string authority_pem,
                       FetchAuthority(token.address, token.authority_fingerprint));
  MTP_ASSIGN_OR_RETURN(const SecretString key, KeyIn(identity_folder));
  v1::JoinRequest request;
  request.set_token_id(token.id);
  request.set_token_secret(std::string(token.secret.Reveal()));
  request.set_host_id(token.host);
  request.set_agent_address(agent_address);
  request.set_agent_version(kVersion);
  MTP_ASSIGN_OR_RETURN(*request.mutable_csr_pem(), tls::NewRequest(key, "agent/" + token.host));

  const tls::Identity controller{tls::Identity::Kind::kController, "", ""};
  const auto channel = grpc::CreateCustomChannel(
      token.address, tls::ServerOnlyTlsClient(authority_pem), tls::PeerArguments(controller));
  const auto stub = v1::EnrollmentService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(20)));
  v1::JoinResponse response;
  const grpc::Status status = stub->Join(&context, request, &response);
  WipeString(request.mutable_token_secret());
  if (!status.ok()) return Annotate(FromGrpc(status), absl::StrCat("join at ", token.address));
  // What is written is what will be trusted from now on: the authority that the token named.
  // It vouches for those beside it, while the fleet's authority is replaced by another.
  if (!absl::StrContains(response.ca_pem(), authority_pem)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the controller at ", token.address, " answered with another authority than its own"));
  }
  MTP_RETURN_IF_ERROR(
      tls::WriteIdentity(identity_folder, key, response.certificate_pem(), response.ca_pem()));
  return JoinResult{token.host, response.fleet()};
}

}  // namespace mtp::agent
