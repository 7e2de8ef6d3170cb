// TLS without gRPC, to offer what gRPC would not: old versions, other suites.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "common/base/file_descriptor.h"
#include "common/tls/credentials.h"

namespace mtp::testing {

struct FreeSsl {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using SslContext = std::unique_ptr<SSL_CTX, FreeSsl>;
using Ssl = std::unique_ptr<SSL, FreeSsl>;

inline SslContext ContextOf(const SSL_METHOD* method, int version, const std::string& folder) {
  SslContext context(SSL_CTX_new(method));
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  // Every suite that the library has, however weak.
  SSL_CTX_set_cipher_list(context.get(), "ALL:@SECLEVEL=0");
  const tls::IdentityFolder files(folder);
  SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str());
  SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM);
  return context;
}

// True when the server at the loopback port takes a client of exactly this version with the
// folder's certificate, and begins to speak HTTP/2 with it.
inline bool ServerTakes(int port, int version, const std::string& folder) {
  const SslContext context = ContextOf(TLS_client_method(), version, folder);
  const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    return false;
  const timeval timeout{5, 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  const Ssl ssl(SSL_new(context.get()));
  static constexpr unsigned char kAlpn[] = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl.get(), kAlpn, sizeof(kAlpn));
  SSL_set_fd(ssl.get(), socket.get());
  std::array<char, 16> settings{};
  // With TLS 1.3 the client is done before the server has looked at its certificate: only the
  // server's first frame tells.
  const bool taken =
      SSL_connect(ssl.get()) == 1 && SSL_read(ssl.get(), settings.data(), settings.size()) > 0;
  ERR_clear_error();
  return taken;
}

// A server on loopback that speaks exactly one version, for one connection.
class RawServer {
 public:
  RawServer(int version, const std::string& folder)
      : context_(ContextOf(TLS_server_method(), version, folder)),
        listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    SSL_CTX_set_alpn_select_cb(
        context_.get(),
        [](SSL*, const unsigned char** out, unsigned char* length, const unsigned char*, unsigned,
           void*) {
          static constexpr unsigned char kH2[] = {'h', '2'};
          *out = kH2;
          *length = sizeof(kH2);
          return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    listen(listener_.get(), 1);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      const FileDescriptor connection(accept(listener_.get(), nullptr, nullptr));
      const timeval timeout{5, 0};
      setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
      const Ssl ssl(SSL_new(context_.get()));
      SSL_set_fd(ssl.get(), connection.get());
      shook_hands_ = SSL_accept(ssl.get()) == 1;
      ERR_clear_error();
    });
  }
  ~RawServer() { ShookHands(); }

  int port() const { return port_; }
  // Waits for the one connection.
  bool ShookHands() {
    if (thread_.joinable()) thread_.join();
    return shook_hands_;
  }

 private:
  SslContext context_;
  FileDescriptor listener_;
  int port_ = 0;
  bool shook_hands_ = false;
  std::thread thread_;
};

}  // namespace mtp::testing
