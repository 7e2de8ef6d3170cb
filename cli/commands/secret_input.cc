#include "cli/commands/secret_input.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/base/atomic_file.h"
#include "common/base/file_descriptor.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace mtp::cli {
namespace {

absl::Status Refuse(absl::string_view what, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(what, " ", why));
}

// A FIFO is fine: shells hand over `<(command)` as one.
absl::StatusOr<SecretString> ReadWhole(const std::string& file, absl::string_view what) {
  const FileDescriptor fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (fd.get() < 0)
    return Refuse(what, absl::StrCat("cannot be read: ", ErrnoStatus(errno, "open").message()));
  struct stat facts = {};
  if (fstat(fd.get(), &facts) != 0 || S_ISDIR(facts.st_mode))
    return Refuse(what, "cannot be read: it is a folder");
  std::string content;
  content.reserve(kMaxSecretBytes + 1);  // never moved, so that no copy is left behind
  char buffer[4096];
  while (content.size() <= kMaxSecretBytes) {
    const ssize_t got = read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return Refuse(what, absl::StrCat("cannot be read: ", ErrnoStatus(errno, "read").message()));
    if (got == 0) break;
    content.append(
        buffer, std::min<size_t>(static_cast<size_t>(got), kMaxSecretBytes + 1 - content.size()));
  }
  explicit_bzero(buffer, sizeof buffer);
  const bool too_large = content.size() > kMaxSecretBytes;
  SecretString secret(std::move(content));
  if (too_large)
    return Refuse(what, absl::StrCat("is larger than ", kMaxSecretBytes / 1024,
                                     " KiB: that is no such secret"));
  return secret;
}

std::string SecretName(const std::string& file, absl::string_view what) {
  return absl::StrCat(what, file == "-" ? " on standard input" : absl::StrCat(" in ", file));
}

// From the file, or from standard input for `-`.
absl::StatusOr<SecretString> ReadRaw(const Environment& environment, const std::string& file,
                                     absl::string_view name) {
  if (file != "-") return ReadWhole(file, name);
  absl::StatusOr<SecretString> raw = environment.read_input(kMaxSecretBytes);
  if (!raw.ok()) return Refuse(name, absl::StrCat("cannot be read: ", raw.status().message()));
  return raw;
}

}  // namespace

absl::StatusOr<SecretString> CheckSecret(SecretString raw, absl::string_view what) {
  absl::string_view text = raw.Reveal();
  if (!text.empty() && text.back() == '\n') {
    text.remove_suffix(1);
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  }
  if (text.empty()) return Refuse(what, "is empty");
  if (text.find('\n') != absl::string_view::npos)
    return Refuse(what, "has several lines; it must be one");
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return Refuse(what, "has control characters");
  }
  if (ValidUtf8(text, text.size()) != text) return Refuse(what, "is not valid text (UTF-8)");
  return SecretString(std::string(text));
}

absl::StatusOr<SecretString> ReadSecret(const Environment& environment, const std::string& file,
                                        absl::string_view what) {
  const std::string name = SecretName(file, what);
  MTP_ASSIGN_OR_RETURN(SecretString raw, ReadRaw(environment, file, name));
  return CheckSecret(std::move(raw), name);
}

absl::StatusOr<SecretString> ReadSecretText(const Environment& environment, const std::string& file,
                                            absl::string_view what) {
  const std::string name = SecretName(file, what);
  MTP_ASSIGN_OR_RETURN(SecretString raw, ReadRaw(environment, file, name));
  const absl::string_view text = raw.Reveal();
  if (absl::StripAsciiWhitespace(text).empty()) return Refuse(name, "is empty");
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool layout = c == '\n' || c == '\r' || c == '\t';
    if ((byte < 0x20 && !layout) || byte == 0x7f) return Refuse(name, "has control characters");
  }
  if (ValidUtf8(text, text.size()) != text) return Refuse(name, "is not valid text (UTF-8)");
  return raw;
}

absl::Status ReadSecretFlags(const Environment& environment, const std::vector<SecretFlag>& flags) {
  const auto from_input =
      std::count_if(flags.begin(), flags.end(), [](const auto& flag) { return flag.file == "-"; });
  if (from_input > 1)
    return absl::InvalidArgumentError("only one secret can come from standard input");
  for (const SecretFlag& flag : flags) {
    if (flag.file.empty()) continue;
    MTP_ASSIGN_OR_RETURN(const SecretString secret,
                         flag.is_text ? ReadSecretText(environment, flag.file, flag.what)
                                      : ReadSecret(environment, flag.file, flag.what));
    *flag.field = std::string(secret.Reveal());
  }
  return absl::OkStatus();
}

void WipeTenantSecrets(v1::TenantSecrets* secrets) {
  WipeString(secrets->mutable_telegram_token());
  WipeString(secrets->mutable_anthropic_key());
  WipeString(secrets->mutable_openai_key());
  WipeString(secrets->mutable_openrouter_key());
}

}  // namespace mtp::cli
