#include "common/tls/keys.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <memory>

#include "tests/support/test_fleet.h"

namespace mtp::tls {
namespace {

using mtp::testing::TestFleet;

// A well-signed request for a key of a kind that is not ours.
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

CertificateSpec SpecOf(const Identity& identity) {
  return {identity, absl::FromUnixSeconds(1'700'000'000), absl::FromUnixSeconds(1'800'000'000)};
}

TEST(Keys, AnIssuedCertificateCarriesIdentitySerialAndTimes) {
  TestFleet fleet;
  const SecretString key = NewPrivateKey().value();
  const std::string request = NewRequest(key, "somebody else").value();
  const auto issued = Issue(request, SpecOf(fleet.Agent("h1")), fleet.ca(), fleet.key());
  ASSERT_TRUE(issued.ok()) << issued.status();
  const auto facts = ReadCertificate(issued->pem);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->identity, fleet.Agent("h1"));
  EXPECT_EQ(facts->serial, issued->serial);
  EXPECT_EQ(facts->serial.size(), 32u);
  EXPECT_EQ(facts->not_before, absl::FromUnixSeconds(1'700'000'000));
  EXPECT_EQ(facts->not_after, absl::FromUnixSeconds(1'800'000'000));
  EXPECT_EQ(facts->fingerprint.size(), 64u);
}

TEST(Keys, TwoCertificatesNeverShareASerial) {
  TestFleet fleet;
  const std::string request = NewRequest(NewPrivateKey().value(), "x").value();
  const auto first = Issue(request, SpecOf(fleet.Agent("h1")), fleet.ca(), fleet.key());
  const auto second = Issue(request, SpecOf(fleet.Agent("h1")), fleet.ca(), fleet.key());
  EXPECT_NE(first->serial, second->serial);
}

TEST(Keys, ARequestForAnythingButP256IsRefused) {
  TestFleet fleet;
  for (EVP_PKEY* key : {EVP_RSA_gen(2048), EVP_EC_gen("P-384"), EVP_EC_gen("secp256k1")}) {
    const std::string request = RequestFor(key);
    const auto issued = Issue(request, SpecOf(fleet.Agent("h1")), fleet.ca(), fleet.key());
    EXPECT_TRUE(absl::IsInvalidArgument(issued.status())) << request;
  }
}

TEST(Keys, ARequestOfP256MadeElsewhereIsTaken) {
  TestFleet fleet;
  const std::string request = RequestFor(EVP_EC_gen("P-256"));
  EXPECT_TRUE(Issue(request, SpecOf(fleet.Agent("h1")), fleet.ca(), fleet.key()).ok());
}

TEST(Keys, ARequestWhoseSignatureDoesNotHoldIsRefused) {
  TestFleet fleet;
  const std::string request = NewRequest(NewPrivateKey().value(), "x").value();
  // Each altered character of the body breaks either the form or the signature.
  int refused = 0;
  int tried = 0;
  for (size_t at = 45; at + 40 < request.size(); at += 7) {
    if (request[at] == '\n') continue;
    std::string altered = request;
    altered[at] = altered[at] == 'A' ? 'B' : 'A';
    ++tried;
    if (absl::IsInvalidArgument(RequestKeyFingerprint(altered).status())) ++refused;
  }
  EXPECT_GT(tried, 20);
  EXPECT_EQ(refused, tried);
}

TEST(Keys, RequestsThatAreTooLargeEmptyOrCutOffAreRefused) {
  const std::string request = NewRequest(NewPrivateKey().value(), "x").value();
  EXPECT_TRUE(RequestKeyFingerprint(request).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(RequestKeyFingerprint("").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      RequestKeyFingerprint(request.substr(0, request.size() / 2)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      RequestKeyFingerprint(request + std::string(16 << 10, ' ')).status()));
}

TEST(Keys, TheFingerprintOfARequestIsOfItsKeyAlone) {
  const SecretString key = NewPrivateKey().value();
  const auto once = RequestKeyFingerprint(NewRequest(key, "one name").value());
  const auto again = RequestKeyFingerprint(NewRequest(key, "another name").value());
  const auto other = RequestKeyFingerprint(NewRequest(NewPrivateKey().value(), "one name").value());
  EXPECT_EQ(*once, *again);
  EXPECT_NE(*once, *other);
}

TEST(Keys, ACertificateWithoutAnIdentityOfOursIsAnonymous) {
  TestFleet fleet;
  const auto facts = ReadCertificate(fleet.ca());
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->identity.kind, Identity::Kind::kAnonymous);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadCertificate("not a certificate").status()));
}

}  // namespace
}  // namespace mtp::tls
