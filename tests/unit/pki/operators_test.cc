#include "controller/pki/operators.h"

#include <absl/strings/str_cat.h>

#include "common/base/timestamps.h"
#include "common/kv/table.h"
#include "mtp/state/v1/state.pb.h"
#include "tests/unit/pki/pki_fixture.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class OperatorsTest : public PkiTest {
 protected:
  static OperatorName Named(const std::string& name) { return OperatorName::Parse(name).value(); }
  absl::StatusOr<v1::AddOperatorResponse> Add(const std::string& name, v1::Role role) {
    return operators_.Add(Named(name), role, NewCsr());
  }
  state::v1::OperatorRecord Record(const std::string& name) const {
    return kv::Table<state::v1::OperatorRecord>(store_.get(), "/operators/").Get(name)->value;
  }

  Operators operators_{store_.get(), &authority_, &clock_};
};

TEST_F(OperatorsTest, GetACertificateAndARole) {
  const auto added = Add("alice", v1::ROLE_ADMIN);
  ASSERT_TRUE(added.ok()) << added.status();
  const auto facts = tls::ReadCertificate(added->certificate_pem()).value();
  EXPECT_EQ(facts.identity.ToString(), "operator/alice");
  EXPECT_EQ(added->operator_().role(), v1::ROLE_ADMIN);
  EXPECT_EQ(added->ca_pem(), authority_.pem());
  EXPECT_THAT(Record("alice").certificate_serials(), ElementsAre(facts.serial));
}

TEST_F(OperatorsTest, NeedARoleAndAGoodRequest) {
  EXPECT_TRUE(absl::IsInvalidArgument(Add("bob", v1::ROLE_UNSPECIFIED).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Add("bob", static_cast<v1::Role>(99)).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(operators_.Add(Named("bob"), v1::ROLE_VIEWER, "nonsense").status()));
  EXPECT_TRUE(operators_.List()->empty());
}

TEST_F(OperatorsTest, ChangeTheirRoleAndKeepTheirEarlierCertificates) {
  ASSERT_TRUE(Add("alice", v1::ROLE_ADMIN).ok());
  ASSERT_TRUE(Add("bob", v1::ROLE_VIEWER).ok());
  ASSERT_TRUE(Add("bob", v1::ROLE_OPERATOR).ok());
  EXPECT_EQ(Record("bob").role(), v1::ROLE_OPERATOR);
  EXPECT_EQ(Record("bob").certificate_serials_size(), 2);
}

TEST_F(OperatorsTest, HaveAtMostEightCertificatesAndLoseTheOldest) {
  std::vector<std::string> serials;
  for (int i = 0; i < 9; ++i) {
    const auto added = Add("alice", v1::ROLE_ADMIN);
    ASSERT_TRUE(added.ok());
    serials.push_back(tls::ReadCertificate(added->certificate_pem())->serial);
  }
  serials.erase(serials.begin());
  EXPECT_THAT(Record("alice").certificate_serials(), ::testing::ElementsAreArray(serials));
}

TEST_F(OperatorsTest, RenewTheirOwnCertificateAndKeepRoleAndOldOne) {
  const auto added = Add("alice", v1::ROLE_ADMIN);
  const std::string first = tls::ReadCertificate(added->certificate_pem())->serial;
  clock_.Advance(absl::Hours(24 * 250));
  const auto renewed = operators_.Renew("alice", first, NewCsr());
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  const auto facts = tls::ReadCertificate(renewed->certificate_pem()).value();
  EXPECT_EQ(facts.identity.ToString(), "operator/alice");
  EXPECT_EQ(facts.not_after, clock_.Now() + kCertificateLifetime);
  EXPECT_EQ(renewed->ca_pem(), authority_.pem());
  EXPECT_THAT(Record("alice").certificate_serials(), ElementsAre(first, facts.serial));
  EXPECT_EQ(Record("alice").role(), v1::ROLE_ADMIN);
  EXPECT_EQ(FromTimestamp(Record("alice").certificate_expire_time()), facts.not_after);
}

TEST_F(OperatorsTest, RenewingAgainAfterLostAnswersNeverCostsTheOneInUse) {
  const auto added = Add("alice", v1::ROLE_ADMIN);
  const std::string in_use = tls::ReadCertificate(added->certificate_pem())->serial;
  std::string last;
  for (int i = 0; i < 20; ++i) {
    const auto renewed = operators_.Renew("alice", in_use, NewCsr());
    ASSERT_TRUE(renewed.ok()) << renewed.status();
    last = tls::ReadCertificate(renewed->certificate_pem())->serial;
  }
  const auto record = Record("alice");
  EXPECT_EQ(record.certificate_serials_size(), 8);
  EXPECT_THAT(record.certificate_serials(), ::testing::Contains(in_use));
  EXPECT_THAT(record.certificate_serials(), ::testing::Contains(last));
}

TEST_F(OperatorsTest, AreNotRenewedOnceTheyOrTheirCertificateAreGone) {
  const auto added = Add("alice", v1::ROLE_ADMIN);
  const std::string serial = tls::ReadCertificate(added->certificate_pem())->serial;
  EXPECT_TRUE(absl::IsPermissionDenied(operators_.Renew("alice", "0a", NewCsr()).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(operators_.Renew("bob", serial, NewCsr()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(operators_.Renew("alice", serial, "nonsense").status()));
  EXPECT_EQ(Record("alice").certificate_serials_size(), 1);
}

TEST_F(OperatorsTest, NeverLoseTheLastAdmin) {
  ASSERT_TRUE(Add("alice", v1::ROLE_ADMIN).ok());
  ASSERT_TRUE(Add("bob", v1::ROLE_OPERATOR).ok());
  const absl::Status removed = operators_.Remove(Named("alice"));
  EXPECT_TRUE(absl::IsFailedPrecondition(removed));
  EXPECT_THAT(std::string(removed.message()), HasSubstr("last admin; make another one first"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Add("alice", v1::ROLE_VIEWER).status()));
  EXPECT_EQ(Record("alice").role(), v1::ROLE_ADMIN);
  ASSERT_TRUE(Add("carol", v1::ROLE_ADMIN).ok());
  EXPECT_TRUE(operators_.Remove(Named("alice")).ok());
}

TEST_F(OperatorsTest, AreGoneOnceRemoved) {
  ASSERT_TRUE(Add("alice", v1::ROLE_ADMIN).ok());
  ASSERT_TRUE(Add("bob", v1::ROLE_VIEWER).ok());
  ASSERT_TRUE(operators_.Remove(Named("bob")).ok());
  EXPECT_TRUE(absl::IsNotFound(operators_.Remove(Named("bob"))));
  EXPECT_EQ(operators_.List()->size(), 1U);
}

TEST_F(OperatorsTest, AreListedByName) {
  for (const char* name : {"carol", "alice", "bob"}) ASSERT_TRUE(Add(name, v1::ROLE_ADMIN).ok());
  std::vector<std::string> names;
  const auto operators = operators_.List();
  ASSERT_TRUE(operators.ok());
  for (const v1::Operator& one : *operators) names.push_back(one.name());
  EXPECT_THAT(names, ElementsAre("alice", "bob", "carol"));
}

}  // namespace
}  // namespace mtp
