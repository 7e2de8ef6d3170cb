#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include "agent/compose/compose.h"

namespace mtp {
namespace {

constexpr size_t kMaxSentence = 400;

bool IsNoise(absl::string_view line) {
  // Progress (" Container mtp-acme  Starting") and warnings are not what failed.
  return line.empty() || absl::StartsWith(line, "time=") || absl::StartsWith(line, "Container ") ||
         absl::StartsWith(line, "Network ") || absl::EndsWith(line, "Pulling") ||
         absl::EndsWith(line, "Error");
}

// `words` are in lowercase.
bool Mentions(absl::string_view text, std::initializer_list<absl::string_view> words) {
  const std::string lower = absl::AsciiStrToLower(text);
  for (absl::string_view word : words) {
    if (absl::StrContains(lower, word)) return true;
  }
  return false;
}

// Parts in words that an operator can act on; empty when nothing is known about it.
std::string Hint(absl::string_view sentence) {
  if (Mentions(sentence, {"pool overlaps with other one", "address space overlaps"})) {
    return "The tenant's subnet is in use by another Docker network: choose another "
           "--subnet-pool for this host";
  }
  if (Mentions(sentence, {"is already in use by container"})) {
    return "A container of that name exists that is not part of this project: rename or remove it";
  }
  return "";
}

}  // namespace

std::string DistillComposeError(absl::string_view output) {
  absl::string_view chosen;
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (IsNoise(line)) continue;
    chosen = line;
    if (absl::StrContains(line, "Error response from daemon")) break;
  }
  const size_t daemon = chosen.find("Error response from daemon: ");
  if (daemon != absl::string_view::npos) {
    chosen = chosen.substr(daemon + sizeof("Error response from daemon: ") - 1);
  }
  // Compose quotes what it does not understand there: a secret.
  if (absl::StrContains(chosen, "/.env: ")) {
    return "Compose cannot read .env in the project folder: somebody changed it by hand. The agent "
           "writes it anew within a minute; then try again";
  }
  std::string sentence(chosen.substr(0, kMaxSentence));
  for (char& c : sentence) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  if (sentence.empty()) sentence = "docker compose failed without a word";
  return sentence;
}

absl::Status ComposeError(absl::string_view output) {
  const std::string sentence = DistillComposeError(output);
  if (Mentions(sentence, {"cannot connect to the docker daemon", "error during connect",
                          "dial unix", "docker daemon is not running"})) {
    return absl::UnavailableError("the Docker Engine does not answer");
  }
  if (Mentions(sentence, {"no such image"})) {
    return absl::NotFoundError(absl::StrCat(sentence, ". Load or pull the image on this host"));
  }
  if (Mentions(sentence, {"port is already allocated", "address already in use"})) {
    return absl::AlreadyExistsError(absl::StrCat(
        sentence,
        ". The port is taken by another program on this host; when nothing listens there, the "
        "engine holds it since it died: restart the engine"));
  }
  const std::string hint = Hint(sentence);
  return absl::FailedPreconditionError(hint.empty() ? sentence
                                                    : absl::StrCat(sentence, ". ", hint));
}

}  // namespace mtp
