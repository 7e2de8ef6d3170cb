#include "common/tls/join_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mtp::tls {
namespace {

JoinToken Sample() {
  return {"01KXA5E0000000000000000000", "h1", "10.0.0.1:7444", std::string(64, 'a'),
          SecretString(std::string(64, '5'))};
}

std::string SampleText() { return std::string(EncodeJoinToken(Sample()).Reveal()); }

TEST(JoinToken, IsReadBackWhole) {
  const auto token = DecodeJoinToken(SampleText());
  ASSERT_TRUE(token.ok());
  EXPECT_EQ(token->id, Sample().id);
  EXPECT_EQ(token->host, "h1");
  EXPECT_EQ(token->address, "10.0.0.1:7444");
  EXPECT_EQ(token->authority_fingerprint, Sample().authority_fingerprint);
  EXPECT_TRUE(token->secret.Equals(std::string(64, '5')));
}

TEST(JoinToken, IsOneWordThatBearsSpacesAround) {
  const std::string text = SampleText();
  EXPECT_EQ(text.find_first_of(" \n\t+/"), std::string::npos);
  EXPECT_TRUE(DecodeJoinToken("  " + text + "\n").ok());
}

TEST(JoinToken, IsRefusedWithAnythingCutOff) {
  const std::string text = SampleText();
  for (size_t kept = 0; kept < text.size(); ++kept) {
    EXPECT_FALSE(DecodeJoinToken(text.substr(0, kept)).ok()) << kept << " characters kept";
    EXPECT_FALSE(DecodeJoinToken(text.substr(text.size() - kept)).ok()) << kept << " of the end";
  }
}

TEST(JoinToken, IsRefusedWithAnyCharacterAltered) {
  const std::string text = SampleText();
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char other : {'A', 'Q', 'z', '_', '-', '!', ' ', '='}) {
      if (text[at] == other) continue;
      std::string altered = text;
      altered[at] = other;
      if (altered.find_last_not_of(" =") + 1 == text.find_last_not_of('=') + 1 &&
          altered.substr(0, text.find_last_not_of('=') + 1) ==
              text.substr(0, text.find_last_not_of('=') + 1)) {
        continue;  // only the padding is other, which says nothing
      }
      EXPECT_FALSE(DecodeJoinToken(altered).ok()) << "character " << at << " made " << other;
    }
  }
}

TEST(JoinToken, IsNeverShownByTheRefusal) {
  const std::string text = SampleText();
  const absl::Status refusal = DecodeJoinToken(text.substr(0, text.size() - 3)).status();
  EXPECT_EQ(refusal.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(refusal.message()).find(text.substr(6, 10)), std::string::npos);
  EXPECT_THAT(std::string(refusal.message()), ::testing::HasSubstr("make a new one"));
}

TEST(JoinToken, IsRefusedWhenHuge) {
  EXPECT_FALSE(DecodeJoinToken("mtpj1_" + std::string(1 << 20, 'A')).ok());
}

}  // namespace
}  // namespace mtp::tls
