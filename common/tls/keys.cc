#include "common/tls/keys.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>
#include <memory>

#include "common/base/status.h"

namespace mtp::tls {
namespace {

constexpr size_t kMaxRequestBytes = 16 << 10;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Request = std::unique_ptr<X509_REQ, Deleter<X509_REQ_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Number = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using Name = std::unique_ptr<X509_NAME, Deleter<X509_NAME_free>>;

absl::Status LibraryError(absl::string_view what) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return absl::InternalError(absl::StrCat(what, ": ", text.data()));
}

std::string Contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

Bio ReadOnly(absl::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Nobody is asked for a pass phrase at the program's terminal, as OpenSSL would by itself: that a
// PEM text needs one may be said by a stranger.
int NoPassphrase(char*, int, int, void*) { return -1; }

absl::StatusOr<Key> ParseKey(const SecretString& pem) {
  Bio bio = ReadOnly(pem.Reveal());
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) return LibraryError("the private key cannot be read");
  return key;
}

absl::StatusOr<Certificate> ParseCertificate(absl::string_view pem) {
  Bio bio = ReadOnly(pem);
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
  if (certificate == nullptr) {
    ERR_clear_error();
    return absl::InvalidArgumentError("this is not a certificate in PEM form");
  }
  return certificate;
}

bool IsP256(EVP_PKEY* key) {
  std::array<char, 64> group{};
  size_t length = 0;
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) == 1 &&
         absl::string_view(group.data(), length) == SN_X9_62_prime256v1;
}

absl::StatusOr<Request> ParseRequest(absl::string_view pem) {
  if (pem.size() > kMaxRequestBytes)
    return absl::InvalidArgumentError("the certificate request is too large");
  Bio bio = ReadOnly(pem);
  Request request(PEM_read_bio_X509_REQ(bio.get(), nullptr, NoPassphrase, nullptr));
  EVP_PKEY* key = request == nullptr ? nullptr : X509_REQ_get0_pubkey(request.get());
  const bool valid = key != nullptr && IsP256(key) && X509_REQ_verify(request.get(), key) == 1;
  ERR_clear_error();
  if (!valid) {
    return absl::InvalidArgumentError(
        "the certificate request is malformed, badly signed, or not for a P-256 key");
  }
  return request;
}

absl::Status SetName(X509_NAME* name, absl::string_view common_name) {
  const auto* text = reinterpret_cast<const unsigned char*>(common_name.data());
  if (X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, text,
                                 static_cast<int>(common_name.size()), -1, 0) != 1) {
    return LibraryError("set the subject");
  }
  return absl::OkStatus();
}

absl::Status SetRandomSerial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) return LibraryError("draw a serial number");
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x3f) | 0x40);  // positive, and never shorter
  const Number number(BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  if (BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return LibraryError("set the serial number");
  }
  return absl::OkStatus();
}

absl::Status SetTimes(X509* certificate, absl::Time not_before, absl::Time not_after) {
  if (ASN1_TIME_set(X509_getm_notBefore(certificate), absl::ToTimeT(not_before)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate), absl::ToTimeT(not_after)) == nullptr) {
    return LibraryError("set the validity");
  }
  return absl::OkStatus();
}

absl::Status AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return LibraryError(absl::StrCat("add extension ", OBJ_nid2sn(nid)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ToPem(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return LibraryError("write the certificate");
  return Contents(bio.get());
}

std::string SerialHex(X509* certificate) {
  const Number number(ASN1_INTEGER_to_BN(X509_get_serialNumber(certificate), nullptr));
  char* hex = BN_bn2hex(number.get());
  std::string text = absl::AsciiStrToLower(hex);
  OPENSSL_free(hex);
  return text;
}

absl::Time FromAsn1(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTM(parts, absl::UTCTimeZone());
}

Identity IdentityOf(X509* certificate) {
  using Names = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (names == nullptr) return Identity();
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    auto identity = Identity::ParseUri(
        absl::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                          static_cast<size_t>(ASN1_STRING_length(uri))));
    if (identity.ok()) return *identity;
  }
  return Identity();
}

absl::StatusOr<std::string> PublicKeyFingerprint(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return LibraryError("read the public key");
  std::string fingerprint =
      Sha256Hex(absl::string_view(reinterpret_cast<const char*>(der), static_cast<size_t>(size)));
  OPENSSL_free(der);
  return fingerprint;
}

}  // namespace

absl::StatusOr<SecretString> NewPrivateKey() {
  const Key key(EVP_EC_gen(SN_X9_62_prime256v1));
  if (key == nullptr) return LibraryError("make a key");
  const Bio bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return LibraryError("write the key");
  }
  return SecretString(Contents(bio.get()));
}

absl::StatusOr<std::string> NewRequest(const SecretString& private_key,
                                       absl::string_view common_name) {
  MTP_ASSIGN_OR_RETURN(const Key key, ParseKey(private_key));
  const Request request(X509_REQ_new());
  MTP_RETURN_IF_ERROR(SetName(X509_REQ_get_subject_name(request.get()), common_name));
  if (X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) == 0) {
    return LibraryError("sign the request");
  }
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1)
    return LibraryError("write the request");
  return Contents(bio.get());
}

