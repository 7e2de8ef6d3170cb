#include "common/restic/said_lines.h"

namespace mtp {

void SaidLines::Add(absl::string_view bytes, absl::FunctionRef<void(absl::string_view)> line) {
  rest_.append(bytes.data(), bytes.size());
  size_t begin = 0;
  for (size_t end = 0; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    line(absl::string_view(rest_).substr(begin, end - begin));
  }
  rest_.erase(0, begin);
  if (rest_.size() > max_bytes_) rest_.clear();
}

}  // namespace mtp
