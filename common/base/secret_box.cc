#include "common/base/secret_box.h"

#include <absl/strings/str_cat.h>
#include <sodium.h>
#include <sys/stat.h>

#include <cerrno>

#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

std::string NewKey() {
  std::string key(kKeyBytes, '\0');
  randombytes_buf(key.data(), key.size());
  return key;
}

}  // namespace

absl::StatusOr<SecretBox> SecretBox::Open(const std::string& path) {
  if (sodium_init() < 0) return absl::InternalError("libsodium cannot be used");
  auto box = OpenExisting(path);
  if (!absl::IsNotFound(box.status())) return box;
  SecretString key(NewKey());
  MTP_RETURN_IF_ERROR(WriteFileAtomically(path, key.Reveal(), 0600));
  return SecretBox(std::move(key));
}

absl::StatusOr<SecretBox> SecretBox::OpenExisting(const std::string& path) {
  if (sodium_init() < 0) return absl::InternalError("libsodium cannot be used");
  auto key = ReadFile(path, 4096);
  if (absl::IsNotFound(key.status())) {
    return absl::NotFoundError(absl::StrCat("the master key ", path,
                                            " is missing; without it nothing sealed can be opened. "
                                            "Put it back from where you keep it"));
  }
  if (!key.ok()) return key.status();
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) return ErrnoStatus(errno, path);
  if ((facts.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("others may read the master key; run `chmod 600 ", path, "`"));
  }
  if (key->size() != kKeyBytes) {
    return absl::DataLossError(absl::StrCat(path, " is not a master key: it has ", key->size(),
                                            " bytes, not ", kKeyBytes));
  }
  return SecretBox(SecretString(*std::move(key)));
}

SecretBox SecretBox::ForTest() { return SecretBox(SecretString(NewKey())); }

std::string SecretBox::Seal(absl::string_view plain, absl::string_view context) const {
  std::string sealed(kNonceBytes + plain.size() + kTagBytes, '\0');
  randombytes_buf(sealed.data(), kNonceBytes);
  unsigned long long written = 0;
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      Bytes(sealed) + kNonceBytes, &written, Bytes(plain), plain.size(), Bytes(context),
      context.size(), nullptr, Bytes(sealed), Bytes(absl::string_view(key_.Reveal())));
  return sealed;
}

absl::StatusOr<SecretString> SecretBox::Open(absl::string_view sealed,
                                             absl::string_view context) const {
  const absl::Status unreadable = absl::DataLossError(
      "a sealed secret cannot be opened: it was changed, or the master key is another");
  if (sealed.size() < kNonceBytes + kTagBytes) return unreadable;
  std::string plain(sealed.size() - kNonceBytes - kTagBytes, '\0');
  unsigned long long written = 0;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          Bytes(plain), &written, nullptr, Bytes(sealed) + kNonceBytes, sealed.size() - kNonceBytes,
          Bytes(context), context.size(), Bytes(sealed),
          Bytes(absl::string_view(key_.Reveal()))) != 0) {
    return unreadable;
  }
  return SecretString(std::move(plain));
}

}  // namespace mtp
