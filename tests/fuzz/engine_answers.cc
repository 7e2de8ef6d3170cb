// The Engine API's answers: any bytes may come.
#include "agent/docker/engine_answers.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "agent/docker/output_frames.h"
#include "tests/fuzz/functions.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

namespace mtp::fuzz {
namespace {

void CheckList(std::string_view text) {
  const auto list = ParseContainerList(text);
  MTP_HOLDS(list.ok() || absl::IsInternal(list.status()));
  if (!list.ok()) return;
  for (const ContainerSummary& row : *list) {
    MTP_HOLDS(!row.id.empty());
    MTP_HOLDS(std::count(row.name.begin(), row.name.end(), '/') <= 1);
  }
}

void CheckDetails(std::string_view text) {
  const auto details = ParseContainerDetails(text);
  MTP_HOLDS(details.ok() || absl::IsInternal(details.status()));
  if (!details.ok()) return;
  MTP_HOLDS(!details->id.empty() && details->pid >= 0);
  MTP_HOLDS(details->started_at.value_or(absl::Now()) > absl::UnixEpoch());
}

void CheckStats(std::string_view text) {
  const auto stats = ParseContainerStats(text);
  MTP_HOLDS(stats.ok() || absl::IsInternal(stats.status()));
  if (stats.ok()) MTP_HOLDS(stats->memory_bytes >= 0);
}

void CheckImage(std::string_view text) {
  const auto image = ParseImageDetails(text);
  MTP_HOLDS(image.ok() ? !image->id.empty() : absl::IsInternal(image.status()));
  const auto digest = ParseRegistryDigest(text);
  MTP_HOLDS(digest.ok() ? absl::StartsWith(*digest, "sha256:") && digest->size() == 71
                        : absl::IsInternal(digest.status()));
}

void CheckCommand(std::string_view text) {
  const auto id = ParseCreatedId(text);
  MTP_HOLDS(id.ok() ? IsContainerReference(*id) : absl::IsInternal(id.status()));
  const auto state = ParseExecState(text);
  MTP_HOLDS(state.ok() ? state->pid >= 0 : absl::IsInternal(state.status()));
}

void CheckError(std::string_view text) {
  const std::string message = ParseErrorMessage(text);
  MTP_HOLDS(!message.empty() && message.size() <= 500);
  MTP_HOLDS(std::none_of(message.begin(), message.end(), [](char c) {
    return absl::ascii_iscntrl(static_cast<unsigned char>(c));
  }));
}

struct Output {
  absl::Status status;
  bool at_end = false;
  std::string out;
  std::string err;
};

Output Feed(std::string_view bytes, size_t piece) {
  Output output;
  const OutputSink sink = [&output](OutputStream stream, std::string_view got) {
    (stream == OutputStream::kStdout ? output.out : output.err).append(got);
    return true;
  };
  OutputFrames frames(sink);
  for (; !bytes.empty() && output.status.ok(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    output.status = frames.Feed(bytes.substr(0, piece));
  }
  output.at_end = frames.AtFrameEnd();
  return output;
}

std::string Frame(int stream, absl::string_view text) {
  std::string frame(8, '\0');
  frame[0] = static_cast<char>(stream);
  frame[6] = static_cast<char>(text.size() >> 8);
  frame[7] = static_cast<char>(text.size() & 0xff);
  return absl::StrCat(frame, text);
}

}  // namespace

// The first line says which answer the rest is.
void EngineAnswers(absl::string_view input) {
  Input bytes(input);
  const std::string which = bytes.Line();
  const std::string_view text = Std(bytes.Rest());
  switch (which.empty() ? '\0' : which[0]) {
    case 'l':  // list
      return CheckList(text);
    case 'c':  // container
      return CheckDetails(text);
    case 's':  // stats
      return CheckStats(text);
    case 'i':  // image
      return CheckImage(text);
    case 'e': {  // event
      const auto event = ParseEngineEvent(text);
      MTP_HOLDS(event.ok() || absl::IsInternal(event.status()));
      return;
    }
    case 'd': {  // description of the engine
      const auto info = ParseEngineInfo(text, text);
      MTP_HOLDS(info.ok() ? info->cgroup_version <= 2 : absl::IsInternal(info.status()));
      return;
    }
    case 'x':  // exec
      return CheckCommand(text);
    default:
      return CheckError(text);
  }
}

// The first byte says in which pieces the rest arrives.
void EngineOutput(absl::string_view input) {
  Input bytes(input);
  const size_t piece = 1 + bytes.Byte() % 64;
  const std::string stream(bytes.Rest());
  const Output whole = Feed(stream, std::max<size_t>(1, stream.size()));
  const Output pieces = Feed(stream, piece);
  MTP_HOLDS(whole.status == pieces.status);
  MTP_HOLDS(whole.out == pieces.out && whole.err == pieces.err);
  MTP_HOLDS(!whole.status.ok() || whole.at_end == pieces.at_end);
  MTP_HOLDS(whole.out.size() + whole.err.size() <= stream.size());

  const std::string frames = absl::StrCat(Frame(1, stream), Frame(2, "and words of its own"));
  const Output framed = Feed(frames, piece);
  MTP_HOLDS(framed.status.ok() && framed.at_end);
  MTP_HOLDS(framed.out == stream && framed.err == "and words of its own");
}

}  // namespace mtp::fuzz
