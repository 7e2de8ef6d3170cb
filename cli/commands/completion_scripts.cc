#include "cli/commands/completion.h"

namespace mtp::cli {
namespace {

// Where there is nothing to offer, shells complete file names.
constexpr char kBash[] =
    R"(# Completion of mtp-cli for bash. Load it with:  source <(mtp-cli completion bash)
_mtp_cli() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("${line%%$'\t'*}")
  done < <("${COMP_WORDS[0]}" __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _mtp_cli mtp-cli
)";

constexpr char kZsh[] = R"(#compdef mtp-cli
# Completion of mtp-cli for zsh. Load it with:  source <(mtp-cli completion zsh)
_mtp_cli() {
  local -a candidates
  local line
  while IFS= read -r line; do
    candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done < <("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( ${#candidates} )); then
    _describe 'mtp-cli' candidates
  else
    _files
  fi
}
if [ "${funcstack[1]}" = _mtp_cli ]; then
  _mtp_cli "$@"
else
  compdef _mtp_cli mtp-cli
fi
)";

constexpr char kFish[] =
    R"(# Completion of mtp-cli for fish. Load it with:  mtp-cli completion fish | source
function __mtp_cli_complete
    set -l words (commandline -opc)
    set -l candidates ($words[1] __complete -- $words[2..-1] (commandline -ct) 2>/dev/null)
    if test (count $candidates) -gt 0
        printf '%s\n' $candidates
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c mtp-cli -f -a '(__mtp_cli_complete)'
)";

}  // namespace

std::string CompletionScript(const std::string& shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return "";
}

}  // namespace mtp::cli
