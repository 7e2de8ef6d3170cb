// Nothing of the API or the stored state is removed, renumbered or retyped: controllers, agents and
// stores of other versions read it.
//
// tests/unit/proto/api.golden has one line for each field, enum value and call. New lines are
// fine and are added by
//   MTP_UPDATE_GOLDEN=1 build/bin/unit_proto --gtest_filter='*Golden*'
// A line that goes or changes breaks whoever is one version behind (older_build_test.cc says so
// too, and cannot be told otherwise).
#include <absl/strings/str_cat.h>

#include <cstdlib>
#include <set>

#include "tests/support/paths.h"
#include "tests/unit/proto/breaks.h"
#include "tests/unit/proto/descriptors.h"

namespace mtp {
namespace {

std::string GoldenFile() { return testing::SourcePath("tests/unit/proto/api.golden"); }

// Fields of messages, those of a map's entries included.
void AddFields(const google::protobuf::Descriptor& message, std::set<std::string>* lines) {
  for (int i = 0; i < message.field_count(); ++i) {
    const auto& field = *message.field(i);
    lines->insert(
        absl::StrCat("field ", field.full_name(), " = ", field.number(), " ", TypeOf(field)));
    if (field.is_map()) AddFields(*field.message_type(), lines);
  }
}

class Golden : public Descriptors {
 protected:
  std::set<std::string> Now() const {
    std::set<std::string> lines;
    for (const auto* message : Messages()) AddFields(*message, &lines);
    for (const auto* type : Enums()) {
      for (int i = 0; i < type->value_count(); ++i) {
        const auto* value = type->value(i);
        lines.insert(
            absl::StrCat("value ", type->full_name(), " ", value->name(), " = ", value->number()));
      }
    }
    for (const auto* method : Methods()) {
      lines.insert(absl::StrCat(
          "rpc ", method->full_name(), " ", method->client_streaming() ? "stream " : "",
          method->input_type()->full_name(), " -> ", method->server_streaming() ? "stream " : "",
          method->output_type()->full_name()));
    }
    return lines;
  }
};

TEST_F(Golden, IsKept) {
  const std::set<std::string> now = Now();
  if (std::getenv("MTP_UPDATE_GOLDEN") != nullptr) {
    std::ofstream file(GoldenFile(), std::ios::trunc);
    for (const std::string& line : now) file << line << "\n";
  }
  std::ifstream file(GoldenFile());
  ASSERT_TRUE(file.good()) << "make it first, see the head of this test";
  std::set<std::string> kept;
  for (std::string line; std::getline(file, line);) kept.insert(line);
  for (const std::string& line : kept) {
    EXPECT_TRUE(now.count(line)) << "removed, renumbered or retyped: " << line;
  }
  for (const std::string& line : now) {
    EXPECT_TRUE(kept.count(line)) << "new, record it (see the head of this test): " << line;
  }
}

}  // namespace
}  // namespace mtp
