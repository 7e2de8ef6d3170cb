#include "controller/recovery/copy_seal.h"

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include "common/base/status.h"

namespace mtp {
namespace {

// `MTPCOPY1`, what the key is made from, the salt (zeros without a passphrase), the nonce, and what
// is sealed. Everything before is bound to it as associated data.
constexpr absl::string_view kMagic = "MTPCOPY1";
constexpr char kFromRootKey = 'R';
constexpr char kFromPassphrase = 'P';
constexpr size_t kSaltBytes = crypto_pwhash_SALTBYTES;
constexpr size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr size_t kKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr size_t kHeadBytes = kMagic.size() + 1 + kSaltBytes + kNonceBytes;
constexpr size_t kPassphraseMin = 12;
constexpr size_t kPassphraseMax = 1024;

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

std::string Encrypt(absl::string_view plain, char source, absl::string_view salt,
                    const SecretString& key) {
  std::string sealed = absl::StrCat(kMagic, absl::string_view(&source, 1), salt);
  const size_t nonce = sealed.size();
  sealed.resize(kHeadBytes + plain.size() + kTagBytes);
  randombytes_buf(sealed.data() + nonce, kNonceBytes);
  unsigned long long written = 0;
  crypto_aead_xchacha20poly1305_ietf_encrypt(Bytes(sealed) + kHeadBytes, &written, Bytes(plain),
                                             plain.size(), Bytes(sealed), kHeadBytes, nullptr,
                                             Bytes(sealed) + nonce, Bytes(key.Reveal()));
  return sealed;
}

absl::StatusOr<SecretString> Decrypt(absl::string_view sealed, const SecretString& key) {
  std::string plain(sealed.size() - kHeadBytes - kTagBytes, '\0');
  unsigned long long written = 0;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          Bytes(plain), &written, nullptr, Bytes(sealed) + kHeadBytes, sealed.size() - kHeadBytes,
          Bytes(sealed), kHeadBytes, Bytes(sealed) + kHeadBytes - kNonceBytes,
          Bytes(key.Reveal())) != 0) {
    return absl::DataLossError("the copy cannot be opened: it is damaged, or its key is another");
  }
  return SecretString(std::move(plain));
}

absl::Status CheckHead(absl::string_view sealed, char source) {
  if (sealed.size() < kHeadBytes + kTagBytes || !absl::StartsWith(sealed, kMagic)) {
    return absl::InvalidArgumentError(
        "this is not a copy of a controller's state, or it is cut off, or of a newer version");
  }
  if (sealed[kMagic.size()] == source) return absl::OkStatus();
  return absl::InvalidArgumentError(
      source == kFromPassphrase ? "this copy is from a repository; open it with the recovery kit"
                                : "this copy was made with a passphrase; open it with that");
}

absl::StatusOr<SecretString> PassphraseKey(const SecretString& passphrase, absl::string_view salt) {
  if (passphrase.size() < kPassphraseMin || passphrase.size() > kPassphraseMax) {
    return absl::InvalidArgumentError(absl::StrCat("a passphrase has ", kPassphraseMin, " to ",
                                                   kPassphraseMax, " bytes; this one has ",
                                                   passphrase.size()));
  }
  std::string key(kKeyBytes, '\0');
  if (crypto_pwhash(Bytes(key), key.size(), passphrase.Reveal().data(), passphrase.size(),
                    Bytes(salt), crypto_pwhash_OPSLIMIT_MODERATE, crypto_pwhash_MEMLIMIT_MODERATE,
                    crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return absl::ResourceExhaustedError(
        "there are no 256 MiB of memory to make a key from the passphrase");
  }
  return SecretString(std::move(key));
}

}  // namespace

SecretString CopyKey(absl::string_view root_key, absl::string_view fleet) {
  const SecretString key(absl::HexStringToBytes(root_key));
  const std::string what = absl::StrCat("mtp-state-copy/", fleet);
  std::string digest(kKeyBytes, '\0');
  unsigned length = 0;
  HMAC(EVP_sha256(), key.Reveal().data(), static_cast<int>(key.size()), Bytes(what), what.size(),
       Bytes(digest), &length);
  return SecretString(std::move(digest));
}

absl::StatusOr<std::string> SealCopy(absl::string_view packed, const SecretString& key) {
  if (sodium_init() < 0) return absl::InternalError("libsodium cannot be used");
  return Encrypt(packed, kFromRootKey, std::string(kSaltBytes, '\0'), key);
}

absl::StatusOr<SecretString> OpenCopy(absl::string_view sealed, const SecretString& key) {
  if (sodium_init() < 0) return absl::InternalError("libsodium cannot be used");
  MTP_RETURN_IF_ERROR(CheckHead(sealed, kFromRootKey));
  return Decrypt(sealed, key);
}

absl::StatusOr<std::string> SealCopyWithPassphrase(absl::string_view packed,
                                                   const SecretString& passphrase) {
  if (sodium_init() < 0) return absl::InternalError("libsodium cannot be used");
  std::string salt(kSaltBytes, '\0');
  randombytes_buf(salt.data(), salt.size());
  MTP_ASSIGN_OR_RETURN(const SecretString key, PassphraseKey(passphrase, salt));
  return Encrypt(packed, kFromPassphrase, salt, key);
}

absl::StatusOr<SecretString> OpenCopyWithPassphrase(absl::string_view sealed,
                                                    const SecretString& passphrase) {
  if (sodium_init() < 0) return absl::InternalError("libsodium cannot be used");
  MTP_RETURN_IF_ERROR(CheckHead(sealed, kFromPassphrase));
  MTP_ASSIGN_OR_RETURN(const SecretString key,
                       PassphraseKey(passphrase, sealed.substr(kMagic.size() + 1, kSaltBytes)));
  return Decrypt(sealed, key);
}

}  // namespace mtp
