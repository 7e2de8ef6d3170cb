// Key files of restic's repositories; the one here was made by restic 0.14.
#include "common/restic/key_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/base/atomic_file.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using testing::TempFolder;

// Of the password `pw`.
constexpr char kByRestic[] =
    R"({"created":"2026-11-26T03:26:31.467521479Z","username":"root","hostname":"vm","kdf":"scrypt","N":32768,"r":8,"p":4,"salt":"109+uyQwrxnmiw1SZmOhjpewp6iMRXlwXQzzzkro6s1CiraLFeiJobYUH6N+sWsq86W+Rj3zYLe9sReqKgiS1w==","data":"0ganV9EywdBATKjQLeQVfMJXD8WtkD3XBTMkTqM6+43Pd7q5hrD4zJYDTNCYZg98wjK3LN9hAG0JKudtkkvfGtTBSCUE6vRmf9mU9VAgSQ3+IVhuvXhW3/wA7/DUbOkAttHKS8myWzQ/imUSH3EhN6PAZcCtJ/gKdYLTvrwVtl51Yw4ARlRoJW3Pr1ed7p2OI//p0Q1FM/swgIP0WfyEpw=="})";

SecretString Password() { return SecretString("pw"); }

std::vector<std::string> KeysIn(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/keys"))
    names.push_back(entry.path().filename());
  return names;
}

TEST(KeyFile, IsCheapToOpenUnderTheSamePassword) {
  const auto cheap = WithoutWork(kByRestic, Password());
  ASSERT_TRUE(cheap.ok()) << cheap.status();
  const auto file = nlohmann::json::parse(*cheap);
  EXPECT_EQ(file["kdf"], "scrypt");
  EXPECT_EQ(file["N"], 2);
  EXPECT_NE(file["salt"], nlohmann::json::parse(kByRestic)["salt"]);
  EXPECT_TRUE(WithoutWork(*cheap, Password()).ok());
}

TEST(KeyFile, IsNotWrittenAnewUnderAnotherPassword) {
  EXPECT_TRUE(absl::IsPermissionDenied(WithoutWork(kByRestic, SecretString("pv")).status()));
}

TEST(KeyFile, WhoseBytesChangedIsRefused) {
  auto file = nlohmann::json::parse(kByRestic);
  std::string data = file["data"];
  data[40] = data[40] == 'A' ? 'B' : 'A';
  file["data"] = data;
  EXPECT_TRUE(absl::IsPermissionDenied(WithoutWork(file.dump(), Password()).status()));
}

TEST(KeyFile, ThatIsNoneIsRefused) {
  for (const char* text : {"", "[]", "{}", R"({"kdf":5})", R"({"kdf":"scrypt","salt":[]})",
                           R"({"kdf":"scrypt","N":"2","r":8,"p":1,"salt":"AAAA","data":"AAAA"})",
                           R"({"kdf":"other","salt":"AA=="})",
                           R"({"kdf":"scrypt","N":3,"r":8,"p":1,"salt":"AAAA","data":"AAAA"})"})
    EXPECT_TRUE(absl::IsInvalidArgument(WithoutWork(text, Password()).status())) << text;
}

TEST(KeyFile, TakesThePlaceOfResticsOwn) {
  const TempFolder dir;
  std::filesystem::create_directory(dir.path() + "/keys");
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/keys/old", kByRestic, 0400).ok());
  ASSERT_TRUE(MakeOpeningCheap(dir.path(), Password()).ok());
  const auto names = KeysIn(dir.path());
  ASSERT_EQ(names.size(), 1U);
  EXPECT_EQ(names[0].size(), 64U);
  EXPECT_TRUE(WithoutWork(*ReadFile(dir.path() + "/keys/" + names[0], 4096), Password()).ok());
}

TEST(KeyFile, OfAWrongPasswordStays) {
  const TempFolder dir;
  std::filesystem::create_directory(dir.path() + "/keys");
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/keys/old", kByRestic, 0400).ok());
  EXPECT_FALSE(MakeOpeningCheap(dir.path(), SecretString("pv")).ok());
  EXPECT_EQ(KeysIn(dir.path()), std::vector<std::string>{"old"});
}

}  // namespace
}  // namespace mtp
