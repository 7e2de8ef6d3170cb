#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include "common/kv/sqlite_store.h"
#include "controller/api/audit_log.h"
#include "tests/support/faulty_store.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"

namespace mtp {
namespace {

using testing::CommitFault;
using testing::FaultyStore;
using testing::SeededRandom;
using testing::SimClock;

class AuditTest : public ::testing::Test {
 protected:
  std::unique_ptr<kv::Store> inner_ = kv::NewMemoryStore();
  FaultyStore store_{inner_.get()};
  SimClock clock_;
  SeededRandom random_{1};

  absl::Status Record(AuditLog& log, const std::string& message,
                      const std::string& actor = "operator/alice") {
    clock_.Advance(absl::Milliseconds(1));
    v1::AuditEntry entry;
    entry.set_actor(actor);
    entry.set_message(message);
    return log.Record(entry);
  }
  static std::vector<std::string> Messages(const AuditLog& log, int size = 1000) {
    v1::ListAuditEntriesRequest request;
    request.set_page_size(size);
    std::vector<std::string> messages;
    for (;;) {
      const auto page = log.List(request);
      EXPECT_TRUE(page.ok()) << page.status();
      for (const auto& entry : page->entries()) messages.push_back(entry.message());
      if (page->next_page_token().empty()) return messages;
      request.set_page_token(page->next_page_token());
    }
  }
};

TEST_F(AuditTest, ListsTheNewestFirstAndPagesHaveNoGap) {
  AuditLog log(&store_, &clock_, &random_);
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(Record(log, std::to_string(i)).ok());
  EXPECT_EQ(Messages(log, 3), (std::vector<std::string>{"6", "5", "4", "3", "2", "1", "0"}));
}

TEST_F(AuditTest, AMalformedPageTokenIsInvalid) {
  const AuditLog log(&store_, &clock_, &random_);
  v1::ListAuditEntriesRequest request;
  request.set_page_token("%%%");
  EXPECT_TRUE(absl::IsInvalidArgument(log.List(request).status()));
}

TEST_F(AuditTest, KeepsOnlyTheNewestAlsoAcrossARestart) {
  for (int run = 0; run < 2; ++run) {
    AuditLog log(&store_, &clock_, &random_, /*max_entries=*/300);
    for (int i = 0; i < 400; ++i) ASSERT_TRUE(Record(log, absl::StrCat(run, "/", i)).ok());
    EXPECT_LE(Messages(log).size(), 300u);
    EXPECT_GE(Messages(log).size(), 100u);
    EXPECT_EQ(Messages(log).front(), absl::StrCat(run, "/399"));
  }
}

TEST_F(AuditTest, AFloodOfStrangersIsCountedAndCannotPushTheRestOut) {
  AuditLog log(&store_, &clock_, &random_);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Record(log, "refused", "anonymous").ok());
  EXPECT_EQ(Messages(log).size(), 60u);
  ASSERT_TRUE(Record(log, "provisioned").ok());
  EXPECT_TRUE(absl::StrContains(Messages(log).front(), "40 more refusals"))
      << Messages(log).front();
  clock_.Advance(absl::Minutes(2));
  ASSERT_TRUE(Record(log, "refused", "anonymous").ok());
  EXPECT_EQ(Messages(log).size(), 62u);
}

TEST_F(AuditTest, AFullDiskIsReportedAndDoesNotLoseTheCount) {
  AuditLog log(&store_, &clock_, &random_);
  for (int i = 0; i < 61; ++i) ASSERT_TRUE(Record(log, "refused", "anonymous").ok());
  store_.choose_fault = [](const kv::Txn&) { return CommitFault::kDiskFull; };
  EXPECT_TRUE(absl::IsResourceExhausted(Record(log, "provisioned")));
  store_.choose_fault = nullptr;
  ASSERT_TRUE(Record(log, "provisioned").ok());
  EXPECT_TRUE(absl::StrContains(Messages(log).front(), "1 more refusals")) << Messages(log).front();
}

TEST_F(AuditTest, TextsThatAreNotUtf8OrVeryLongCanStillBeRead) {
  AuditLog log(&store_, &clock_, &random_);
  ASSERT_TRUE(Record(log, "bad \xff\xc3 bytes").ok());
  ASSERT_TRUE(Record(log, std::string(999, 'x') + "\xe2\x80\xa6").ok());
  const auto messages = Messages(log);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0], std::string(999, 'x'));
  EXPECT_EQ(messages[1], "bad ?? bytes");
}

}  // namespace
}  // namespace mtp
