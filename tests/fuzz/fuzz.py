#!/usr/bin/env python3
"""Runs the fuzz targets under libFuzzer; `tests/run.sh fuzz` builds them and calls this.

Each target begins with the inputs kept in tests/fuzz/corpus/TARGET and those that earlier runs left in
build-fuzz/corpus/TARGET. An input takes at most a second and 256 MiB. Prints one line a target and at the
end `N targets, F findings`; an input that breaks a promise is kept in build-fuzz/findings. Exit 1 when
there is any.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build-fuzz"
PROGRAM = BUILD / "bin/fuzz"
KEPT = ROOT / "tests/fuzz/corpus"
FOUND = BUILD / "corpus"
FINDINGS = BUILD / "findings"
BOUNDS = ["-timeout=1", "-rss_limit_mb=256"]
# All targets together stay below 300 KiB in the tree.
KEPT_BYTES = 7 << 10
REASON = re.compile(r"does not hold|runtime error:|ERROR: |what\(\):")


def environment():
    # What targets must write to files is not to wait for a disk.
    memory = "/dev/shm"
    return os.environ | ({"TMPDIR": memory} if os.access(memory, os.W_OK) else {})


def libfuzzer(*arguments, through=()):
    return subprocess.run([*through, PROGRAM, *arguments], cwd=ROOT, env=environment(), capture_output=True, text=True,
                          errors="replace")


def targets():
    """{name: longest input}"""
    lines = subprocess.run([PROGRAM, "--list"], check=True, capture_output=True, text=True).stdout.splitlines()
    return {name: int(longest) for name, longest in (line.split() for line in lines)}


def figure(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def repeats(target, artifact):
    """Whether an input that took too long does so again, when the machine may be less busy."""
    return all(libfuzzer(target, *BOUNDS, artifact).returncode != 0 for _ in range(3))


def repeated(target, runs):
    """(flags, what starts the program) that go the same way each time: the kept inputs in the order of their
    names, not of the file system, a fixed seed, no look at the clock, no random addresses where the machine
    allows it. What threads and hash tables of libraries do still differs a little."""
    inputs = sorted((KEPT / target).iterdir())
    flags = [f"-runs={runs}", "-seed=1", "-reload=0", *([f"-seed_inputs={','.join(map(str, inputs))}"] if inputs else [])]
    fixed = ["setarch", "--addr-no-randomize"]
    allowed = shutil.which(fixed[0]) and subprocess.run([*fixed, "true"], capture_output=True).returncode == 0
    return flags, fixed if allowed else []


def run(target, longest, options, found):
    """(line, findings): findings are the reason and the input of each. New inputs go to `found`."""
    for folder in (found / target, KEPT / target, FINDINGS):
        folder.mkdir(parents=True, exist_ok=True)
    before = set(FINDINGS.iterdir())
    flags, through = (repeated(target, options.runs) if options.runs else
                      ([f"-max_total_time={options.seconds}", KEPT / target], []))
    ended = libfuzzer(target, *BOUNDS, f"-max_len={longest}", "-print_final_stats=1",
                      f"-artifact_prefix={FINDINGS}/{target}-", found / target, *flags, through=through)
    runs = figure(r"stat::number_of_executed_units:\s*(\d+)", ended.stderr)
    rate = figure(r"stat::average_exec_per_sec:\s*(\d+)", ended.stderr)
    edges = figure(r"\bcov: (\d+)", ended.stderr)
    inputs = [path for path in sorted(set(FINDINGS.iterdir()) - before) if path.name.startswith(f"{target}-")]
    for path in list(inputs):
        # Leftovers of libFuzzer's own work, and what was slow because the machine was.
        if path.name.startswith(f"{target}-slow-unit-") or (
                path.name.startswith(f"{target}-timeout-") and not repeats(target, path)):
            inputs.remove(path)
            path.unlink()
            ended.returncode = 0 if not inputs else ended.returncode
    reason = next((line.strip() for line in ended.stderr.splitlines() if REASON.search(line)), "")
    findings = [(reason, path) for path in inputs]
    if ended.returncode != 0 and not findings:
        findings = [(reason or ended.stderr[-300:].strip(), None)]
    return f"{target:22} {runs:10} runs {rate:8}/s {edges:7} edges {len(findings):4} findings", findings


def keep(target, longest):
    """Takes what earlier runs found into the tree, as far as it reaches new code and there is room."""
    kept = KEPT / target
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as merged:
        for path in kept.iterdir():
            shutil.copy(path, merged)
        libfuzzer(target, "-merge=1", f"-max_len={longest}", merged, FOUND / target)
        room = KEPT_BYTES - sum(path.stat().st_size for path in kept.iterdir())
        new = [path for path in pathlib.Path(merged).iterdir() if not (kept / path.name).exists()]
        for path in sorted(new, key=lambda path: path.stat().st_size):
            room -= path.stat().st_size
            if room < 0:
                break
            shutil.copy(path, kept / path.name[:12])
    return f"{target:22} {sum(1 for _ in kept.iterdir()):4} inputs kept"


def main():
    parser = argparse.ArgumentParser(prog="tests/run.sh fuzz", description="the fuzz targets under libFuzzer")
    parser.add_argument("--seconds", type=int, default=60, help="of each target (default 60)")
    parser.add_argument("--runs", type=int, help="so many of each target instead, from the kept inputs alone and nearly the same each time")
    parser.add_argument("--target", action="append", help="this one alone; may be given several times")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="targets at a time (default: processors)")
    parser.add_argument("--list", action="store_true", help="print the targets")
    parser.add_argument("--keep", action="store_true", help="take what runs found into tests/fuzz/corpus")
    options = parser.parse_args()
    known = targets()
    chosen = options.target or list(known)
    for name in chosen:
        if name not in known:
            sys.exit(f"there is no target {name}; tests/run.sh fuzz --list shows them")
    if options.list:
        print("\n".join(known))
        return
    total = 0
    with tempfile.TemporaryDirectory() as nothing, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        if options.keep:
            for line in pool.map(lambda name: keep(name, known[name]), chosen):
                print(line, flush=True)
            return
        found = pathlib.Path(nothing) if options.runs else FOUND
        for line, findings in pool.map(lambda name: run(name, known[name], options, found), chosen):
            print(line, flush=True)
            total += len(findings)
            for reason, path in findings:
                print(f"  {reason}")
                if path is not None:
                    print(f"  replay: {PROGRAM.relative_to(ROOT)} {path.name.split('-')[0]} {path.relative_to(ROOT)}")
    print(f"{len(chosen)} targets, {total} findings")
    sys.exit(1 if total else 0)


if __name__ == "__main__":
    main()
