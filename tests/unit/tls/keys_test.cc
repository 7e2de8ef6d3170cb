#include "common/tls/keys.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "tests/unit/tls/fleet_keys.h"

namespace mtp::tls {
namespace {

using ::testing::HasSubstr;

// A well-signed request for any key.
std::string RequestFor(EVP_PKEY* key) {
  X509_REQ* request = X509_REQ_new();
  X509_REQ_set_pubkey(request, key);
  X509_REQ_sign(request, key, EVP_sha256());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_REQ(bio, request);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free_all(bio);
  X509_REQ_free(request);
  EVP_PKEY_free(key);
  return pem;
}

void ExpectRefused(const std::string& request) {
  TestAuthority authority;
  EXPECT_EQ(authority.TryIssue(request).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RequestKeyFingerprint(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Keys, AreNeverTheSame) { EXPECT_NE(NewPrivateKey()->Reveal(), NewPrivateKey()->Reveal()); }

TEST(Requests, ForTheSameKeyHaveTheSameFingerprint) {
  const SecretString key = NewPrivateKey().value();
  const auto first = RequestKeyFingerprint(NewRequest(key, "one").value());
  const auto second = RequestKeyFingerprint(NewRequest(key, "two").value());
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*first, *second);
  EXPECT_NE(*first, *RequestKeyFingerprint(NewRequest(NewPrivateKey().value(), "one").value()));
}

TEST(Requests, AreRefusedForAnRsaKey) { ExpectRefused(RequestFor(EVP_RSA_gen(2048))); }

TEST(Requests, AreRefusedForAnotherCurve) { ExpectRefused(RequestFor(EVP_EC_gen("P-384"))); }

TEST(Requests, AreRefusedWhenMalformedOrEmpty) {
  ExpectRefused("");
  ExpectRefused("not a request");
  ExpectRefused("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n");
  TestAuthority authority;
  ExpectRefused(authority.pem());
}

TEST(Requests, AreRefusedWhenTheSignatureDoesNotHold) {
  // The last bytes before the end are the signature's.
  std::string request = NewRequest(NewPrivateKey().value(), "h1").value();
  const size_t end = request.find("\n-----END");
  char& signature = request[end - 8];
  signature = signature == 'A' ? 'B' : 'A';
  ExpectRefused(request);
}

TEST(Requests, AreRefusedAboveSixteenKibibytes) {
  const std::string request = NewRequest(NewPrivateKey().value(), "h1").value();
  TestAuthority authority;
  const std::string at_limit = request + std::string((16 << 10) - request.size(), '\n');
  EXPECT_TRUE(authority.TryIssue(at_limit).ok());
  EXPECT_THAT(std::string(authority.TryIssue(at_limit + "\n").status().message()),
              HasSubstr("too large"));
}

TEST(Certificates, CarryWhatTheIssuerSaysAndNotWhatTheRequestSays) {
  TestAuthority authority;
  const auto issued =
      authority.Sign(NewRequest(NewPrivateKey().value(), "controller").value(), kOperator);
  const auto facts = ReadCertificate(issued.pem);
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->identity, kOperator);
  EXPECT_EQ(facts->serial, issued.serial);
  EXPECT_LT(facts->not_before, absl::Now());
  EXPECT_GT(facts->not_after, absl::Now());
  EXPECT_EQ(facts->fingerprint.size(), 64U);
}

TEST(Certificates, HaveSerialsOfTheirOwn) {
  TestAuthority authority;
  const std::string request = NewRequest(NewPrivateKey().value(), "h1").value();
  EXPECT_NE(authority.Sign(request, kAgent).serial, authority.Sign(request, kAgent).serial);
}

TEST(Certificates, OfAnAuthorityCarryNoIdentity) {
  const auto facts = ReadCertificate(TestAuthority().pem());
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->identity, Identity());
}

TEST(Certificates, AreNotReadFromOtherText) {
  EXPECT_EQ(ReadCertificate("nonsense").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadCertificate("").status().code(), absl::StatusCode::kInvalidArgument);
}

// The text under another head: OpenSSL asks at the terminal for a pass phrase to open it.
std::string SaidToBeEncrypted(std::string pem) {
  pem.insert(pem.find('\n') + 1,
             "Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,0123456789ABCDEF\n\n");
  return pem;
}

// What a process prints at its terminal while it reads the certificate, or the request.
std::string SaidAtTheTerminal(const std::string& pem) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  EXPECT_TRUE(grantpt(terminal) == 0 && unlockpt(terminal) == 0);
  const int end = open(ptsname(terminal), O_RDWR | O_NOCTTY);
  const pid_t child = fork();
  if (child == 0) {
    close(terminal);
    if (setsid() < 0 || ioctl(end, TIOCSCTTY, 0) != 0) _exit(2);
    _exit(ReadCertificate(pem).ok() || RequestKeyFingerprint(pem).ok() ? 1 : 0);
  }
  close(end);
  // Until the child's end, or its first word: it would wait for an answer then.
  std::string said(64, '\0');
  const ssize_t size = read(terminal, said.data(), said.size());
  said.resize(static_cast<size_t>(std::max<ssize_t>(0, size)));
  if (size > 0) kill(child, SIGKILL);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  close(terminal);
  return said;
}

TEST(Certificates, OfAStrangerAskNobodyForAPassPhrase) {
  EXPECT_EQ(SaidAtTheTerminal(SaidToBeEncrypted(TestAuthority().pem())), "");
  const std::string request = NewRequest(NewPrivateKey().value(), "h1").value();
  EXPECT_EQ(SaidAtTheTerminal(SaidToBeEncrypted(request)), "");
}

TEST(Sha256, IsTheKnownValue) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Keys, TellWhoseCertificateItIsAndWhoSignedIt) {
  const TestAuthority authority;
  const TestAuthority other;
  const SecretString key = NewPrivateKey().value();
  const std::string request = NewRequest(key, "x").value();
  const std::string pem = authority.Sign(request, kAgent).pem;
  EXPECT_EQ(ReadCertificate(pem)->key, KeyFingerprint(key).value());
  EXPECT_EQ(ReadCertificate(pem)->key, RequestKeyFingerprint(request).value());
  EXPECT_TRUE(CheckIssuer(pem, authority.pem()).ok());
  EXPECT_TRUE(CheckIssuer(pem, other.pem() + authority.pem()).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(CheckIssuer(pem, other.pem())));
  EXPECT_TRUE(absl::IsInvalidArgument(CheckIssuer(pem, "")));
  EXPECT_EQ(FirstCertificate(pem + authority.pem()).value(), pem);
}

}  // namespace
}  // namespace mtp::tls
