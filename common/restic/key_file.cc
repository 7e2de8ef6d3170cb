#include "common/restic/key_file.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "common/base/atomic_file.h"
#include "common/base/sha256.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kNonceBytes = 16;
constexpr size_t kMacBytes = 16;
constexpr size_t kSaltBytes = 64;
constexpr uint64_t kScryptMemoryMax = uint64_t{1} << 30;
constexpr size_t kFileBytesMax = 64 << 10;

// What scrypt gives: a key for AES-256-CTR, then those of Poly1305-AES.
struct Keys {
  std::array<unsigned char, 64> bytes{};
  const unsigned char* Encryption() const { return bytes.data(); }
  const unsigned char* MacBlock() const { return bytes.data() + 32; }
  const unsigned char* MacR() const { return bytes.data() + 48; }
  ~Keys() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Empty, and 0, for a field that is missing or of another type.
std::string Text(const nlohmann::json& file, const char* name) {
  const auto found = file.find(name);
  return found != file.end() && found->is_string() ? found->get<std::string>() : "";
}
uint64_t Number(const nlohmann::json& file, const char* name) {
  const auto found = file.find(name);
  return found != file.end() && found->is_number_integer() ? found->get<uint64_t>() : 0;
}

absl::Status LibraryError(const char* what) {
  return absl::InternalError(absl::StrCat("OpenSSL cannot ", what));
}

absl::StatusOr<std::string> Encrypt(const EVP_CIPHER* cipher, const unsigned char* key,
                                    const unsigned char* iv, absl::string_view text) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  std::string out(text.size(), '\0');
  int size = 0;
  if (context == nullptr || EVP_EncryptInit_ex(context.get(), cipher, nullptr, key, iv) != 1 ||
      EVP_EncryptUpdate(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                        Bytes(text), static_cast<int>(text.size())) != 1 ||
      static_cast<size_t>(size) != text.size())
    return LibraryError("encrypt");
  return out;
}

// Poly1305-AES: the one-time key's second half is the encrypted nonce.
absl::StatusOr<std::string> Mac(const Keys& keys, absl::string_view nonce, absl::string_view text) {
  MTP_ASSIGN_OR_RETURN(const std::string pad,
                       Encrypt(EVP_aes_128_ecb(), keys.MacBlock(), nullptr, nonce));
  const std::string key = std::string(reinterpret_cast<const char*>(keys.MacR()), kMacBytes) + pad;
  const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> mac(
      EVP_MAC_fetch(nullptr, "POLY1305", nullptr), &EVP_MAC_free);
  const std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> context(
      EVP_MAC_CTX_new(mac.get()), &EVP_MAC_CTX_free);
  std::string out(kMacBytes, '\0');
  size_t size = 0;
  if (context == nullptr || EVP_MAC_init(context.get(), Bytes(key), key.size(), nullptr) != 1 ||
      EVP_MAC_update(context.get(), Bytes(text), text.size()) != 1 ||
      EVP_MAC_final(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                    out.size()) != 1 ||
      size != out.size())
    return LibraryError("authenticate");
  return out;
}

absl::Status Derive(const nlohmann::json& file, const SecretString& password, Keys& keys) {
  std::string salt;
  if (Text(file, "kdf") != "scrypt" || !absl::Base64Unescape(Text(file, "salt"), &salt))
    return absl::InvalidArgumentError("this is no key file of restic");
  if (EVP_PBE_scrypt(password.Reveal().data(), password.Reveal().size(), Bytes(salt), salt.size(),
                     Number(file, "N"), Number(file, "r"), Number(file, "p"), kScryptMemoryMax,
                     keys.bytes.data(), keys.bytes.size()) != 1)
    return absl::InvalidArgumentError("this key file of restic asks for impossible work");
  return absl::OkStatus();
}

absl::StatusOr<std::string> Open(const nlohmann::json& file, const SecretString& password) {
  Keys keys;
  MTP_RETURN_IF_ERROR(Derive(file, password, keys));
  std::string data;
  if (!absl::Base64Unescape(Text(file, "data"), &data) || data.size() <= kNonceBytes + kMacBytes)
    return absl::InvalidArgumentError("this key file of restic has no keys");
  const std::string nonce = data.substr(0, kNonceBytes);
  const std::string sealed = data.substr(kNonceBytes, data.size() - kNonceBytes - kMacBytes);
  MTP_ASSIGN_OR_RETURN(const std::string mac, Mac(keys, nonce, sealed));
  if (CRYPTO_memcmp(mac.data(), data.data() + data.size() - kMacBytes, kMacBytes) != 0)
    return absl::PermissionDeniedError("the password does not open this key file");
  return Encrypt(EVP_aes_256_ctr(), keys.Encryption(), Bytes(nonce), sealed);
}

}  // namespace

absl::StatusOr<std::string> WithoutWork(absl::string_view text, const SecretString& password) {
  nlohmann::json file = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!file.is_object()) return absl::InvalidArgumentError("this is no key file of restic");
  MTP_ASSIGN_OR_RETURN(std::string opened, Open(file, password));
  const auto wipe = absl::MakeCleanup([&opened] { WipeString(&opened); });
  std::string fresh(kSaltBytes + kNonceBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(fresh.data()), static_cast<int>(fresh.size())) !=
      1)
    return LibraryError("find random bytes");
  const std::string nonce = fresh.substr(kSaltBytes);
  file["N"] = 2;
  file["r"] = 8;
  file["p"] = 1;
  file["salt"] = absl::Base64Escape(fresh.substr(0, kSaltBytes));
  Keys keys;
  MTP_RETURN_IF_ERROR(Derive(file, password, keys));
  MTP_ASSIGN_OR_RETURN(const std::string sealed,
                       Encrypt(EVP_aes_256_ctr(), keys.Encryption(), Bytes(nonce), opened));
  MTP_ASSIGN_OR_RETURN(const std::string mac, Mac(keys, nonce, sealed));
  file["data"] = absl::Base64Escape(absl::StrCat(nonce, sealed, mac));
  MTP_ASSIGN_OR_RETURN(std::string again, Open(file, password));
  const bool same = again == opened;
  WipeString(&again);
  if (!same) return LibraryError("encrypt the keys so that they come back");
  return file.dump();
}

absl::Status MakeOpeningCheap(const std::string& folder, const SecretString& password) {
  std::error_code error;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/keys", error))
    files.push_back(entry.path());
  if (error) return ErrnoStatus(error.value(), absl::StrCat("read ", folder, "/keys"));
  if (files.size() != 1)
    return absl::FailedPreconditionError(
        absl::StrCat("the repository has ", files.size(), " keys instead of one"));
  MTP_ASSIGN_OR_RETURN(const std::string text, ReadFile(files.front(), kFileBytesMax));
  MTP_ASSIGN_OR_RETURN(const std::string cheap, WithoutWork(text, password));
  Sha256 hash;
  hash.Update(cheap.data(), cheap.size());
  MTP_RETURN_IF_ERROR(
      WriteFileAtomically(absl::StrCat(folder, "/keys/", hash.Finish()), cheap, 0400));
  if (unlink(files.front().c_str()) != 0 && errno != ENOENT)
    return ErrnoStatus(errno, absl::StrCat("remove ", files.front()));
  return absl::OkStatus();
}

}  // namespace mtp
