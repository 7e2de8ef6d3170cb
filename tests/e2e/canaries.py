#!/usr/bin/env python3
"""Looks for planted secrets, also where they are written otherwise: hexadecimal, Base64, percent-encoded. A planted
secret has a word of letters and digits alone, which quoting and escaping leave as it is.

  canaries.py find LIST PLACES PATH…   in files, whose bytes are all read (databases with their deleted pages and logs)
  canaries.py memory LIST PID          in what a process has mapped
  canaries.py forms LIST               how many forms of how many secrets are looked for

LIST has a line `NAME WORD` for each. PLACES has a line `NAME PATH` for each place where a secret may be, both with
shell's wildcards. Prints a line `NAME FORM PATH` for each that is elsewhere, and nothing else; exit 1 when there is any.
"""
import base64
import fnmatch
import os
import re
import subprocess
import sys
import tempfile


def forms_of(word):
    """Every form in which a word is looked for: bytes by the form's name."""
    plain = word.encode()
    forms = {
        "plain": plain,
        "hex": plain.hex().encode(),
        "HEX": plain.hex().upper().encode(),
        "percent": "".join(f"%{byte:02x}" for byte in plain).encode(),
        "PERCENT": "".join(f"%{byte:02X}" for byte in plain).encode(),
    }
    for shift in range(3):
        # What stands before and behind it decides on the characters at both ends.
        whole = (shift + len(plain)) // 3 * 4
        for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
            forms[f"{name}+{shift}"] = encode(b"\0" * shift + plain)[(0, 2, 3)[shift]:whole]
    if re.fullmatch("([0-9a-f]{2}){16,}", word):
        # grep looks within lines.
        forms["bytes"] = max(bytes.fromhex(word).split(b"\n"), key=len)
    return forms


def read_list(path):
    """Names of secrets and forms, by the bytes to look for."""
    sought = {}
    for line in open(path, encoding="utf-8"):
        name, word = line.split()
        if len(word) < 12:
            raise SystemExit(f"{name} is too short to be told from anything else")
        for form, text in forms_of(word).items():
            sought.setdefault(text, (name, form))
    return sought


class Grep:
    """grep as it is told to look for all forms at once; prints each found one on a line."""

    def __init__(self, sought):
        self._file = tempfile.NamedTemporaryFile()
        self._file.write(b"\n".join(sought) + b"\n")
        self._file.flush()
        self.words = ["grep", "-asoF", "-f", self._file.name]
        self.environment = {**os.environ, "LC_ALL": "C"}


def find(sought, paths):
    """(name, form, path) of all that is found in the regular files below the paths."""
    grep = Grep(sought)
    # Of each path's own file system: below an engine's folder are the mounts of its containers.
    files = subprocess.run(["find", *paths, "-xdev", "-type", "f", "-print0"], stdout=subprocess.PIPE, check=False)
    hits = subprocess.run(["xargs", "-0", "-r", *grep.words, "-HZ", "--"], input=files.stdout, stdout=subprocess.PIPE,
                          env=grep.environment, check=False)
    # A status between 1 and 125 is that of a grep that has found nothing, or a file that has gone meanwhile.
    if hits.returncode > 125:
        raise SystemExit("the search was not carried out")
    found = set()
    for line in hits.stdout.split(b"\n"):
        path, _, text = line.partition(b"\0")
        if text in sought:
            found.add((*sought[text], os.fsdecode(path)))
    return found


def in_memory(sought, pid):
    """(name, form, kind of memory) of all that a process has mapped and can read."""
    grep = Grep(sought)
    found = set()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace"):
            fields = line.split(maxsplit=5)
            kind = fields[5].strip() if len(fields) > 5 else "heap"
            if "r" not in fields[1] or kind in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
                continue
            begin, end = (int(number, 16) for number in fields[0].split("-"))
            memory.seek(begin)
            try:
                content = memory.read(end - begin)
            except OSError:
                continue
            hits = subprocess.run(grep.words, input=content, stdout=subprocess.PIPE, env=grep.environment, check=False)
            found |= {(*sought[text], kind) for text in hits.stdout.split(b"\n") if text in sought}
    return found


def read_places(path):
    return [line.split(maxsplit=1) for line in open(path, encoding="utf-8").read().splitlines() if line]


def main():
    action, sought = sys.argv[1], read_list(sys.argv[2])
    if action == "forms":
        print(f"{len(sought)} forms of {len({name for name, _ in sought.values()})} secrets")
        return
    if action == "memory":
        found = in_memory(sought, int(sys.argv[3]))
    else:
        places = read_places(sys.argv[3])
        found = {hit for hit in find(sought, sys.argv[4:])
                 if not any(fnmatch.fnmatchcase(hit[0], name) and fnmatch.fnmatchcase(hit[2], path) for name, path in places)}
    for hit in sorted(found):
        print(*hit)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
