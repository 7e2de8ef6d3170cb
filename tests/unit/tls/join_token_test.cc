#include "common/tls/join_token.h"

#include <gtest/gtest.h>

namespace mtp::tls {
namespace {

JoinToken Sample() {
  return {"01HZZZZZZZZZZZZZZZZZZZZZZZ", "h1", "10.0.0.1:7443", std::string(64, 'a'),
          SecretString(std::string(64, '5'))};
}

TEST(JoinToken, IsOneWordAndReadBackAsWritten) {
  const SecretString text = EncodeJoinToken(Sample());
  EXPECT_EQ(text.Reveal().find_first_of(" \t\n\"'$\\"), absl::string_view::npos);
  const auto token = DecodeJoinToken(text.Reveal());
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->id, Sample().id);
  EXPECT_EQ(token->host, "h1");
  EXPECT_EQ(token->address, "10.0.0.1:7443");
  EXPECT_EQ(token->authority_fingerprint, std::string(64, 'a'));
  EXPECT_TRUE(token->secret.Equals(std::string(64, '5')));
}

TEST(JoinToken, SpaceAroundItFromAPasteDoesNoHarm) {
  const std::string text = "  " + std::string(EncodeJoinToken(Sample()).Reveal()) + "\r\n";
  EXPECT_TRUE(DecodeJoinToken(text).ok());
}

TEST(JoinToken, CutOffAnywhereItIsRefusedWithoutBeingShown) {
  const std::string text(EncodeJoinToken(Sample()).Reveal());
  for (size_t length = 0; length < text.size(); ++length) {
    const auto token = DecodeJoinToken(text.substr(0, length));
    ASSERT_TRUE(absl::IsInvalidArgument(token.status())) << length;
    if (length > 20) {
      ASSERT_EQ(token.status().message().find(text.substr(6, 14)), absl::string_view::npos);
    }
  }
}

TEST(JoinToken, AnyAlteredCharacterIsNoticed) {
  const std::string text(EncodeJoinToken(Sample()).Reveal());
  // The last one may carry unused bits of base64.
  for (size_t at = 0; at + 1 < text.size(); ++at) {
    std::string altered = text;
    altered[at] = altered[at] == 'Q' ? 'R' : 'Q';
    ASSERT_FALSE(DecodeJoinToken(altered).ok()) << at;
  }
}

TEST(JoinToken, FieldsThatCannotBeOursAreRefused) {
  JoinToken bad_host = Sample();
  bad_host.host = "../etc";
  EXPECT_FALSE(DecodeJoinToken(EncodeJoinToken(bad_host).Reveal()).ok());
  JoinToken bad_fingerprint = Sample();
  bad_fingerprint.authority_fingerprint = "";
  EXPECT_FALSE(DecodeJoinToken(EncodeJoinToken(bad_fingerprint).Reveal()).ok());
  JoinToken huge = Sample();
  huge.address = std::string(5000, 'x');
  EXPECT_FALSE(DecodeJoinToken(EncodeJoinToken(huge).Reveal()).ok());
}

}  // namespace
}  // namespace mtp::tls
