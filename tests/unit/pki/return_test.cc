// Which machines may ask again with a token that was used, and which may not.
#include <absl/strings/match.h>

#include "controller/pki/join_tokens.h"
#include "tests/unit/pki/pki_fixture.h"

namespace mtp {
namespace {

class ReturnTest : public PkiTest {
 protected:
  // A machine with a token of its own for the host `h1`, and a key that it keeps.
  v1::JoinRequest NewMachine(bool rejoin = false) {
    const auto token =
        tokens_.Create(HostName::Parse("h1").value(), absl::Hours(1), rejoin).value();
    v1::JoinRequest request;
    request.set_token_id(token.id);
    request.set_token_secret(std::string(token.secret.Reveal()));
    request.set_host_id("h1");
    request.set_csr_pem(NewCsr());
    request.set_agent_address("10.0.0.5:7444");
    return request;
  }
  // Why it is refused; nothing may have changed.
  std::string Refusal(const v1::JoinRequest& request) {
    const int64_t before = store_->Revision();
    const absl::Status status = tokens_.Redeem(request).status();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    EXPECT_EQ(store_->Revision(), before);
    return std::string(status.message());
  }

  JoinTokens tokens_{store_.get(), &authority_, &clock_, &random_, "10.0.0.1:7443"};
};

TEST_F(ReturnTest, AMachineThatLostItsAnswerMayAskAgainForADayAfterTheTokensEnd) {
  const v1::JoinRequest machine = NewMachine();
  ASSERT_TRUE(tokens_.Redeem(machine).ok());
  clock_.Advance(absl::Hours(1) + absl::Hours(24));
  EXPECT_TRUE(tokens_.Redeem(machine).ok());
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Refusal(machine), "token has expired");
}

TEST_F(ReturnTest, ARemovedHostCannotComeBack) {
  const v1::JoinRequest machine = NewMachine();
  ASSERT_TRUE(tokens_.Redeem(machine).ok());
  kv::Txn removal;
  removal.Delete("/hosts/h1");
  ASSERT_TRUE(store_->Commit(removal).ok());
  EXPECT_TRUE(absl::StrContains(Refusal(machine), "removed"));
}

TEST_F(ReturnTest, AReplacedMachineCannotComeBack) {
  const v1::JoinRequest old_machine = NewMachine();
  ASSERT_TRUE(tokens_.Redeem(old_machine).ok());
  const v1::JoinRequest new_machine = NewMachine(/*rejoin=*/true);
  ASSERT_TRUE(tokens_.Redeem(new_machine).ok());
  EXPECT_EQ(Refusal(old_machine), "unknown token");
  EXPECT_TRUE(tokens_.Redeem(new_machine).ok());
}

TEST_F(ReturnTest, AskingAgainLeavesATokenThatWasMadeSinceAlone) {
  const v1::JoinRequest old_machine = NewMachine();
  ASSERT_TRUE(tokens_.Redeem(old_machine).ok());
  const v1::JoinRequest new_machine = NewMachine(/*rejoin=*/true);
  ASSERT_TRUE(tokens_.Redeem(old_machine).ok());
  EXPECT_TRUE(tokens_.Redeem(new_machine).ok());
}

TEST_F(ReturnTest, AnAddressThatGrpcCouldTakeForSomethingElseIsInvalid) {
  v1::JoinRequest machine = NewMachine();
  for (const char* address : {"", "10.0.0.2", "unix:/run/x.sock:1", "dns:///x:1", ":7444", "h:0",
                              "h:65536", "h:-1", "a b:1", "h/:1", "[]x:1", "[:1"}) {
    machine.set_agent_address(address);
    EXPECT_TRUE(absl::IsInvalidArgument(tokens_.Redeem(machine).status())) << address;
  }
  machine.set_agent_address("[fd00::2]:7444");
  EXPECT_TRUE(tokens_.Redeem(machine).ok());
}

}  // namespace
}  // namespace mtp
