// The project folder's files: what the agent renders must come back, from Compose's point of view
// too.
#include "agent/compose/compose.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <set>

#include "agent/compose/config_template.h"
#include "agent/compose/env_file.h"
#include "agent/compose/render.h"
#include "agent/compose/sandbox.h"
#include "agent/compose/subnet_pool.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/tenant_input.h"

namespace mtp::fuzz {
namespace {

using Variables = std::map<std::string, std::string>;

// Stands in every secret and nowhere else.
constexpr char kCanary[] = "c4n4ry-";
constexpr int kMaxTenants = 3;

bool HasControl(absl::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
}

bool IsVariableName(absl::string_view name) {
  return !name.empty() && !absl::ascii_isdigit(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
         });
}

std::string Secret(const std::string& text) {
  return text.empty() ? text : absl::StrCat(kCanary, text);
}

// Tenants whose names collide are never in one project.
mtp::Project ReadProject(Input* input) {
  mtp::Project project{.default_image = input->Line(),
                       .subnets = *SubnetPool::Parse("10.214.0.0/16")};
  std::set<std::string> taken;
  for (int i = 0; i < kMaxTenants && !input->empty(); ++i) {
    const auto name = TenantName::Parse(input->Line());
    if (!name.ok() || !taken.insert(name->EnvPrefixKey()).second) return project;
    ProjectTenant tenant{.name = *name, .port = static_cast<int>(input->Number() % 65536)};
    tenant.subnet_index = i + 1;
    tenant.spec = ReadSpec(input);
    tenant.secrets = ReadSecrets(input);
    for (std::string* secret :
         {tenant.secrets.mutable_telegram_token(), tenant.secrets.mutable_anthropic_key(),
          tenant.secrets.mutable_openai_key(), tenant.secrets.mutable_openrouter_key()}) {
      *secret = Secret(*secret);
    }
    tenant.secrets.set_gateway_token(absl::StrCat(kCanary, i));
    project.tenants.push_back(std::move(tenant));
  }
  return project;
}

// What `.env` must say; without what is empty.
Variables Expected(const mtp::Project& project) {
  Variables all;
  const auto add = [&all](const std::string& name, const std::string& value) {
    if (!value.empty()) MTP_HOLDS(all.emplace(name, value).second);
  };
  add("OPENCLAW_IMAGE", project.default_image);
  for (const ProjectTenant& tenant : project.tenants) {
    const std::string prefix = tenant.name.EnvPrefix();
    add(prefix + "_GATEWAY_TOKEN", tenant.secrets.gateway_token());
    add(prefix + "_TELEGRAM_TOKEN", tenant.secrets.telegram_token());
    add(prefix + "_ANTHROPIC_KEY", tenant.secrets.anthropic_key());
    add(prefix + "_OPENAI_KEY", tenant.secrets.openai_key());
    add(prefix + "_OPENROUTER_KEY", tenant.secrets.openrouter_key());
    add(prefix + "_PORT", absl::StrCat(tenant.port));
  }
  return all;
}

// As Compose resolves a scalar: `$$` is a dollar.
std::string Resolved(const YAML::Node& scalar) {
  return absl::StrReplaceAll(scalar.as<std::string>(), {{"$$", "$"}});
}

void CheckServices(const std::string& text, const mtp::Project& project) {
  const YAML::Node file = YAML::Load(text);
  MTP_HOLDS(file["services"].size() == project.tenants.size());
  for (const ProjectTenant& tenant : project.tenants) {
    const YAML::Node service = file["services"][tenant.name.value()];
    MTP_HOLDS(service.IsMap());
    MTP_HOLDS(Resolved(service["image"]) == tenant.spec.image());
    MTP_HOLDS(service["container_name"].as<std::string>() == tenant.name.Container());
    MTP_HOLDS(service["ports"].size() == 1);
    MTP_HOLDS(absl::StartsWith(service["ports"][0].as<std::string>(), "127.0.0.1:"));
    MTP_HOLDS(!service["privileged"] && !service["cap_add"] && !service["network_mode"]);
    const YAML::Node root = service["environment"]["TELEGRAM_API_ROOT"];
    MTP_HOLDS(root.IsDefined() == !tenant.spec.telegram_api_root().empty());
    if (root) MTP_HOLDS(Resolved(root) == tenant.spec.telegram_api_root());
    MTP_HOLDS(service["volumes"].size() == 2);
    for (const YAML::Node& mount : service["volumes"]) {
      MTP_HOLDS(absl::StartsWith(mount["source"].as<std::string>(),
                                 absl::StrCat("./data/", tenant.name.value(), "/")));
    }
  }
}

void CheckRegistry(const std::string& text, const mtp::Project& project) {
  std::vector<std::string> lines;
  for (const ProjectTenant& tenant : project.tenants) {
    lines.push_back(absl::StrCat(tenant.name.value(), " ", tenant.port));
  }
  std::sort(lines.begin(), lines.end(), [](const std::string& a, const std::string& b) {
    return a.substr(0, a.find(' ')) < b.substr(0, b.find(' '));
  });
  std::vector<std::string> found = absl::StrSplit(text, '\n', absl::SkipEmpty());
  MTP_HOLDS(found == lines);
}

bool SpeaksOfCanary(const mtp::Project& project) {
  if (absl::StrContains(project.default_image, kCanary)) return true;
  return std::any_of(project.tenants.begin(), project.tenants.end(),
                     [](const ProjectTenant& tenant) {
                       return absl::StrContains(tenant.name.value(), kCanary) ||
                              absl::StrContains(tenant.spec.ShortDebugString(), kCanary);
                     });
}

bool IsSubsequence(absl::string_view part, absl::string_view whole) {
  const std::vector<absl::string_view> lines = absl::StrSplit(whole, '\n');
  auto at = lines.begin();
  for (const absl::string_view line : absl::StrSplit(part, '\n')) {
    at = std::find(at, lines.end(), line);
    if (at++ == lines.end()) return false;
  }
  return true;
}

}  // namespace

