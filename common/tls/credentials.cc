#include "common/tls/credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <cstdlib>
#include <vector>

#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp::tls {
namespace {

constexpr unsigned kRefreshSeconds = 10;

std::shared_ptr<grpc::experimental::CertificateProviderInterface> Watch(
    const IdentityFolder& files, unsigned refresh_s = kRefreshSeconds) {
  return std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      files.key, files.certificate, files.authority, refresh_s);
}

std::shared_ptr<grpc::ServerCredentials> Server(const std::string& folder,
                                                grpc_ssl_client_certificate_request_type callers,
                                                unsigned refresh_s) {
  grpc::experimental::TlsServerCredentialsOptions options(Watch(IdentityFolder(folder), refresh_s));
  options.watch_identity_key_cert_pairs();
  options.watch_root_certs();
  options.set_cert_request_type(callers);
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace

void RestrictTls() {
  setenv("GRPC_SSL_CIPHER_SUITES", "ECDHE-RSA-AES256-GCM-SHA384", /*overwrite=*/1);
}

IdentityFolder::IdentityFolder(const std::string& folder)
    : key(folder + "/key.pem"), certificate(folder + "/cert.pem"), authority(folder + "/ca.pem") {}

absl::Status WriteIdentity(const std::string& folder, const SecretString& key,
                           const std::string& certificate_pem, const std::string& authority_pem) {
  MTP_RETURN_IF_ERROR(MakeFolders(folder, 0700));
  const IdentityFolder files(folder);
  if (!key.empty()) MTP_RETURN_IF_ERROR(WriteFileAtomically(files.key, key.Reveal(), 0600));
  MTP_RETURN_IF_ERROR(WriteFileAtomically(files.authority, authority_pem, 0644));
  return WriteFileAtomically(files.certificate, certificate_pem + authority_pem, 0644);
}

std::shared_ptr<grpc::ServerCredentials> MutualTlsServer(const std::string& folder,
                                                         unsigned refresh_s) {
  return Server(folder, GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, refresh_s);
}

std::shared_ptr<grpc::ServerCredentials> EnrollmentServer(const std::string& folder) {
  return Server(folder, GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, kRefreshSeconds);
}

std::shared_ptr<grpc::ChannelCredentials> MutualTlsClient(const std::string& folder) {
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(IdentityFolder(folder)));
  options.watch_identity_key_cert_pairs();
  options.watch_root_certs();
  return grpc::experimental::TlsCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> ServerOnlyTlsClient(const std::string& authority_pem) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = authority_pem;
  return grpc::SslCredentials(options);
}

grpc::ChannelArguments PeerArguments(const Identity& peer) {
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(peer.DnsName());
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Named so, but it is the time that one attempt to connect is given: many handshakes at once on a
  // small machine need it.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10'000);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

void SetServerDefaults(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(8 << 20);
}

}  // namespace mtp::tls
