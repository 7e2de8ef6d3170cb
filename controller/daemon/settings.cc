#include "controller/daemon/settings.h"

#include <absl/strings/str_cat.h>
#include <yaml-cpp/yaml.h>

#include "common/base/atomic_file.h"
#include "common/base/environment.h"
#include "common/base/image_reference.h"
#include "common/base/names.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace mtp {
namespace {

std::string PathIn(const std::string& data_dir) { return data_dir + "/controller.yaml"; }

template <typename T>
void Read(const YAML::Node& root, const char* name, T* value) {
  if (root[name]) *value = root[name].as<T>();
}

}  // namespace

absl::Status CheckSettings(const ControllerSettings& settings) {
  for (const std::string* value : {&settings.listen, &settings.enroll_listen,
                                   &settings.enroll_advertise, &settings.default_image}) {
    if (!IsLine(*value)) return absl::InvalidArgumentError("every value is one line of text");
  }
  MTP_RETURN_IF_ERROR(Annotate(HostName::Parse(settings.fleet).status(), "fleet"));
  MTP_RETURN_IF_ERROR(Annotate(CheckImageReference(settings.default_image), "default_image"));
  if (settings.policy != "binpack" && settings.policy != "spread") {
    return absl::InvalidArgumentError("policy must be binpack or spread");
  }
  google::protobuf::Map<std::string, std::string> variables;
  for (const std::string& name : settings.tenant_environment) variables[name] = "";
  MTP_RETURN_IF_ERROR(Annotate(CheckEnvironment(variables), "tenant_environment"));
  if (settings.lease_s < 10 || settings.lease_s > 3600) {
    return absl::InvalidArgumentError("lease_s must be from 10 to 3600");
  }
  return absl::OkStatus();
}

absl::StatusOr<ControllerSettings> ReadSettings(const std::string& data_dir) {
  const std::string path = PathIn(data_dir);
  auto text = ReadFile(path, 1 << 20);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no fleet in ", data_dir, "; make one with `mtp-controller init`"));
  }
  if (!text.ok()) return text.status();
  MTP_RETURN_IF_ERROR(CheckTextFile(*text, path));
  ControllerSettings settings;
  try {
    const YAML::Node root = YAML::Load(*text);
    Read(root, "fleet", &settings.fleet);
    Read(root, "listen", &settings.listen);
    Read(root, "enroll_listen", &settings.enroll_listen);
    Read(root, "enroll_advertise", &settings.enroll_advertise);
    Read(root, "default_image", &settings.default_image);
    Read(root, "default_reservation_mib", &settings.default_reservation_mib);
    Read(root, "min_memory_limit_mib", &settings.min_memory_limit_mib);
    Read(root, "tenant_environment", &settings.tenant_environment);
    Read(root, "lease_s", &settings.lease_s);
    Read(root, "policy", &settings.policy);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.what()));
  }
  MTP_RETURN_IF_ERROR(Annotate(CheckSettings(settings), path));
  if (settings.enroll_advertise.empty()) settings.enroll_advertise = settings.enroll_listen;
  return settings;
}

absl::Status WriteSettings(const std::string& data_dir, const ControllerSettings& settings) {
  MTP_RETURN_IF_ERROR(CheckSettings(settings));
  YAML::Emitter out;
  out << YAML::BeginMap;
  out << YAML::Key << "fleet" << YAML::Value << settings.fleet;
  out << YAML::Key << "listen" << YAML::Value << settings.listen;
  out << YAML::Key << "enroll_listen" << YAML::Value << settings.enroll_listen;
  out << YAML::Key << "enroll_advertise" << YAML::Value << settings.enroll_advertise;
  out << YAML::Key << "default_image" << YAML::Value << settings.default_image;
  out << YAML::Key << "default_reservation_mib" << YAML::Value << settings.default_reservation_mib;
  out << YAML::Key << "min_memory_limit_mib" << YAML::Value << settings.min_memory_limit_mib;
  out << YAML::Key << "tenant_environment" << YAML::Value << YAML::Flow
      << settings.tenant_environment;
  out << YAML::Key << "lease_s" << YAML::Value << settings.lease_s;
  out << YAML::Key << "policy" << YAML::Value << settings.policy;
  out << YAML::EndMap;
  return WriteFileAtomically(PathIn(data_dir), absl::StrCat(out.c_str(), "\n"), 0600);
}

}  // namespace mtp
