#pragma once

namespace mtp {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace mtp
