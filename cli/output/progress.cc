#include "cli/output/progress.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "cli/output/names.h"
#include "cli/output/operation_view.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"

namespace mtp::cli {
namespace {

constexpr absl::string_view kSpinner[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};

Cell Mark(v1::StepState state, int frame) {
  switch (state) {
    case v1::STEP_STATE_DONE:
      return {"✓", Tone::kGood};
    case v1::STEP_STATE_FAILED:
      return {"✗", Tone::kBad};
    case v1::STEP_STATE_UNDONE:
      return {"↶", Tone::kWarning};
    case v1::STEP_STATE_RUNNING:
      return {std::string(kSpinner[static_cast<size_t>(frame) % std::size(kSpinner)]),
              Tone::kWarning};
    case v1::STEP_STATE_PENDING:
    case v1::STEP_STATE_UNSPECIFIED:
    case v1::StepState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::StepState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return {"·", Tone::kDim};
}

std::string Title(const v1::Operation& operation) {
  std::string title = absl::StrCat(operation.kind(), " ", ShortName(operation.target()));
  if (!operation.host().empty()) absl::StrAppend(&title, " on ", operation.host());
  return title;
}

// What a step has to say now; a finished one says nothing any more.
std::string StepMessage(const v1::OperationStep& step) {
  if (step.state() == v1::STEP_STATE_DONE) return "";
  std::string message = step.message();
  if (step.attempts() > 1) {
    absl::StrAppend(&message, message.empty() ? "" : " ", "(try ", step.attempts(), ")");
  }
  return message;
}

}  // namespace

std::string ProgressFrame(const v1::Operation& operation, absl::string_view note, absl::Time now,
                          int frame, int width, bool colour) {
  const std::string state(StateName(operation.state()));
  const std::string elapsed = HumanDuration(Elapsed(operation, now));
  const std::string title = Shorten(Visible(Title(operation)), width - 22);
  std::string text = absl::StrCat(Paint(title, Tone::kStrong, colour), "  ", elapsed, "  ",
                                  Paint(state, ToneOf(state), colour), "\n");
  int name_width = 0;
  for (const v1::OperationStep& step : operation.steps()) {
    name_width = std::max(name_width, Width(Visible(step.name())));
  }
  name_width = std::min(name_width, std::max(8, width / 3));
  for (const v1::OperationStep& step : operation.steps()) {
    const Cell mark = Mark(step.state(), frame);
    const std::string name = Shorten(Visible(step.name()), name_width);
    const std::string time = step.has_start_time() ? HumanDuration(Elapsed(step, now)) : "";
    std::string line = absl::StrCat("  ", Paint(mark.text, mark.tone, colour), " ", name);
    if (!time.empty()) {
      absl::StrAppend(&line, std::string(name_width - Width(name), ' '),
                      std::string(std::max(0, 7 - Width(time)), ' '), time);
    }
    const std::string message = Shorten(Visible(StepMessage(step)), width - name_width - 14);
    if (!message.empty()) absl::StrAppend(&line, "  ", Paint(message, Tone::kDim, colour));
    absl::StrAppend(&text, line, "\n");
  }
  if (!note.empty()) {
    absl::StrAppend(&text, "  ", Paint(Shorten(Visible(note), width - 3), Tone::kWarning, colour),
                    "\n");
  }
  return text;
}

void LiveProgress::Update(const v1::Operation& operation, absl::Time now) {
  operation_ = operation;
  Tick(now);
}

void LiveProgress::Tick(absl::Time now) {
  if (operation_.name().empty()) return;
  place_.Draw(ProgressFrame(operation_, note_, now, frame_++, columns_(), colour_));
}

void InPlace::Draw(absl::string_view text) {
  std::string drawing = drawn_lines_ > 0 ? absl::StrCat("\x1b[", drawn_lines_, "A\r") : "";
  for (char c : text) {
    if (c == '\n') drawing += "\x1b[K";  // what an earlier, longer line has left
    drawing += c;
  }
  drawing += "\x1b[J";
  drawn_lines_ = static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  out_ << drawing << std::flush;
}

void PlainProgress::Update(const v1::Operation& operation, absl::Time now) {
  for (const v1::OperationStep& step : operation.steps()) {
    if (step.state() == v1::STEP_STATE_PENDING) continue;
    const std::string message = StepMessage(step);
    const std::string state(StateName(step.state()));
    std::string line = step.state() == v1::STEP_STATE_RUNNING && !message.empty() ? message : state;
    if (step.state() == v1::STEP_STATE_FAILED && !message.empty())
      line = absl::StrCat(state, ": ", message);
    std::string& said = said_[step.name()];
    if (said == line) continue;
    said = line;
    out_ << HumanDuration(Elapsed(operation, now)) << " " << Visible(step.name()) << ": "
         << Visible(line) << std::endl;
  }
}

void PlainProgress::Note(absl::string_view text) {
  if (!text.empty()) out_ << Visible(text) << std::endl;
}

}  // namespace mtp::cli
