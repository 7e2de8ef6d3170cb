// Tenants out of an input.
#pragma once

#include "mtp/v1/tenant.pb.h"
#include "tests/fuzz/input.h"

namespace mtp::fuzz {

// One line each: image, Telegram API, Anthropic API, memory limit.
inline v1::TenantSpec ReadSpec(Input* input) {
  v1::TenantSpec spec;
  spec.set_image(input->Line());
  spec.set_telegram_api_root(input->Line());
  spec.set_anthropic_api_root(input->Line());
  spec.set_memory_limit_mib(input->Number());
  return spec;
}

// One line each: Telegram token, and the keys for Anthropic, OpenAI and OpenRouter.
inline v1::TenantSecrets ReadSecrets(Input* input) {
  v1::TenantSecrets secrets;
  secrets.set_telegram_token(input->Line());
  secrets.set_anthropic_key(input->Line());
  secrets.set_openai_key(input->Line());
  secrets.set_openrouter_key(input->Line());
  return secrets;
}

}  // namespace mtp::fuzz
