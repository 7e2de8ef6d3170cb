// When and where copies of the state are made, on virtual time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/kv/sqlite_store.h"
#include "controller/backups/repositories.h"
#include "controller/recovery/copy_seal.h"
#include "controller/recovery/state_copies.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kRootKey[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

class StateCopiesTest : public ::testing::Test {
 protected:
  void TearDown() override { copies_->Stop(); }

  void Start() {
    StateCopies::Edges edges;
    edges.pack = [this](const std::string& id, size_t) -> absl::StatusOr<SecretString> {
      ++packs_;
      if (!pack_error_.ok()) return pack_error_;
      return SecretString("state of " + id);
    };
    edges.send = [this](const std::string& host, const v1::StoreStateRequest& request) {
      attempts_.push_back(host);
      if (during_send_) during_send_();
      if (!send_error_.ok()) return send_error_;
      sent_.push_back(request);
      sent_by_.push_back(host);
      return absl::OkStatus();
    };
    copies_ = std::make_unique<StateCopies>(store_.get(), &box_, &observations_, &clock_, &random_,
                                            &executor_, "mtp", std::move(edges), NullLog(),
                                            StateCopies::Options());
    ASSERT_TRUE(copies_->Start().ok());
    executor_.RunFor(absl::Seconds(1));
  }
  void AddHost(const std::string& name, bool connected = true) {
    Put("/hosts/" + name, state::v1::HostRecord().SerializeAsString());
    Connect(name, connected);
  }
  void Connect(const std::string& name, bool connected) {
    observations_.Update(name, [=](HostObservation& seen) { seen.connected = connected; });
    if (connected && copies_) copies_->HostConnected();
  }
  void AddFolder(const std::string& name) { Add(name, "/srv/" + name, {}); }
  void AddServer(const std::string& name) {
    v1::RepositorySecrets secrets;
    secrets.set_s3_access_key("key");
    secrets.set_s3_secret_key("secret");
    Add(name, "s3:https://example.org/bucket-" + name, secrets);
  }
  void Add(const std::string& name, const std::string& url, v1::RepositorySecrets secrets) {
    v1::AddRepositoryRequest request;
    request.set_repository_id(name);
    request.set_url(url);
    *request.mutable_secrets() = std::move(secrets);
    request.mutable_secrets()->set_root_key(kRootKey);
    ASSERT_TRUE(repositories_.Add(request).ok());
  }
  void Put(const std::string& key, const std::string& value = "x") {
    kv::Txn txn;
    txn.Put(key, value);
    ASSERT_TRUE(store_->Commit(txn).ok());
  }
  void Run(absl::Duration duration) { executor_.RunFor(duration); }

  testing::SimClock clock_;
  testing::SeededRandom random_{1};
  testing::SimExecutor executor_{&clock_, nullptr};
  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  SecretBox box_ = SecretBox::ForTest();
  Observations observations_;
  Repositories repositories_{store_.get(), &box_, &clock_, &random_};
  std::unique_ptr<StateCopies> copies_;
  absl::Status pack_error_;
  absl::Status send_error_;
  std::function<void()> during_send_;
  int packs_ = 0;
  std::vector<std::string> attempts_;
  std::vector<v1::StoreStateRequest> sent_;
  std::vector<std::string> sent_by_;
};

TEST_F(StateCopiesTest, ANewRepositoryGetsItsFirstCopySoon) {
  AddHost("h1");
  Start();
  AddServer("main");
  Run(absl::Seconds(15));
  ASSERT_THAT(sent_, SizeIs(1));
  EXPECT_EQ(sent_[0].repository().url(), "s3:https://example.org/bucket-main/_controller");
  EXPECT_EQ(sent_[0].fleet(), "mtp");
  // The agent cannot open it with what it is given; the kit's root key can.
  const auto plain = OpenCopy(sent_[0].state(), CopyKey(kRootKey, "mtp"));
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->Reveal(), "state of " + sent_[0].copy_id());
  EXPECT_NE(sent_[0].repository().password(), kRootKey);
}

TEST_F(StateCopiesTest, AStartIsFollowedByACopyAndThenADailyOne) {
  AddHost("h1");
  AddServer("main");
  Start();
  Run(absl::Minutes(4));
  EXPECT_THAT(sent_, IsEmpty());
  Run(absl::Minutes(2));
  EXPECT_THAT(sent_, SizeIs(1));
  Run(absl::Hours(23));
  EXPECT_THAT(sent_, SizeIs(1));
  Run(absl::Hours(2));
  EXPECT_THAT(sent_, SizeIs(2));
}

TEST_F(StateCopiesTest, ManyChangesAreOneCopyAndNeverMoreThanOneInAQuarterOfAnHour) {
  AddHost("h1");
  AddServer("main");
  Start();
  Run(absl::Minutes(30));
  ASSERT_THAT(sent_, SizeIs(1));
  for (int i = 0; i < 10; ++i) Put(absl::StrCat("/tenants/t", i));
  Run(absl::Minutes(4));
  EXPECT_THAT(sent_, SizeIs(1));
  Run(absl::Minutes(2));
  EXPECT_THAT(sent_, SizeIs(2));
  // A change each ten seconds for two hours.
  for (int i = 0; i < 720; ++i) {
    Put(absl::StrCat("/tenants/t", i));
    Run(absl::Seconds(10));
  }
  EXPECT_THAT(sent_, SizeIs(::testing::AllOf(::testing::Ge(9U), ::testing::Le(10U))));
}

