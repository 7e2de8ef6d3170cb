#include "common/tls/client_identity.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "common/tls/credentials.h"
#include "common/tls/keys.h"

namespace mtp::tls {
namespace {

using grpc::experimental::ExternalCertificateVerifier;
using grpc::experimental::TlsCustomVerificationCheckRequest;

class PeerVerifier final : public ExternalCertificateVerifier {
 public:
  PeerVerifier(Identity peer, ClientIdentity::Accept accept)
      : peer_(std::move(peer)), accept_(std::move(accept)) {}

  bool Verify(TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* status) override {
    const grpc::string_ref pem = request->peer_cert();
    *status = Check(absl::string_view(pem.data(), pem.size()));
    return true;  // decided at once
  }
  void Cancel(TlsCustomVerificationCheckRequest*) override {}

 private:
  grpc::Status Check(absl::string_view pem) const {
    const auto facts = ReadCertificate(pem);
    if (!facts.ok()) return Refuse("the server shows no certificate that can be read");
    if (facts->identity != peer_) {
      return Refuse(absl::StrCat("the server is ", facts->identity.ToString(), ", not ",
                                 peer_.ToString(), " of fleet ", peer_.fleet));
    }
    if (!accept_(facts->serial)) {
      return Refuse(absl::StrCat("the certificate of ", peer_.ToString(),
                                 " is not in use any more; let it join again"));
    }
    return grpc::Status::OK;
  }
  static grpc::Status Refuse(const std::string& why) {
    return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, why);
  }

  const Identity peer_;
  const ClientIdentity::Accept accept_;
};

}  // namespace

ClientIdentity::ClientIdentity(const std::string& folder, unsigned refresh_s) {
  const IdentityFolder files(folder);
  files_ = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      files.key, CertificateSource(files), files.authority, refresh_s);
}

std::shared_ptr<grpc::ChannelCredentials> ClientIdentity::CredentialsFor(const Identity& peer,
                                                                         Accept accept) const {
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(files_);
  options.watch_identity_key_cert_pairs();
  options.watch_root_certs();
  options.set_certificate_verifier(
      ExternalCertificateVerifier::Create<PeerVerifier>(peer, std::move(accept)));
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace mtp::tls
