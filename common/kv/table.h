// Protobuf messages in a Store: one table per key prefix.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <string>
#include <utility>
#include <vector>

#include "common/kv/store.h"

namespace mtp::kv {

template <typename Message>
struct Row {
  std::string id;
  Message value;
  int64_t revision = 0;
};

// A view of `prefix` (with its closing slash) as messages. Cheap to copy; the store must outlive
// it. Thread-safe.
template <typename Message>
class Table {
 public:
  Table(const Store* store, std::string prefix) : store_(store), prefix_(std::move(prefix)) {}

  std::string Key(absl::string_view id) const { return absl::StrCat(prefix_, id); }
  const std::string& prefix() const { return prefix_; }

  // NOT_FOUND when absent, DATA_LOSS when the bytes are not such a message.
  absl::StatusOr<Row<Message>> Get(absl::string_view id) const {
    auto entry = store_->Get(Key(id));
    if (!entry.ok()) return entry.status();
    return Parse(*entry);
  }
  // All rows by id; rows that cannot be read are DATA_LOSS.
  absl::StatusOr<std::vector<Row<Message>>> List() const {
    std::vector<Row<Message>> rows;
    for (const Entry& entry : store_->List(prefix_)) {
      auto row = Parse(entry);
      if (!row.ok()) return row.status();
      rows.push_back(*std::move(row));
    }
    return rows;
  }
  // Adds a put of the message to the transaction.
  void Put(Txn& txn, absl::string_view id, const Message& message) const {
    txn.Put(Key(id), message.SerializeAsString());
  }
  absl::StatusOr<Row<Message>> Parse(const Entry& entry) const {
    Row<Message> row{entry.key.substr(prefix_.size()), Message(), entry.mod_revision};
    if (!row.value.ParseFromString(entry.value)) {
      return absl::DataLossError(absl::StrCat("the state of ", entry.key, " cannot be read"));
    }
    return row;
  }

 private:
  const Store* store_;
  std::string prefix_;
};

}  // namespace mtp::kv
