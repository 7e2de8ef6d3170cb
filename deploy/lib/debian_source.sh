# Where this machine gets its Debian 12 packages from, so that no script names a server by itself.
# Source it; it defines one function.

# Prints "<URIs>|<Signed-By>" of the first source of the suite bookworm under /etc/apt, leaving out
# the file $1 (if given). Returns 1 when there is none. Reads both spellings, .sources and .list.
# shellcheck disable=SC2120  # install-dependencies.sh gives it
debian_source() {
  local file found
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] && [ "$file" != "${1:-}" ] || continue
    found=$(awk 'BEGIN { RS = ""; FS = "\n" }
      /(^|\n)Types:[^\n]*deb/ && /(^|\n)Suites:[^\n]*bookworm([ \n]|$)/ {
        uris = ""; key = ""
        for (i = 1; i <= NF; ++i) {
          if ($i ~ /^URIs:/) { uris = $i; sub(/^URIs:[ \t]*/, "", uris) }
          if ($i ~ /^Signed-By:/) { key = $i; sub(/^Signed-By:[ \t]*/, "", key) }
        }
        print uris "|" key; exit
      }' "$file")
    [ -z "$found" ] || { printf '%s\n' "$found"; return; }
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -e "$file" ] || continue
    found=$(awk '$1 == "deb" {
        i = 2; key = ""
        if ($2 ~ /^\[/) {
          for (; i <= NF; ++i) {
            if ($i ~ /signed-by=/) { key = $i; gsub(/.*signed-by=|\].*/, "", key) }
            if ($i ~ /\]$/) { ++i; break }
          }
        }
        if ($(i + 1) == "bookworm") { print $i "|" key; exit }
      }' "$file")
    [ -z "$found" ] || { printf '%s\n' "$found"; return; }
  done
  return 1
}

# Prints one address of the above that debootstrap can use.
debian_mirror() {
  local uri
  uri=$(debian_source) || return 1
  uri=${uri%%|*} uri=${uri%% *}
  case $uri in
    mirror+file:*) uri=$(grep -v '^#' "${uri#mirror+file:}" | head -n 1 | cut -f 1) ;;
  esac
  printf '%s\n' "$uri"
}
