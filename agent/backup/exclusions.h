// What of an OpenClaw's data is not worth a backup, because it is made again by itself or is stale
// anywhere else.
#pragma once

#include <string_view>

namespace mtp {

// For ArchiveRequest::exclude. Left out:
//   .openclaw/cache, .openclaw/tmp    compiled assets and scratch, rebuilt at start
//   .openclaw/logs                    log files; another operator's backup held 13 GB of one
//   *.lock under .openclaw            locks name processes that no longer exist; not those under
//                                     .openclaw/extensions and .openclaw/skills, which pin
//                                     dependencies
//   node_modules under .openclaw/extensions/*, .openclaw/skills/*, workspace/skills/* and workspace
//   itself:
//                                     reinstalled from their package.json
// Everything else is kept, unknown things included.
bool ExcludedFromBackup(std::string_view relative_path, bool is_folder);

}  // namespace mtp