// The text is an env file, and a value of one.
void EnvFile(absl::string_view input) {
  const auto quoted = QuoteEnvValue(input);
  MTP_HOLDS(quoted.ok() == !HasControl(input));
  if (quoted.ok()) {
    MTP_HOLDS(Gives(ParseEnvFile(absl::StrCat("A=", *quoted)), {{"A", std::string(input)}}));
  }
  const auto variables = ParseEnvFile(input);
  if (!variables.ok()) {
    // The line's number and never its content.
    MTP_HOLDS(absl::IsInvalidArgument(variables.status()));
    MTP_HOLDS(absl::StartsWith(variables.status().message(), "line "));
    MTP_HOLDS(variables.status().message().size() < 60);
    return;
  }
  Variables carried;
  std::string text;
  for (const auto& [name, value] : *variables) {
    MTP_HOLDS(IsVariableName(name));
    const auto line = QuoteEnvValue(value);
    if (!line.ok()) continue;
    absl::StrAppend(&text, name, "=", *line, "\n");
    carried[name] = value;
  }
  MTP_HOLDS(Gives(ParseEnvFile(text), carried));
}

// Lines: the default image, and for each tenant its name, port, spec and secrets.
void Project(absl::string_view input) {
  Input lines(input);
  const mtp::Project project = ReadProject(&lines);
  const auto files = RenderProject(project);
  if (!files.ok()) {
    MTP_HOLDS(absl::IsInvalidArgument(files.status()) || absl::IsOutOfRange(files.status()));
    MTP_HOLDS(SpeaksOfCanary(project) || !absl::StrContains(files.status().message(), kCanary));
    return;
  }
  for (const RenderedFile& file : *files) {
    if (file.path == ".env") {
      MTP_HOLDS(file.mode == 0600);
      MTP_HOLDS(Gives(ParseEnvFile(file.content), Expected(project)));
      continue;
    }
    MTP_HOLDS(SpeaksOfCanary(project) || !absl::StrContains(file.content, kCanary));
    if (file.path == "tenants.conf") CheckRegistry(file.content, project);
    if (file.path == "docker-compose.override.yml" && !project.tenants.empty()) {
      CheckServices(file.content, project);
    }
  }
}

// The first byte says which conditions hold; the rest is a template.
void ConfigTemplate(absl::string_view input) {
  static const std::vector<std::string> kNames = {"telegram",      "anthropic",  "openai",
                                                  "anthropic_api", "openrouter", "telegram_api"};
  Input bytes(input);
  const uint8_t mask = bytes.Byte();
  const absl::string_view text = bytes.Rest();
  std::set<std::string> some;
  for (size_t i = 0; i < kNames.size(); ++i) {
    if ((mask >> i & 1) != 0) some.insert(kNames[i]);
  }
  const auto all = RenderConfig(text, {kNames.begin(), kNames.end()});
  const auto rendered = RenderConfig(text, some);
  MTP_HOLDS(all.status() == rendered.status());
  if (!all.ok()) {
    MTP_HOLDS(absl::IsInvalidArgument(all.status()));
    return;
  }
  MTP_HOLDS(IsSubsequence(*rendered, *all));
  for (const absl::string_view line : absl::StrSplit(*all, '\n')) {
    MTP_HOLDS(!absl::StartsWith(absl::StripAsciiWhitespace(line), "// mtp:"));
  }
  MTP_HOLDS(Gives(RenderConfig(*rendered, {}), *rendered));
  // A variable that the configuration names is there in a drill, and no other.
  for (const auto& [name, value] : SandboxEnvironment(*rendered, v1::TenantSpec(), "token")) {
    MTP_HOLDS(name == "OPENCLAW_GATEWAY_TOKEN" ||
              absl::StrContains(*rendered, absl::StrCat("${", name, "}")));
  }
}

// What Compose writes when it fails, and a pool of subnets.
void ComposeWords(absl::string_view input) {
  const std::string sentence = DistillComposeError(input);
  MTP_HOLDS(!sentence.empty() && sentence.size() < 1000);
  MTP_HOLDS(!absl::StrContains(sentence, '\n'));
  MTP_HOLDS(!ComposeError(input).ok());

  const auto pool = SubnetPool::Parse(input);
  if (!pool.ok()) return;
  const auto again = SubnetPool::Parse(pool->ToString());
  MTP_HOLDS(again.ok() && again->size() == pool->size());
  for (const int index : {0, pool->size() - 1}) {
    const auto subnet = pool->Subnet(index);
    MTP_HOLDS(subnet.ok());
    // Itself a pool of one.
    const auto inner = SubnetPool::Parse(*subnet);
    MTP_HOLDS(inner.ok() && inner->size() == 1 && inner->ToString() == *subnet);
  }
  MTP_HOLDS(pool->Subnet(0)->substr(0, 4) == pool->ToString().substr(0, 4));
  MTP_HOLDS(absl::IsOutOfRange(pool->Subnet(pool->size()).status()));
}

}  // namespace mtp::fuzz
