#include "controller/tenants/validation.h"

#include <gtest/gtest.h>

namespace mtp {
namespace {

v1::TenantSpec WithImage(const std::string& image) {
  v1::TenantSpec spec;
  spec.set_image(image);
  return spec;
}

TEST(CheckSpec, TakesImagesThatAgentsTake) {
  EXPECT_TRUE(CheckSpec(WithImage("ghcr.io/openclaw/openclaw:2026.9.6")).ok());
  EXPECT_TRUE(CheckSpec(WithImage("")).ok());
  EXPECT_TRUE(CheckSpec(WithImage(std::string(255, 'a'))).ok());
  for (const std::string& image : {std::string("-v"), std::string("a b"), std::string("a//b"),
                                   std::string("a/../b"), std::string(256, 'a')}) {
    EXPECT_EQ(CheckSpec(WithImage(image)).code(), absl::StatusCode::kInvalidArgument) << image;
  }
}

}  // namespace
}  // namespace mtp
