// gRPC credentials from an identity folder. TLS 1.3 only.
//   key.pem   0600: the key, then what is in cert.pem. One file, so that key and certificate are
//             always of each other, whoever reads when and whatever crashes
//   cert.pem  the certificate, then the authorities': a copy, for people and their tools
//   ca.pem    the authorities that are trusted
// Files replaced there are taken up by new connections within 10 s (`refresh_s`), without a
// restart. Folders of earlier versions, with the key alone in key.pem, can be used, too.
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
#include "common/tls/keys.h"

namespace mtp::tls {

// Must be the first thing a program does with gRPC, before any thread. gRPC 1.51 has no public way
// to ask for TLS 1.3 alone; but for TLS 1.2 it offers only the cipher suites of an environment
// variable. With suites that need an RSA certificate there, and ECDSA certificates here, no TLS 1.2
// handshake can succeed. It also takes GRPC_TRACE away, by which gRPC would log what it decrypts,
// and keeps OpenSSL from taking itself apart when the program ends: gRPC's threads may still use
// it.
void PrepareTls();

// Paths of one identity.
struct IdentityFolder {
  explicit IdentityFolder(const std::string& folder);
  std::string key;
  std::string certificate;
  std::string authority;
};

// Writes the three files, each atomically, in the order ca.pem, key.pem, cert.pem. After a crash
// ReadIdentity finds the old identity or the new one. Of `key` all but the key is left out, so that
// the text of a key.pem will do.
absl::Status WriteIdentity(const std::string& folder, const SecretString& key,
                           const std::string& certificate_pem, const std::string& authority_pem);

// An identity as it is in a folder.
struct StoredIdentity {
  SecretString key;        // PEM, the key alone
  std::string chain_pem;   // the certificate, then the authorities'
  CertificateFacts facts;  // of the certificate
};
// NOT_FOUND when there is no key, or no certificate yet; FAILED_PRECONDITION when the certificate
// is not the key's; INVALID_ARGUMENT when either cannot be read.
absl::StatusOr<StoredIdentity> ReadIdentity(const std::string& folder);

// Ends what a crash, or an earlier version, left of an identity: cert.pem and key.pem say the same
// afterwards. To be called before a program that runs for long takes the folder up. Errors as
// ReadIdentity.
absl::Status SettleIdentity(const std::string& folder);

// The file from which the certificate is to be read: key.pem, or cert.pem in a folder of an earlier
// version.
std::string CertificateSource(const IdentityFolder& files);

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

// What every server of ours sets: callers may ping every 5 s, messages of at most 8 MiB, 10 s for a
// handshake, 128 streams a connection, no connection without a call for more than 10 minutes, no
// port sharing between processes.
void SetServerDefaults(grpc::ServerBuilder& builder);

}  // namespace mtp::tls
