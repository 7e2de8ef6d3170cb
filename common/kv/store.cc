#include "common/kv/store.h"

#include <utility>

namespace mtp::kv {

Txn& Txn::RequireRevision(std::string key, int64_t mod_revision) {
  compares.push_back({std::move(key), mod_revision});
  return *this;
}

Txn& Txn::RequireAbsent(std::string key) { return RequireRevision(std::move(key), 0); }

Txn& Txn::Put(std::string key, std::string value) {
  puts.emplace_back(std::move(key), std::move(value));
  return *this;
}

Txn& Txn::Delete(std::string key) {
  deletes.push_back(std::move(key));
  return *this;
}

Txn& Txn::LeaveNoTrace() {
  leaves_no_trace = true;
  return *this;
}

}  // namespace mtp::kv
