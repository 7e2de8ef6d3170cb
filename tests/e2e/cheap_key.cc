#include "tests/e2e/cheap_key.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/base/sha256.h"
#include "tests/e2e/own_engine.h"

namespace mtp::testing {
namespace {

namespace fs = std::filesystem;

const unsigned char* Octets(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Octets(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

std::string Cipher(const EVP_CIPHER* cipher, const std::string& key, const std::string& iv,
                   const std::string& text) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  std::string out(text.size() + 32, '\0');
  int size = 0;
  EVP_EncryptInit_ex(context.get(), cipher, nullptr, Octets(key),
                     iv.empty() ? nullptr : Octets(iv));
  EVP_EncryptUpdate(context.get(), Octets(out), &size, Octets(text), static_cast<int>(text.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

std::string Poly1305(const std::string& key, const std::string& text) {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "POLY1305", nullptr);
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
  std::string tag(16, '\0');
  size_t size = 0;
  EVP_MAC_init(context, Octets(key), key.size(), nullptr);
  EVP_MAC_update(context, Octets(text), text.size());
  EVP_MAC_final(context, Octets(tag), &size, tag.size());
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);
  return tag;
}

// As restic's design says under "Keys, Encryption and MAC": AES-256 in counter mode, then
// Poly1305-AES over what came out, all three keys from scrypt.
std::string Seal(const std::string& password, const std::string& salt, const std::string& text) {
  std::string keys(64, '\0');
  EVP_PBE_scrypt(password.data(), password.size(), Octets(salt), salt.size(), 2, 1, 1, 0,
                 Octets(keys), keys.size());
  std::string nonce(16, '\0');
  RAND_bytes(Octets(nonce), 16);
  const std::string sealed = Cipher(EVP_aes_256_ctr(), keys.substr(0, 32), nonce, text);
  const std::string pad = Cipher(EVP_aes_128_ecb(), keys.substr(32, 16), "", nonce);
  return absl::StrCat(nonce, sealed, Poly1305(keys.substr(48, 16) + pad, sealed));
}

}  // namespace

std::string MakeKeyCheap(const std::string& repository, const std::string& password) {
  const std::string restic = "printf %s '" + password + "' | restic --repo '" + repository +
                             "' --password-file /dev/stdin --no-cache --quiet ";
  std::string master;
  // Its standard input is the pipe, so it stands in a shell of its own.
  if (Shell("sh -c \"" + restic + "cat masterkey\"", &master) != 0) return master;
  const fs::path old = fs::directory_iterator(repository + "/keys")->path();
  std::ifstream file(old);
  nlohmann::json key = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  const nlohmann::json opened = nlohmann::json::parse(master, nullptr, false);
  if (!key.is_object() || !opened.is_object()) return "no key was found";
  std::string salt(64, '\0');
  RAND_bytes(Octets(salt), 64);
  key.update({{"N", 2}, {"r", 1}, {"p", 1}});
  key["salt"] = absl::Base64Escape(salt);
  key["data"] = absl::Base64Escape(Seal(password, salt, opened.dump()));
  const std::string text = key.dump();
  Sha256 hash;
  hash.Update(text.data(), text.size());
  std::ofstream(absl::StrCat(repository, "/keys/", hash.Finish()), std::ios::binary) << text;
  fs::remove(old);
  return "";
}

}  // namespace mtp::testing
