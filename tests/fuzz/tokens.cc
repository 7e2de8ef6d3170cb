// Tokens that travel through people's and programs' hands.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>

#include "common/base/names.h"
#include "common/tls/join_token.h"
#include "controller/api/pages.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace mtp::fuzz {
namespace {

constexpr size_t kMaxTokenBytes = 4096;

bool AreEqual(const tls::JoinToken& a, const tls::JoinToken& b) {
  return a.id == b.id && a.host == b.host && a.address == b.address &&
         a.authority_fingerprint == b.authority_fingerprint && a.secret.Equals(b.secret.Reveal());
}

void CheckDecoded(absl::string_view text) {
  const auto token = tls::DecodeJoinToken(text);
  if (!token.ok()) {
    MTP_HOLDS(absl::IsInvalidArgument(token.status()));
    // The same sentence for all: nothing of the token.
    MTP_HOLDS(token.status() == tls::DecodeJoinToken("").status());
    return;
  }
  MTP_HOLDS(HostName::Parse(token->host).ok());
  const auto again = tls::DecodeJoinToken(tls::EncodeJoinToken(*token).Reveal());
  MTP_HOLDS(again.ok() && AreEqual(*again, *token));
}

}  // namespace

// The text is a token; and lines: which character is lost, then what stands in a token.
void JoinTokens(absl::string_view input) {
  CheckDecoded(input);

  Input lines(input);
  const auto lost = static_cast<size_t>(lines.Byte()) * 4;
  lines.Line();
  tls::JoinToken token{.id = lines.Line(), .host = lines.Line(), .address = lines.Line()};
  token.authority_fingerprint = lines.Line();
  token.authority_fingerprint.resize(64, '0');
  token.secret = SecretString(lines.Line());
  const SecretString text = tls::EncodeJoinToken(token);
  const auto decoded = tls::DecodeJoinToken(text.Reveal());
  MTP_HOLDS(decoded.ok() == (HostName::Parse(token.host).ok() && text.size() <= kMaxTokenBytes));
  if (!decoded.ok()) return;
  MTP_HOLDS(AreEqual(*decoded, token));
  const absl::string_view whole = text.Reveal();
  const size_t at = lost % whole.size();
  // Lost on the way: one character, or all from there on.
  CheckDecoded(absl::StrCat(whole.substr(0, at), whole.substr(at + 1)));
  MTP_HOLDS(!tls::DecodeJoinToken(absl::StrCat(whole.substr(0, at), whole.substr(at + 1))).ok());
  MTP_HOLDS(!tls::DecodeJoinToken(whole.substr(0, at)).ok());
}

// Lines: page size, a token, then keys.
void PageTokens(absl::string_view input) {
  Input lines(input);
  const auto size = static_cast<int>(lines.Number() % 2000);
  const std::string token = lines.Line();
  std::set<std::string> keys;
  while (!lines.empty()) keys.insert(lines.Line());
  keys.erase("");
  for (const Order order : {Order::kAscending, Order::kDescending}) {
    std::vector<std::string> items(keys.begin(), keys.end());
    if (order == Order::kDescending) std::reverse(items.begin(), items.end());
    const auto page_of = [&](const std::string& after) {
      return PageOf(items, size, 3, after, order,
                    [](const std::string& item) -> const std::string& { return item; });
    };
    // Whatever the caller sends is refused or begins somewhere in the list.
    const auto any = page_of(token);
    MTP_HOLDS(any.ok() || absl::IsInvalidArgument(any.status()));
    MTP_HOLDS(any.ok() || size < 0 || !token.empty());

    // From page to page everything comes once, in order.
    std::vector<std::string> seen;
    std::string next;
    do {
      const auto page = page_of(next);
      MTP_HOLDS(page.ok() == (size >= 0));
      if (!page.ok()) return;
      MTP_HOLDS(page->items.size() <= (size == 0 ? 3 : static_cast<size_t>(size)));
      MTP_HOLDS(page->next_token.empty() || !page->items.empty());
      for (const std::string* item : page->items) seen.push_back(*item);
      next = page->next_token;
    } while (!next.empty());
    MTP_HOLDS(seen == items);
  }
}

}  // namespace mtp::fuzz
