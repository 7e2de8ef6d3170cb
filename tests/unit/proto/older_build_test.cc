// The protocol and the stored messages of the builds in tests/golden: whoever is one version behind
// can talk to this build and read what it has stored, and gives back what it does not know.
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <google/protobuf/dynamic_message.h>

#include <algorithm>
#include <memory>

#include "agent/tenants/journal.h"
#include "common/base/canonical_bytes.h"
#include "tests/support/recorded_builds.h"
#include "tests/unit/proto/breaks.h"
#include "tests/unit/proto/descriptors.h"

namespace mtp {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::Message;

// Numbers that no build knows.
constexpr int kUnknownValue = 77;
constexpr int kUnknownField = 9999;

// Sets every field, also those of the messages within. Of a oneof it sets the member whose place is
// `round`, modulo their number.
class Filling {
 public:
  explicit Filling(int round) : round_(round) {}

  void Fill(Message& message, int depth = 0) const {
    const Descriptor& type = *message.GetDescriptor();
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      const auto* group = field.real_containing_oneof();
      if (group != nullptr && field.index_in_oneof() != round_ % group->field_count()) continue;
      if (field.message_type() != nullptr) {
        if (depth < kMaxDepth) Fill(*Within(message, field), depth + 1);
      } else {
        SetValue(message, field);
      }
    }
  }

 private:
  static constexpr int kMaxDepth = 6;

  static Message* Within(Message& message, const FieldDescriptor& field) {
    const auto& reflection = *message.GetReflection();
    return field.is_repeated() ? reflection.AddMessage(&message, &field)
                               : reflection.MutableMessage(&message, &field);
  }

  template <typename Value, typename Set, typename Add>
  static void Put(Message& message, const FieldDescriptor& field, Value value, Set set, Add add) {
    const auto& reflection = *message.GetReflection();
    if (field.is_repeated()) {
      (reflection.*add)(&message, &field, value);
    } else {
      (reflection.*set)(&message, &field, value);
    }
  }

  static void SetValue(Message& message, const FieldDescriptor& field) {
    using R = google::protobuf::Reflection;
    const int number = field.number();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return Put(message, field, number, &R::SetInt32, &R::AddInt32);
      case FieldDescriptor::CPPTYPE_INT64:
        return Put(message, field, int64_t{number}, &R::SetInt64, &R::AddInt64);
      case FieldDescriptor::CPPTYPE_UINT32:
        return Put(message, field, static_cast<uint32_t>(number), &R::SetUInt32, &R::AddUInt32);
      case FieldDescriptor::CPPTYPE_UINT64:
        return Put(message, field, static_cast<uint64_t>(number), &R::SetUInt64, &R::AddUInt64);
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return Put(message, field, number + 0.5, &R::SetDouble, &R::AddDouble);
      case FieldDescriptor::CPPTYPE_FLOAT:
        return Put(message, field, static_cast<float>(number), &R::SetFloat, &R::AddFloat);
      case FieldDescriptor::CPPTYPE_BOOL:
        return Put(message, field, true, &R::SetBool, &R::AddBool);
      case FieldDescriptor::CPPTYPE_ENUM:
        return Put(message, field, kUnknownValue, &R::SetEnumValue, &R::AddEnumValue);
      case FieldDescriptor::CPPTYPE_STRING:
        return Put(message, field, absl::StrCat("text ", number), &R::SetString, &R::AddString);
      case FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
  }

  const int round_;
};

int RoundsFor(const Descriptor& type) {
  int rounds = 1;
  for (int i = 0; i < type.real_oneof_decl_count(); ++i) {
    rounds = std::max(rounds, type.oneof_decl(i)->field_count());
  }
  return rounds;
}

class OlderBuilds : public Descriptors {
 protected:
  struct Build {
    std::string name;
    DescriptorPool pool;
    std::vector<const FileDescriptor*> files;
  };

  void SetUp() override {
    Descriptors::SetUp();
    for (const std::string& name : testing::RecordedBuilds()) {
      auto build = std::make_unique<Build>();
      build->name = name;
      Read(testing::SourcePath("tests/golden/" + name + "/protocol.binpb"), &build->pool,
           &build->files);
      ASSERT_FALSE(build->files.empty()) << name;
      builds_.push_back(std::move(build));
    }
    ASSERT_FALSE(builds_.empty()) << "tests/golden/README.md says how a build is recorded";
  }

  std::vector<std::unique_ptr<Build>> builds_;
};

TEST_F(OlderBuilds, FindNothingRemovedRenumberedOrRetyped) {
  for (const auto& build : builds_) {
    EXPECT_THAT(BreaksOf(build->files, pool_), ::testing::IsEmpty()) << build->name;
  }
}

// An older program stores a message of this build, or has it in its hands for a moment, and gives
// it back: byte for byte the same, so that hashes are the same, too.
TEST_F(OlderBuilds, GiveBackWhatTheyDoNotKnow) {
  google::protobuf::DynamicMessageFactory messages;
  for (const auto& build : builds_) {
    for (const Descriptor* today : Messages()) {
      const Descriptor* older = build->pool.FindMessageTypeByName(today->full_name());
      if (older == nullptr) continue;
      for (int round = 0; round < RoundsFor(*today); ++round) {
        const std::unique_ptr<Message> sent(messages.GetPrototype(today)->New());
        Filling(round).Fill(*sent);
        const std::unique_ptr<Message> kept(messages.GetPrototype(older)->New());
        ASSERT_TRUE(kept->ParseFromString(CanonicalBytes(*sent))) << today->full_name();
        EXPECT_EQ(CanonicalBytes(*kept), CanonicalBytes(*sent))
            << build->name << ": " << today->full_name();
      }
    }
  }
}

// This build's own: what a newer controller asks for is journaled and compared with everything
// that it said.
TEST(NewerController, IsAnsweredByTheHashOfAllThatItSaid) {
  v1::EnsureActionRequest request;
  request.set_key("01J/start-container");
  v1::TenantSpec& spec = *request.mutable_apply()->mutable_spec();
  spec.set_run_policy(static_cast<v1::RunPolicy>(kUnknownValue));
  spec.GetReflection()->MutableUnknownFields(&spec)->AddVarint(kUnknownField, 1);
  request.mutable_apply()->mutable_secrets()->set_telegram_token("1:token");
  v1::EnsureActionRequest other = request;
  v1::TenantSpec& otherwise = *other.mutable_apply()->mutable_spec();
  otherwise.GetReflection()->MutableUnknownFields(&otherwise)->Clear();
  EXPECT_NE(RequestHash(request), RequestHash(other));

  state::v1::AgentActionRecord record;
  *record.mutable_request() = WithoutSecrets(request);
  state::v1::AgentActionRecord read;
  ASSERT_TRUE(read.ParseFromString(record.SerializeAsString()));
  const v1::TenantSpec& kept = read.request().apply().spec();
  EXPECT_EQ(static_cast<int>(kept.run_policy()), kUnknownValue);
  EXPECT_EQ(kept.GetReflection()->GetUnknownFields(kept).field_count(), 1);
  EXPECT_FALSE(read.request().apply().has_secrets());
  *read.mutable_request()->mutable_apply()->mutable_secrets() = request.apply().secrets();
  EXPECT_EQ(RequestHash(read.request()), RequestHash(request));
}

}  // namespace
}  // namespace mtp
