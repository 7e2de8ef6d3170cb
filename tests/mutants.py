#!/usr/bin/env python3
"""Changes the code at random places, one at a time, and says which changes no test notices; `tests/run.sh mutants`
calls this.

Works on a copy of what is committed, in build-mutants/. A mutant is one small fault: a comparison, a connective, a
condition or a sum turned round, a constant changed, a statement left out. One that does not build is no mutant. It is
killed when one of its folder's tests fails or does not end. Prints a line for each and at the end `N mutants, K killed`;
exit 1 below nine of ten. The same seed takes the same places as long as the code is the same.
"""
import argparse
import dataclasses
import fcntl
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPY = ROOT / "build-mutants"
BUILD = COPY / "build"
SIMULATION = ["simulation", "--seeds", "150"]
# What decides, and the tests that are to notice, the quick ones first.
TESTS = {
    "controller/operations": [["unit_operations"], SIMULATION, ["unit_controller"]],
    "controller/scheduler": [["unit_scheduler"], SIMULATION, ["unit_controller"]],
    "controller/state": [["unit_controller"], SIMULATION],
    "controller/failover": [["unit_failover"], SIMULATION, ["unit_controller"]],
    "common/kv": [["unit_kv"], ["unit_operations"], SIMULATION, ["unit_controller"]],
}
LEAST_KILLED = 0.9
TEST_BYTES = 4 << 30
# What no test is to depend on: words for people, room made ahead, and what only a race shows.
LEFT_ALONE = re.compile(r'log_?[.(]|tools_?\.log|\.reserve\(|#include|static_assert|MutexLock|explicit_bzero|^\s*(//|using |namespace )|template <')
SWAPS = [(" == ", " != "), (" != ", " == "), (" < ", " <= "), (" > ", " >= "), (" <= ", " < "), (" >= ", " > "),
         (" && ", " || "), (" || ", " && "), (" + ", " - "), (" - ", " + "), ("true", "false"), ("false", "true"),
         ("++", "--"), ("return absl::OkStatus();", 'return absl::InternalError("mutant");')]
CONDITION = re.compile(r"^(\s*(?:\} else )?(?:if|while) \()([^;]*)(\)(?: \{| [^;{]*;)?)$")
CALL = re.compile(r"^\s+[A-Za-z_][\w:.>()\[\]*-]*\(.*\);$")
NUMBER = re.compile(r"(?<![\w.'])([0-9]+)(?![\w.'])")


@dataclasses.dataclass
class Mutant:
    path: str
    line: int  # From 1.
    text: str  # In the place of that line.
    what: str


def code_of(line):
    """The line without comments and with its texts blanked, so that columns stay."""
    line = re.sub(r'"(?:[^"\\]|\\.)*"', lambda text: '"' + "_" * (len(text[0]) - 2) + '"', line)
    return re.sub(r"//.*$", lambda comment: " " * len(comment[0]), line)


def swapped(line, code):
    for old, new in SWAPS:
        for found in re.finditer(re.escape(old), code):
            before, after = code[:found.start()], code[found.end():]
            if old.strip().isalpha() and (re.search(r"\w$", before) or re.match(r"\w", after)):
                continue
            yield line[:found.start()] + new + line[found.end():], f"{old.strip()} becomes {new.strip()}"
    for found in NUMBER.finditer(code):
        number = str(int(found[1]) + 1)
        yield line[:found.start()] + number + line[found.end():], f"{found[1]} becomes {number}"


def mutants_of(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if LEFT_ALONE.search(line):
            continue
        code = code_of(line)
        for changed, what in swapped(line, code):
            yield Mutant(path, number, changed, what)
        condition = CONDITION.match(line)
        if condition and balanced(condition[2]):
            yield Mutant(path, number, f"{condition[1]}!({condition[2]}){condition[3]}", "the condition is turned round")
        if CALL.match(line) and balanced(line) and not line.lstrip().startswith(("return", "co_")):
            yield Mutant(path, number, "", "left out: " + line.strip())


def balanced(text):
    depth = 0
    for character in code_of(text):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return depth == 0


def limits():
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (TEST_BYTES, TEST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def longest(seconds):
    """What a test that took so long without a mutant is given with one, in seconds."""
    return 10 + 5 * seconds


def passes(test, seconds):
    with subprocess.Popen([BUILD / "bin" / test[0], *test[1:]], cwd=BUILD, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, preexec_fn=limits,
                          env=os.environ | {"GTEST_FAIL_FAST": "1"}) as process:
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def builds(tests):
    return subprocess.run(["ninja", "-C", BUILD, *(test[0] for test in tests)], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


def make_copy():
    """Returns what holds the copy for as long as it is open."""
    COPY.mkdir(exist_ok=True)
    held = os.open(COPY, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another run works in {COPY}; wait for its end")
    for entry in COPY.iterdir():
        if entry != BUILD:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-m", "-C", COPY], input=archive, check=True)
    subprocess.run(["cmake", "--preset", "debug"], cwd=COPY, check=True, stdout=subprocess.DEVNULL)
    return held


def killer_of(mutant, tests, seconds):
    """The test that notices it; nothing when none does. None when it does not build."""
    path = COPY / mutant.path
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    lines[mutant.line - 1] = mutant.text + "\n"
    path.write_text("".join(lines))
    try:
        if not builds(tests):
            return None
        return next((test[0] for test in tests if not passes(test, seconds[test[0]])), "")
    finally:
        path.write_text(whole)


def main():
    parser = argparse.ArgumentParser(prog="tests/run.sh mutants", description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=200, help="how many are tried (200; about two hours)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=TESTS, action="append", metavar="FOLDER",
                        help="of these folders alone: " + ", ".join(TESTS))
    arguments = parser.parse_args()
    folders = arguments.only or list(TESTS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    held = make_copy()
    needed = {test[0]: test for folder in folders for test in TESTS[folder]}
    if not builds(needed.values()):
        sys.exit(f"the code does not build as it is; run: ninja -C {BUILD}")
    seconds = {}
    for name, test in needed.items():
        begun = time.monotonic()
        if not passes(test, 900):
            sys.exit(f"{' '.join(test)} fails without a mutant; run it in {BUILD}")
        seconds[name] = longest(time.monotonic() - begun)
    found = [mutant for folder in folders for path in sorted((COPY / folder).glob("*.cc"))
             for mutant in mutants_of(f"{folder}/{path.name}", path.read_text())]
    random.Random(arguments.seed).shuffle(found)
    print(f"{len(found)} places", flush=True)
    tried = killed = 0
    for mutant in found:
        if tried == arguments.count:
            break
        killer = killer_of(mutant, TESTS[str(pathlib.PurePath(mutant.path).parent)], seconds)
        if killer is None:
            continue
        tried += 1
        killed += killer != ""
        print(f"{'killed by ' + killer if killer else 'SURVIVES':26} {mutant.path}:{mutant.line}: {mutant.what}", flush=True)
    os.close(held)
    print(f"{tried} mutants, {killed} killed")
    sys.exit(0 if killed >= LEAST_KILLED * tried else 1)


if __name__ == "__main__":
    main()
