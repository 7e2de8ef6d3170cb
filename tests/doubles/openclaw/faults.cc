#include "faults.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

namespace openclaw_double {

Faults ParseFaults(const std::string& text) {
  std::string blanks = text;
  std::replace(blanks.begin(), blanks.end(), ',', ' ');
  std::istringstream words(blanks);
  Faults faults;
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const int number = equals == std::string::npos ? 0 : std::atoi(word.c_str() + equals + 1);
    if (name == "never-ready") faults.never_ready = true;
    if (name == "ignore-sigterm") faults.ignore_sigterm = true;
    if (name == "hang-probes") faults.hang_probes = true;
    if (name == "slow-ready") faults.slow_ready_s = number;
    if (name == "leak-mib-per-s") faults.leak_mib_per_s = number;
    if (name == "exit-after") faults.exit_after_s = number;
    if (name == "lose-channel-after") faults.lose_channel_after_s = number;
    if (name == "migrate") faults.migrate = true;
    if (name == "refuse-state" && equals != std::string::npos) {
      faults.refuse_state = word.substr(equals + 1);
    }
  }
  return faults;
}

Faults ReadFaults(const std::string& state_folder) {
  const char* environment = std::getenv("MTP_DOUBLE_FAULTS");
  std::ifstream file(state_folder + "/double-faults");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return ParseFaults((environment == nullptr ? "" : std::string(environment)) + " " + text);
}

}  // namespace openclaw_double
