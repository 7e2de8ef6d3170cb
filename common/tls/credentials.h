// gRPC credentials from an identity folder: `key.pem` (0600), `cert.pem` (the certificate, then the
// authority's), `ca.pem`. Files replaced there are taken up by new connections within 10 s
// (`refresh_s`), without a restart. TLS 1.3 only.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>

#include "common/base/secret_string.h"
#include "common/tls/identity.h"

namespace mtp::tls {

// Must be the first thing a program does with gRPC, before any thread. gRPC 1.51 has no public way
// to ask for TLS 1.3 alone; but for TLS 1.2 it offers only the cipher suites of an environment
// variable. With suites that need an RSA certificate there, and ECDSA certificates here, no TLS 1.2
// handshake can succeed.
void RestrictTls();

// Paths of one identity.
struct IdentityFolder {
  explicit IdentityFolder(const std::string& folder);
  std::string key;
  std::string certificate;
  std::string authority;
};

// Writes the three files; the key only when it is not empty. Each atomically, the certificate last:
// a reader that finds a certificate finds the rest.
absl::Status WriteIdentity(const std::string& folder, const SecretString& key,
                           const std::string& certificate_pem, const std::string& authority_pem);

// Asks callers for a certificate of the authority and refuses at the handshake those without.
std::shared_ptr<grpc::ServerCredentials> MutualTlsServer(const std::string& folder,
                                                         unsigned refresh_s = 10);
// Does not ask callers for a certificate: only for enrolment.
std::shared_ptr<grpc::ServerCredentials> EnrollmentServer(const std::string& folder);
// Shows the folder's certificate.
std::shared_ptr<grpc::ChannelCredentials> MutualTlsClient(const std::string& folder);
// Shows no certificate; trusts only the given authority (PEM).
std::shared_ptr<grpc::ChannelCredentials> ServerOnlyTlsClient(const std::string& authority_pem);

// Channel arguments: the peer must be this server identity, whatever its address; keepalive every
// 10 s while calls are open, so that a vanished peer is noticed.
grpc::ChannelArguments PeerArguments(const Identity& peer);

// What every server of ours sets: callers may ping every 5 s, messages of at most 8 MiB, no port
// sharing between processes.
void SetServerDefaults(grpc::ServerBuilder& builder);

}  // namespace mtp::tls