TEST_F(StateCopiesTest, WhatOnlySaysHowThingsGoOnIsNotWorthACopy) {
  AddHost("h1");
  AddServer("main");
  Start();
  Run(absl::Minutes(30));
  for (const char* key : {"/operations/1", "/audit/1", "/locks/tenants/a", "/requests/a/1",
                          "/join-tokens/1", "/schedules/a", "/next-secrets/a"}) {
    Put(key);
  }
  Run(absl::Hours(1));
  EXPECT_THAT(sent_, SizeIs(1));
}

TEST_F(StateCopiesTest, AChangeThatComesWhileACopyIsSentIsInTheNext) {
  AddHost("h1");
  AddServer("main");
  Start();
  during_send_ = [this] {
    Put("/tenants/late");
    during_send_ = nullptr;
  };
  Run(absl::Minutes(6));
  ASSERT_THAT(sent_, SizeIs(1));
  Run(absl::Minutes(16));
  EXPECT_THAT(sent_, SizeIs(2));
}

TEST_F(StateCopiesTest, AFolderGetsACopyOnEveryHost) {
  AddHost("h1");
  AddHost("h2");
  AddHost("h3", /*connected=*/false);
  Start();
  AddFolder("local");
  Run(absl::Minutes(1));
  ASSERT_THAT(sent_by_, ElementsAre("h1", "h2"));
  // The folder may be one that the hosts share: no copy takes the place of another one.
  EXPECT_NE(sent_[0].copy_id(), sent_[1].copy_id());
  Connect("h3", true);
  Run(absl::Minutes(1));
  EXPECT_THAT(sent_by_, ElementsAre("h1", "h2", "h3"));
}

TEST_F(StateCopiesTest, AfterAStartHostsThatConnectOneByOneAreWaitedFor) {
  AddHost("h1", /*connected=*/false);
  AddFolder("local");
  Start();
  Connect("h1", true);
  Run(absl::Minutes(4));
  EXPECT_THAT(attempts_, IsEmpty());
  Run(absl::Minutes(2));
  EXPECT_THAT(sent_by_, ElementsAre("h1"));
}

TEST_F(StateCopiesTest, AHostThatOnlyComesBackGetsNoCopyOfTheSame) {
  AddHost("h1");
  Start();
  AddFolder("local");
  Run(absl::Hours(1));
  const size_t before = sent_.size();
  for (int i = 0; i < 5; ++i) {
    Connect("h1", false);
    Run(absl::Minutes(2));
    Connect("h1", true);
    Run(absl::Minutes(2));
  }
  EXPECT_EQ(sent_.size(), before);
}

TEST_F(StateCopiesTest, AFailureIsTriedAgainWithGrowingPausesByAnotherHost) {
  AddHost("h1");
  AddHost("h2");
  Start();
  send_error_ = absl::UnavailableError("the server is away");
  AddServer("main");
  Run(absl::Minutes(8));  // at 10 s, then after 1, 2 and 4 minutes
  EXPECT_THAT(attempts_, ElementsAre("h1", "h2", "h1", "h2"));
  send_error_ = absl::OkStatus();
  Run(absl::Minutes(10));
  EXPECT_THAT(sent_, SizeIs(1));
}

TEST_F(StateCopiesTest, OneRepositoryThatFailsHoldsNoOtherUp) {
  AddHost("h1");
  Start();
  AddServer("main");
  AddFolder("local");
  int calls = 0;
  during_send_ = [&] {
    send_error_ = ++calls == 1 ? absl::UnavailableError("away") : absl::OkStatus();
  };
  Run(absl::Seconds(30));
  EXPECT_THAT(attempts_, SizeIs(2));
  EXPECT_THAT(sent_, SizeIs(1));
}

TEST_F(StateCopiesTest, WithoutAHostItWaitsForOne) {
  AddHost("h1", /*connected=*/false);
  Start();
  AddServer("main");
  Run(absl::Hours(2));
  EXPECT_THAT(attempts_, IsEmpty());
  Connect("h1", true);
  Run(absl::Seconds(30));
  EXPECT_THAT(sent_, SizeIs(1));
}

TEST_F(StateCopiesTest, AStateThatCannotBePackedIsTriedAgain) {
  AddHost("h1");
  Start();
  pack_error_ = absl::ResourceExhaustedError("too large");
  AddServer("main");
  Run(absl::Minutes(10));
  EXPECT_THAT(attempts_, IsEmpty());
  EXPECT_GE(packs_, 3);
  pack_error_ = absl::OkStatus();
  Run(absl::Minutes(10));
  EXPECT_THAT(sent_, SizeIs(1));
}

TEST_F(StateCopiesTest, ARepositoryThatIsAddedWhileACopyIsSentIsSeen) {
  AddHost("h1");
  Start();
  AddServer("main");
  during_send_ = [this] {
    during_send_ = nullptr;
    AddServer("other");
  };
  Run(absl::Seconds(30));
  EXPECT_THAT(sent_, SizeIs(2));
}

TEST_F(StateCopiesTest, NothingIsBegunAfterStop) {
  AddHost("h1");
  Start();
  AddServer("main");
  copies_->Stop();
  Run(absl::Hours(1));
  EXPECT_THAT(attempts_, IsEmpty());
}

TEST_F(StateCopiesTest, WithoutARepositoryNothingIsPacked) {
  AddHost("h1");
  Start();
  Put("/tenants/acme");
  Run(absl::Hours(48));
  EXPECT_EQ(packs_, 0);
}

}  // namespace
}  // namespace mtp
