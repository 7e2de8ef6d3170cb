// Which values a rotation replaces, and where.
#include <gtest/gtest.h>

#include "controller/tenants/secrets.h"

namespace mtp {
namespace {

v1::TenantSecrets Secrets(const std::string& gateway, const std::string& telegram,
                          const std::string& anthropic) {
  v1::TenantSecrets secrets;
  secrets.set_gateway_token(gateway);
  secrets.set_telegram_token(telegram);
  secrets.set_anthropic_key(anthropic);
  return secrets;
}

TEST(TenantSecrets, AreSealedForTheirOwnRecord) {
  const SecretBox box = SecretBox::ForTest();
  const std::string sealed = SealTenantSecrets(box, Secrets("g", "t", "a"), "/secrets/acme");
  EXPECT_EQ(OpenTenantSecrets(box, sealed, "/secrets/acme")->anthropic_key(), "a");
  EXPECT_TRUE(absl::IsDataLoss(OpenTenantSecrets(box, sealed, "/secrets/beta").status()));
}

TEST(TenantSecrets, WhatDiffersIsNamedInTheOrderOfTheApi) {
  EXPECT_EQ(ChangedSecrets(Secrets("g", "t", "a"), Secrets("g", "t", "a")), "");
  EXPECT_EQ(ChangedSecrets(Secrets("g", "t", "a"), Secrets("h", "u", "")),
            "telegram_token,anthropic_key,gateway_token");
}

TEST(TenantSecrets, FormerValuesAreReplacedAndOthersStay) {
  const v1::TenantSecrets before = Secrets("g", "t", "a");
  const v1::TenantSecrets after = Secrets("h", "t", "b");
  v1::TenantSecrets older = Secrets("g", "s", "a");
  EXPECT_TRUE(ReplaceSecrets(before, after, &older));
  EXPECT_EQ(older.SerializeAsString(), Secrets("h", "s", "b").SerializeAsString());
  EXPECT_FALSE(ReplaceSecrets(before, after, &older));
}

TEST(TenantSecrets, AKeyIsAddedAndTakenAwayOnlyWhereTheyAreTheTenants) {
  v1::TenantSecrets own = Secrets("g", "t", "");
  EXPECT_TRUE(ReplaceSecrets(Secrets("g", "t", ""), Secrets("g", "t", "b"), &own));
  EXPECT_EQ(own.anthropic_key(), "b");
  EXPECT_TRUE(ReplaceSecrets(Secrets("g", "t", "b"), Secrets("g", "t", ""), &own));
  EXPECT_EQ(own.anthropic_key(), "");
  v1::TenantSecrets earlier = Secrets("of another one", "t", "");
  EXPECT_FALSE(ReplaceSecrets(Secrets("g", "t", ""), Secrets("g", "t", "b"), &earlier));
}

}  // namespace
}  // namespace mtp
