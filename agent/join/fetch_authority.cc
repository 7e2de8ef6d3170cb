#include "agent/join/fetch_authority.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <memory>

#include "common/tls/keys.h"

namespace mtp::agent {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};

absl::StatusOr<std::string> ToPem(X509* certificate) {
  const std::unique_ptr<BIO, FreeBio> bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1)
    return absl::InternalError("write the authority's certificate");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

// Connects and shakes hands without blocking longer than the deadline.
absl::Status Handshake(BIO* bio, const std::string& address) {
  BIO_set_nbio(bio, 1);
  const absl::Time deadline = absl::Now() + kTimeout;
  while (BIO_do_handshake(bio) != 1) {
    if (!BIO_should_retry(bio)) {
      ERR_clear_error();
      return absl::UnavailableError(
          absl::StrCat("no controller answers with TLS at ", address,
                       "; check that it runs and that this host can reach that address"));
    }
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration() ||
        BIO_wait(bio, absl::ToTimeT(absl::Now() + left) + 1, 20) < 0) {
      return absl::UnavailableError(absl::StrCat("nobody answers at ", address, " within ",
                                                 absl::FormatDuration(kTimeout),
                                                 "; check address and firewall"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> FetchAuthority(const std::string& address,
                                           const std::string& fingerprint) {
  const std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  // Nothing is trusted here: the fingerprint decides.
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  const std::unique_ptr<BIO, FreeBio> bio(BIO_new_ssl_connect(context.get()));
  BIO_set_conn_hostname(bio.get(), address.c_str());
  SSL* ssl = nullptr;
  BIO_get_ssl(bio.get(), &ssl);
  // gRPC servers insist on ALPN.
  static constexpr unsigned char kAlpn[] = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl, kAlpn, sizeof(kAlpn));
  if (absl::Status status = Handshake(bio.get(), address); !status.ok()) return status;
  STACK_OF(X509)* const chain = SSL_get_peer_cert_chain(ssl);
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    auto pem = ToPem(sk_X509_value(chain, i));
    if (!pem.ok()) return pem.status();
    auto facts = tls::ReadCertificate(*pem);
    if (facts.ok() && facts->fingerprint == fingerprint) return pem;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the controller at ", address,
                   " is not of the fleet that made this token (its authority has another "
                   "fingerprint). Check the address; if it is right, someone may be in between"));
}

}  // namespace mtp::agent
