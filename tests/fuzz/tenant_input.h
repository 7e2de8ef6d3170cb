// Tenants out of an input.
#pragma once

#include <string>

#include "common/base/utf8.h"
#include "mtp/v1/tenant.pb.h"
#include "tests/fuzz/input.h"

namespace mtp::fuzz {

// A line as messages carry text: UTF-8 alone.
inline std::string ReadText(Input* input) {
  const std::string line = input->Line();
  return ValidUtf8(line, line.size());
}

// One line each: image, Telegram API, Anthropic API, memory limit.
inline v1::TenantSpec ReadSpec(Input* input) {
  v1::TenantSpec spec;
  spec.set_image(ReadText(input));
  spec.set_telegram_api_root(ReadText(input));
  spec.set_anthropic_api_root(ReadText(input));
  spec.set_memory_limit_mib(input->Number());
  return spec;
}

// One line each: Telegram token, and the keys for Anthropic, OpenAI and OpenRouter.
inline v1::TenantSecrets ReadSecrets(Input* input) {
  v1::TenantSecrets secrets;
  secrets.set_telegram_token(ReadText(input));
  secrets.set_anthropic_key(ReadText(input));
  secrets.set_openai_key(ReadText(input));
  secrets.set_openrouter_key(ReadText(input));
  return secrets;
}

}  // namespace mtp::fuzz