absl::StatusOr<std::string> NewAuthority(const SecretString& private_key, absl::string_view fleet,
                                         absl::Time not_before, absl::Time not_after) {
  MTP_ASSIGN_OR_RETURN(const Key key, ParseKey(private_key));
  const Certificate certificate(X509_new());
  X509* const raw = certificate.get();
  X509_set_version(raw, X509_VERSION_3);
  MTP_RETURN_IF_ERROR(SetRandomSerial(raw));
  MTP_RETURN_IF_ERROR(SetTimes(raw, not_before, not_after));
  MTP_RETURN_IF_ERROR(SetName(X509_get_subject_name(raw), absl::StrCat("MTP fleet ", fleet)));
  X509_set_issuer_name(raw, X509_get_subject_name(raw));
  X509_set_pubkey(raw, key.get());
  MTP_RETURN_IF_ERROR(AddExtension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  MTP_RETURN_IF_ERROR(AddExtension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign"));
  MTP_RETURN_IF_ERROR(AddExtension(raw, raw, NID_subject_key_identifier, "hash"));
  if (X509_sign(raw, key.get(), EVP_sha256()) == 0) return LibraryError("sign the authority");
  return ToPem(raw);
}

absl::StatusOr<IssuedCertificate> Issue(absl::string_view request_pem, const CertificateSpec& spec,
                                        const std::string& authority_pem,
                                        const SecretString& authority_key) {
  MTP_ASSIGN_OR_RETURN(const Request request, ParseRequest(request_pem));
  MTP_ASSIGN_OR_RETURN(const Certificate authority, ParseCertificate(authority_pem));
  MTP_ASSIGN_OR_RETURN(const Key key, ParseKey(authority_key));
  const Certificate certificate(X509_new());
  X509* const raw = certificate.get();
  X509_set_version(raw, X509_VERSION_3);
  MTP_RETURN_IF_ERROR(SetRandomSerial(raw));
  MTP_RETURN_IF_ERROR(SetTimes(raw, spec.not_before, spec.not_after));
  MTP_RETURN_IF_ERROR(SetName(X509_get_subject_name(raw), spec.identity.ToString()));
  X509_set_issuer_name(raw, X509_get_subject_name(authority.get()));
  X509_set_pubkey(raw, X509_REQ_get0_pubkey(request.get()));
  const bool serves = !spec.identity.DnsName().empty();
  std::string names = absl::StrCat("URI:", spec.identity.Uri());
  if (serves) absl::StrAppend(&names, ",DNS:", spec.identity.DnsName());
  MTP_RETURN_IF_ERROR(
      AddExtension(raw, authority.get(), NID_basic_constraints, "critical,CA:FALSE"));
  MTP_RETURN_IF_ERROR(
      AddExtension(raw, authority.get(), NID_key_usage, "critical,digitalSignature"));
  MTP_RETURN_IF_ERROR(AddExtension(raw, authority.get(), NID_ext_key_usage,
                                   serves ? "serverAuth,clientAuth" : "clientAuth"));
  MTP_RETURN_IF_ERROR(AddExtension(raw, authority.get(), NID_subject_alt_name, names));
  MTP_RETURN_IF_ERROR(AddExtension(raw, authority.get(), NID_authority_key_identifier, "keyid"));
  if (X509_sign(raw, key.get(), EVP_sha256()) == 0) return LibraryError("sign the certificate");
  MTP_ASSIGN_OR_RETURN(std::string pem, ToPem(raw));
  return IssuedCertificate{std::move(pem), SerialHex(raw)};
}

absl::StatusOr<CertificateFacts> ReadCertificate(absl::string_view pem) {
  MTP_ASSIGN_OR_RETURN(const Certificate certificate, ParseCertificate(pem));
  CertificateFacts facts;
  facts.identity = IdentityOf(certificate.get());
  facts.serial = SerialHex(certificate.get());
  facts.not_before = FromAsn1(X509_get0_notBefore(certificate.get()));
  facts.not_after = FromAsn1(X509_get0_notAfter(certificate.get()));
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  if (size <= 0) return LibraryError("read the certificate");
  facts.fingerprint =
      Sha256Hex(absl::string_view(reinterpret_cast<const char*>(der), static_cast<size_t>(size)));
  OPENSSL_free(der);
  MTP_ASSIGN_OR_RETURN(facts.key, PublicKeyFingerprint(X509_get0_pubkey(certificate.get())));
  return facts;
}

absl::StatusOr<std::string> FirstCertificate(absl::string_view pem) {
  MTP_ASSIGN_OR_RETURN(const Certificate certificate, ParseCertificate(pem));
  return ToPem(certificate.get());
}

absl::StatusOr<std::string> RequestKeyFingerprint(absl::string_view request_pem) {
  MTP_ASSIGN_OR_RETURN(const Request request, ParseRequest(request_pem));
  return PublicKeyFingerprint(X509_REQ_get0_pubkey(request.get()));
}

absl::StatusOr<std::string> KeyFingerprint(const SecretString& private_key) {
  MTP_ASSIGN_OR_RETURN(const Key key, ParseKey(private_key));
  return PublicKeyFingerprint(key.get());
}

absl::Status CheckIssuer(absl::string_view certificate_pem, absl::string_view authorities_pem) {
  MTP_ASSIGN_OR_RETURN(const Certificate certificate, ParseCertificate(certificate_pem));
  const Bio bio = ReadOnly(authorities_pem);
  bool any = false;
  bool signed_by_one = false;
  while (!signed_by_one) {
    const Certificate authority(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (authority == nullptr) break;
    any = true;
    signed_by_one = X509_verify(certificate.get(), X509_get0_pubkey(authority.get())) == 1;
  }
  ERR_clear_error();
  if (!any) return absl::InvalidArgumentError("there is no authority in the PEM text");
  if (signed_by_one) return absl::OkStatus();
  return absl::InvalidArgumentError("the certificate is of none of the authorities");
}

std::string Sha256Hex(absl::string_view data) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest.data());
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

}  // namespace mtp::tls
