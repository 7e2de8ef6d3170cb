#include "agent/tenants/images.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <vector>

#include "agent/compose/render.h"
#include "agent/tenants/room_token.h"
#include "common/base/status.h"

namespace mtp {
namespace {

// Of the Compose file that only pulls.
constexpr char kPullService[] = "image";

bool IsImageId(absl::string_view image) { return absl::StartsWith(image, "sha256:"); }

// `ghcr.io/openclaw/openclaw` of `ghcr.io/openclaw/openclaw:2026.9.6@sha256:…`, as the engine
// writes it in its digests.
absl::string_view RepositoryOfImage(absl::string_view image) {
  image = image.substr(0, image.find('@'));
  const size_t slash = image.rfind('/');
  const size_t colon = image.rfind(':');
  if (colon != absl::string_view::npos && (slash == absl::string_view::npos || colon > slash)) {
    image = image.substr(0, colon);
  }
  if (absl::ConsumePrefix(&image, "docker.io/") ||
      absl::ConsumePrefix(&image, "index.docker.io/")) {
    absl::ConsumePrefix(&image, "library/");
  }
  return image;
}

std::string WhyNotAsked(const std::string& image, const absl::Status& error) {
  switch (error.code()) {
    case absl::StatusCode::kNotFound:
      return absl::StrCat("the registry knows no image ", image, " (", error.message(), ")");
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return absl::StrCat("the registry does not say without a login what image ", image, " is (",
                          error.message(), "): name it by its digest, `", RepositoryOfImage(image),
                          "@sha256:…`, which is pulled with the host's own login");
    default:
      return absl::StrCat("the registry of image ", image, " cannot be asked what that is now (",
                          error.message(), ")");
  }
}

}  // namespace

PhaseResult BringImage(TenantTools& tools, const std::string& image, PhaseContext& context) {
  const auto details = tools.engine->InspectImage(image);
  if (!absl::IsNotFound(details.status())) return PhaseResult::Of(details.status());
  if (IsImageId(image)) {
    return PhaseResult::Failed(absl::FailedPreconditionError(
        absl::StrCat("image ", image, " is not on this host, and no registry can be asked for an ",
                     "image by its id. Load it there with `docker load`, or name another image")));
  }
  context.progress(absl::StrCat("pulling image ", image));
  // Most hosts have one file system for all. An engine that does not say where its own is has that
  // of the tenants watched alone.
  const auto engine = tools.engine->Info();
  const DiskFloor engine_floor(engine.ok() ? engine->data_root : "");
  const RoomToken room(context.cancel, {tools.floor, &engine_floor});
  const absl::Status pulled =
      tools.compose->PullOne({kPullService, RenderServiceStub(kPullService, image)}, &room);
  if (const absl::Status ended = room.Ended(); !pulled.ok() && !ended.ok()) {
    return PhaseResult::Failed(Annotate(ended, absl::StrCat("pulling image ", image)));
  }
  if (pulled.ok() || absl::IsCancelled(pulled) || absl::IsUnavailable(pulled)) {
    return PhaseResult::Of(pulled);
  }
  return PhaseResult::Failed(absl::FailedPreconditionError(
      absl::StrCat("image ", image, " is not on this host and cannot be pulled: ", pulled.message(),
                   ". Load it there with `docker load`, or name another image")));
}

absl::StatusOr<std::string> ReferenceInRegistry(Engine& engine, const std::string& image,
                                                std::stop_token stop) {
  if (IsImageId(image) || absl::StrContains(image, '@')) return image;
  const auto digest = engine.RegistryDigest(image, stop);
  if (digest.ok()) return absl::StrCat(RepositoryOfImage(image), "@", *digest);
  const absl::Status& error = digest.status();
  if (absl::IsUnavailable(error) || absl::IsCancelled(error)) return error;
  const auto here = engine.InspectImage(image);
  return absl::FailedPreconditionError(absl::StrCat(
      WhyNotAsked(image, error), ". ",
      here.ok() ? "The host has an image of that name: to use that, do not ask the registry "
                  "(`--no-pull`)"
                : "Load it there with `docker load` and do not ask the registry (`--no-pull`), or "
                  "name another image"));
}

std::string PinnedReference(const std::string& image, const ImageDetails& details) {
  if (IsImageId(image)) return details.id;
  const absl::string_view repository = RepositoryOfImage(image);
  std::vector<std::string> known;
  for (const std::string& digest : details.digests) {
    // The very one that was asked for, when a digest was.
    if (digest == image) return digest;
    if (absl::string_view(digest).substr(0, digest.find('@')) == repository) {
      known.push_back(digest);
    }
  }
  if (known.empty()) return details.id;
  // The engine's order is no promise.
  return *std::min_element(known.begin(), known.end());
}

}  // namespace mtp
