// A tree that changes in every way a tree can.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace mtp {

// Seeded changes of every kind to a small tree.
class RandomChanges {
 public:
  RandomChanges(std::string top, uint32_t seed);
  void Change();

 private:
  char Letter();
  std::string Path();
  const std::string top_;
  std::mt19937 random_;
};

}  // namespace mtp
