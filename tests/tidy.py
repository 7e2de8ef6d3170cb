#!/usr/bin/env python3
"""Runs clang-tidy over every source file of the project; tests/lint.sh calls it.

A file that was clean is not looked at again until something that decides about it has changed: the file
itself, a project or generated header that it includes, directly or not, any .clang-tidy, its compile
command, or clang-tidy's version. Headers of the system are taken as given: after an upgrade of theirs,
empty the folder of the stamps, ${XDG_CACHE_HOME:-~/.cache}/mtp/lint. A stamp is an empty file named by a
hash of all of the above, so it is good for every checkout.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
DATABASE = BUILD / "lint"
# The double is a project of its own; it is configured here for its compile commands alone.
DOUBLE = ROOT / "tests/doubles/openclaw"
STAMPS = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mtp/lint"
STAMP_DAYS = 30
INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.MULTILINE)
FINDING = re.compile(r"^(?=\S+:\d+:\d+: (?:warning|error): )", re.MULTILINE)


def for_clang(words):
    """The compile command without what only GCC knows, and without the precompiled header: each file is
    read as it is written. Most are read faster so, and one that lacks an include is found out."""
    # Clang 14 has coroutines, but neither it nor Boost 1.74 says so.
    kept = ["clang++", "-D__cpp_impl_coroutine=201902L", "-DBOOST_ASIO_HAS_CO_AWAIT=1"]
    words = iter(words[1:])
    for word in words:
        if word in ("-fpch-preprocess", "-Winvalid-pch", "-Werror"):
            continue
        if word == "-include":
            header = next(words)
            if header.endswith("/cmake_pch.hxx"):
                continue
            kept.append(word)
            word = header
        kept.append(word)
    return kept


def compile_commands():
    """Writes the compile database that clang-tidy uses; returns {file below ROOT: its compile command}."""
    double = DATABASE / "double"
    subprocess.run(["cmake", "-S", DOUBLE, "-B", double, "-G", "Ninja", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"],
                   check=True, stdout=subprocess.DEVNULL)
    entries = []
    for folder in (BUILD, double):
        entries += json.loads((folder / "compile_commands.json").read_text())
    for entry in entries:
        # ccache stands in front of the compiler where CMake makes it known.
        words = shlex.split(entry.pop("command"))
        entry["arguments"] = for_clang(words[1:] if words[0].endswith("/ccache") else words)
    (DATABASE / "compile_commands.json").write_text(json.dumps(entries, indent=1))
    return {os.path.relpath(entry["file"], ROOT): entry["arguments"] for entry in entries}


def includes_of(path, content):
    """The project's and the generated headers among what a file includes, whether or not an #if is true."""
    for name in INCLUDE.findall(content):
        for folder in (path.parent, ROOT, BUILD / "proto/gen"):
            if (folder / os.fsdecode(name)).is_file():
                yield folder / os.fsdecode(name)
                break


class Key:
    """What decides about a file, as a hash. One object sees each header as it was when first read."""

    def __init__(self, version):
        self.common = version + b"".join((folder / ".clang-tidy").read_bytes() for folder in (ROOT, DOUBLE))
        self.known = {}

    def of(self, file, command):
        hashed = hashlib.sha256(self.common)
        hashed.update("\0".join(command).replace(str(ROOT), "").encode())
        waiting = [ROOT / file]
        seen = set(waiting)
        while waiting:
            path = waiting.pop()
            if path not in self.known:
                content = path.read_bytes()
                self.known[path] = hashlib.sha256(content).digest(), list(includes_of(path, content))
            digest, headers = self.known[path]
            hashed.update(digest)
            waiting += [header for header in headers if header not in seen]
            seen.update(headers)
        return hashed.hexdigest()


def main():
    parser = argparse.ArgumentParser(description="clang-tidy over every source file of the project")
    parser.add_argument("--jobs", type=int, default=2, help="runs of clang-tidy at a time (default 2)")
    jobs = parser.parse_args().jobs
    if not (BUILD / "proto/gen/mtp/v1/agent.pb.h").exists():
        sys.exit("build/ has no generated headers yet; run: tests/run.sh lint")
    begin = time.monotonic()
    DATABASE.mkdir(exist_ok=True)
    STAMPS.mkdir(parents=True, exist_ok=True)
    for stamp in STAMPS.iterdir():
        if stamp.stat().st_mtime < time.time() - STAMP_DAYS * 86400:
            stamp.unlink(missing_ok=True)

    commands = compile_commands()
    version = subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True).stdout
    tracked = subprocess.run(["git", "ls-files", "-z", "--", "*.cc"], cwd=ROOT, check=True, capture_output=True,
                             text=True).stdout.split("\0")
    files = [file for file in tracked if file and (ROOT / file).exists()]
    unknown = [file for file in files if file not in commands]
    for file in unknown:
        print(f"{file}: no target compiles it, so clang-tidy cannot look at it")

    keys = Key(version)
    waiting = []
    for file in files:
        if file not in unknown:
            key = keys.of(file, commands[file])
            if (STAMPS / key).exists():
                os.utime(STAMPS / key)
            else:
                waiting.append((file, key))

    def look(file_and_key):
        file, key = file_and_key
        run = subprocess.run(["clang-tidy", "-p", DATABASE, "--quiet", file], cwd=ROOT, capture_output=True,
                             text=True)
        # Of a file that was edited in the meantime nobody knows which state was looked at.
        if run.returncode == 0 and Key(version).of(file, commands[file]) == key:
            (STAMPS / key).touch()
        return run

    seen = set()
    unclean = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for (file, _), run in zip(waiting, pool.map(look, waiting)):
            if run.returncode == 0:
                continue
            unclean += 1
            # A header's finding comes with each file that includes it: said once.
            for finding in FINDING.split(run.stdout or f"{file}: {run.stderr}"):
                if finding and finding not in seen:
                    seen.add(finding)
                    print(finding.replace(f"{ROOT}/", ""), end="", flush=True)
    print(f"clang-tidy: {len(files)} files, {len(waiting)} of them looked at in "
          f"{time.monotonic() - begin:.0f} s, {unclean} with findings")
    sys.exit(1 if unclean or unknown else 0)


if __name__ == "__main__":
    main()
