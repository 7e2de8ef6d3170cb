// Pages of a sorted list (AIP-158). A token is the last key of the page before, so that a page is
// right even when the list changed in between.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/escaping.h>

#include <algorithm>
#include <string>
#include <vector>

namespace mtp {

enum class Order { kAscending, kDescending };

template <typename Item>
struct Page {
  std::vector<const Item*> items;
  std::string next_token;  // empty on the last page
};

// The page of `items` (sorted by key in `order`) that follows `token`. `size` 0 means
// `default_size`; at most 1000. INVALID_ARGUMENT for a negative size or a malformed token.
template <typename Item, typename KeyOf>
absl::StatusOr<Page<Item>> PageOf(const std::vector<Item>& items, int size, int default_size,
                                  const std::string& token, Order order, KeyOf key_of) {
  if (size < 0) return absl::InvalidArgumentError("page_size must not be negative");
  const auto limit = static_cast<size_t>(size == 0 ? default_size : std::min(size, 1000));
  std::string last;
  if (!token.empty() && (!absl::WebSafeBase64Unescape(token, &last) || last.empty())) {
    return absl::InvalidArgumentError(
        "page_token is malformed; use the one of the previous answer");
  }
  Page<Item> page;
  for (const Item& item : items) {
    const std::string& key = key_of(item);
    if (!last.empty() && (order == Order::kAscending ? key <= last : key >= last)) continue;
    if (page.items.size() == limit) {
      page.next_token = absl::WebSafeBase64Escape(key_of(*page.items.back()));
      break;
    }
    page.items.push_back(&item);
  }
  return page;
}

}  // namespace mtp
