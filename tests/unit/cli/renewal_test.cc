// The caller's identity is renewed by the way, and never at the cost of the command.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "cli/commands/run.h"
#include "common/base/file_descriptor.h"
#include "common/tls/credentials.h"
#include "common/tls/keys.h"
#include "tests/unit/cli/cli_fixture.h"
#include "tests/unit/tls/fleet_keys.h"

namespace mtp::cli {
namespace {

using ::testing::HasSubstr;
using tls::kOperator;

class Renewal : public CliTest {
 protected:
  Renewal() {
    controller_.renew = [this](const v1::RenewCertificateRequest& request) {
      v1::RenewCertificateResponse response;
      response.set_certificate_pem(authority_.Sign(request.csr_pem(), kOperator, Day(365)).pem);
      response.set_ca_pem(authority_.pem());
      return response;
    };
  }
  static absl::Time Day(int days) { return absl::Now() + absl::Hours(24 * days); }

  std::string Folder() const { return folder_ / "id"; }
  // An identity that began an hour ago.
  void Give(absl::Time end) { first_ = authority_.Equip(Folder(), kOperator, end); }
  void GiveDue() { Give(absl::Now() + absl::Minutes(10)); }
  int Status() { return RunBare({"--controller", "fake:1", "--identity", Folder(), "status"}); }
  tls::CertificateFacts Has() const {
    const auto identity = tls::ReadIdentity(Folder());
    EXPECT_TRUE(identity.ok()) << identity.status();
    return identity.ok() ? identity->facts : tls::CertificateFacts();
  }

  const tls::TestAuthority authority_;
  std::string first_;
};

TEST_F(Renewal, IsNotAskedForBeforeItIsDue) {
  Give(Day(365));
  EXPECT_EQ(Status(), 0) << err();
  EXPECT_TRUE(controller_.renewals.empty());
  EXPECT_EQ(Has().serial, first_);
}

TEST_F(Renewal, ReplacesKeyAndCertificateOnce) {
  GiveDue();
  const std::string key = Has().key;
  EXPECT_EQ(Status(), 0) << err();
  EXPECT_EQ(err(), "");
  EXPECT_NE(Has().serial, first_);
  EXPECT_NE(Has().key, key);
  EXPECT_EQ(Has().key, tls::RequestKeyFingerprint(controller_.renewals.at(0).csr_pem()).value());
  struct stat facts = {};
  ASSERT_EQ(stat(tls::IdentityFolder(Folder()).key.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  EXPECT_EQ(Status(), 0);
  EXPECT_EQ(controller_.renewals.size(), 1u);
}

TEST_F(Renewal, ThatFailsIsAWarningInOneLineAndTheCommandGoesOn) {
  GiveDue();
  controller_.renew = nullptr;
  EXPECT_EQ(Status(), 0);
  EXPECT_THAT(err(), HasSubstr("could not be renewed"));
  const std::string said = err();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1);
  EXPECT_THAT(out(), HasSubstr("host"));
  EXPECT_EQ(Has().serial, first_);
}

TEST_F(Renewal, AnAnswerThatIsNoIdentityOfTheCallersIsNotTaken) {
  const tls::TestAuthority stranger;
  const std::string other = tls::NewRequest(tls::NewPrivateKey().value(), "x").value();
  for (const std::string& bad :
       {std::string("nonsense"), authority_.Sign(other, kOperator, Day(365)).pem,
        stranger.Sign(other, kOperator, Day(365)).pem}) {
    GiveDue();
    controller_.renew = [&](const v1::RenewCertificateRequest&) {
      v1::RenewCertificateResponse response;
      response.set_certificate_pem(bad);
      response.set_ca_pem(authority_.pem());
      return response;
    };
    EXPECT_EQ(Status(), 0);
    EXPECT_THAT(err(), HasSubstr("could not be renewed"));
    EXPECT_EQ(Has().serial, first_);
  }
}

TEST_F(Renewal, IsLeftToAnotherRunThatIsAtItAlready) {
  GiveDue();
  const std::string path = Folder() + "/renewal.lock";
  const FileDescriptor lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(flock(lock.get(), LOCK_EX), 0);
  EXPECT_EQ(Status(), 0);
  EXPECT_EQ(err(), "");
  EXPECT_TRUE(controller_.renewals.empty());
}

TEST_F(Renewal, OfManyRunsAtOnceOneDoesItAndTheIdentityIsWholeAtEachMoment) {
  GiveDue();
  std::vector<std::thread> runs;
  for (int i = 0; i < 8; ++i) {
    runs.emplace_back([this] {
      std::ostringstream out;
      std::ostringstream err;
      Environment own{.out = out,
                      .err = err,
                      .columns = environment_.columns,
                      .rows = environment_.rows,
                      .variable = environment_.variable,
                      .read_input = environment_.read_input,
                      .ask = environment_.ask,
                      .connect =
                          [this](const Endpoint& endpoint) {
                            EXPECT_TRUE(tls::ReadIdentity(endpoint.identity_folder).ok());
                            return absl::StatusOr<std::shared_ptr<grpc::Channel>>(NewChannel());
                          },
                      .listens = environment_.listens,
                      .sleep = environment_.sleep,
                      .clock = clock_,
                      .random = random_};
      EXPECT_EQ(RunCli({"--controller", "fake:1", "--identity", Folder(), "status"}, own), 0);
      EXPECT_EQ(err.str(), "");
    });
  }
  for (std::thread& run : runs) run.join();
  EXPECT_EQ(controller_.renewals.size(), 1u);
  EXPECT_NE(Has().serial, first_);
}

TEST_F(Renewal, DoesNotReplaceALink) {
  GiveDue();
  const std::string key = tls::IdentityFolder(Folder()).key;
  ASSERT_EQ(rename(key.c_str(), (folder_ / "elsewhere.pem").c_str()), 0);
  ASSERT_EQ(symlink((folder_ / "elsewhere.pem").c_str(), key.c_str()), 0);
  EXPECT_EQ(Status(), 0);
  EXPECT_THAT(err(), HasSubstr("is a link"));
  EXPECT_TRUE(controller_.renewals.empty());
}

TEST_F(Renewal, IsNoPartOfACompletion) {
  GiveDue();
  RunBare({"__complete", "--", "--controller", "fake:1", "--identity", Folder(), "stop", ""});
  EXPECT_GT(controller_.calls, 0);
  EXPECT_TRUE(controller_.renewals.empty());
  EXPECT_EQ(err(), "");
}

}  // namespace
}  // namespace mtp::cli
