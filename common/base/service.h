// Hints for people: programs that are installed as services are started as such.
#pragma once

#include <string>
#include <vector>

namespace mtp {

// Where units of systemd are, the administrator's own first (systemd.unit(5)).
const std::vector<std::string>& UnitFolders();

// The command that starts a program for good: `sudo systemctl enable --now <services>` when
// `folders` have a unit for the first of the services, which runs the program with `data_dir`'s
// default, and `data_dir` is that; else `by_hand`.
std::string StartCommand(const std::string& services, const std::string& by_hand,
                         const std::string& data_dir, const std::string& default_data_dir,
                         const std::vector<std::string>& folders = UnitFolders());

}  // namespace mtp
