#include "common/tls/credentials.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/crypto.h>

#include <cstdlib>
#include <vector>

#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp::tls {
namespace {

constexpr unsigned kRefreshSeconds = 10;
constexpr size_t kMaxFileBytes = 256 << 10;
// A connection that has not said by then who it is, nor begun to speak HTTP/2, is closed.
constexpr int kHandshakeMs = 10'000;
// Of one connection.
constexpr int kMaxStreams = 128;
constexpr int kIdleMs = 600'000;
constexpr char kCertificateBegins[] = "-----BEGIN CERTIFICATE-----";

std::shared_ptr<grpc::experimental::CertificateProviderInterface> Watch(
    const IdentityFolder& files, unsigned refresh_s = kRefreshSeconds) {
  return std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      files.key, CertificateSource(files), files.authority, refresh_s);
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

absl::Status WritePair(const IdentityFolder& files, const SecretString& key,
                       const std::string& chain_pem) {
  const absl::string_view alone = key.Reveal().substr(0, key.Reveal().find(kCertificateBegins));
  const SecretString pair(absl::StrCat(alone, chain_pem));
  return WriteFileAtomically(files.key, pair.Reveal(), 0600);
}

}  // namespace

void PrepareTls() {
  setenv("GRPC_SSL_CIPHER_SUITES", "ECDHE-RSA-AES256-GCM-SHA384", /*overwrite=*/1);
  unsetenv("GRPC_TRACE");
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
}

IdentityFolder::IdentityFolder(const std::string& folder)
    : key(folder + "/key.pem"), certificate(folder + "/cert.pem"), authority(folder + "/ca.pem") {}

absl::Status WriteIdentity(const std::string& folder, const SecretString& key,
                           const std::string& certificate_pem, const std::string& authority_pem) {
  MTP_RETURN_IF_ERROR(MakeFolders(folder, 0700));
  const IdentityFolder files(folder);
  const std::string chain = certificate_pem + authority_pem;
  MTP_RETURN_IF_ERROR(WriteFileAtomically(files.authority, authority_pem, 0644));
  MTP_RETURN_IF_ERROR(WritePair(files, key, chain));
  return WriteFileAtomically(files.certificate, chain, 0644);
}

absl::StatusOr<StoredIdentity> ReadIdentity(const std::string& folder) {
  const IdentityFolder files(folder);
  StoredIdentity identity;
  MTP_ASSIGN_OR_RETURN(std::string text, ReadFile(files.key, kMaxFileBytes));
  const size_t end = text.find(kCertificateBegins);
  if (end != std::string::npos) {
    identity.chain_pem = text.substr(end);
    text.resize(end);
  } else {
    MTP_ASSIGN_OR_RETURN(identity.chain_pem, ReadFile(files.certificate, kMaxFileBytes));
  }
  identity.key = SecretString(std::move(text));
  MTP_ASSIGN_OR_RETURN(identity.facts, ReadCertificate(identity.chain_pem));
  const auto key = KeyFingerprint(identity.key);
  if (!key.ok()) return absl::InvalidArgumentError(absl::StrCat(files.key, " holds no key"));
  if (*key == identity.facts.key) return identity;
  return absl::FailedPreconditionError(
      absl::StrCat("the certificate in ", folder, " is not that of its key"));
}

absl::Status SettleIdentity(const std::string& folder) {
  const IdentityFolder files(folder);
  MTP_ASSIGN_OR_RETURN(const StoredIdentity identity, ReadIdentity(folder));
  if (CertificateSource(files) != files.key) {
    MTP_RETURN_IF_ERROR(WritePair(files, identity.key, identity.chain_pem));
  }
  const auto shown = ReadFile(files.certificate, kMaxFileBytes);
  if (shown.ok() && *shown == identity.chain_pem) return absl::OkStatus();
  return WriteFileAtomically(files.certificate, identity.chain_pem, 0644);
}

std::string CertificateSource(const IdentityFolder& files) {
  auto text = ReadFile(files.key, kMaxFileBytes);
  if (!text.ok()) return files.certificate;
  const bool whole = absl::StrContains(*text, kCertificateBegins);
  WipeString(&*text);
  return whole ? files.key : files.certificate;
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
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(8 << 20);
}

}  // namespace mtp::tls
