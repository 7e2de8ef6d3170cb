// `mtp-controller backup` and `mtp-controller recover`.
#pragma once

#include <absl/status/statusor.h>

#include <string>

namespace mtp {

struct BackUpArguments {
  std::string data_dir;
  std::string file;
  std::string passphrase_file;
};

struct RecoverArguments {
  std::string data_dir;
  // Either a kit, with these two,
  std::string kit;
  std::string repository;
  std::string copy;  // `latest` or a ULID
  // or a file of `backup`, with its passphrase.
  std::string file;
  std::string passphrase_file;
  // Addresses of the new machine; empty: as before.
  std::string listen;
  std::string enroll_listen;
  std::string enroll_advertise;
  // Gets a new identity, in that folder; empty: nobody.
  std::string operator_name;
  std::string operator_folder;
};

// What was done, for people. Errors say what to do next; INVALID_ARGUMENT for wrong usage.
absl::StatusOr<std::string> BackUpController(const BackUpArguments& arguments);
absl::StatusOr<std::string> RecoverController(const RecoverArguments& arguments);

}  // namespace mtp
