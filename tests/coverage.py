#!/usr/bin/env python3
"""Which lines of the programs have been run since the counters in a build folder were last reset, as a table by folder.

Reads the counters with gcovr. Ends with 0 also when little is covered: the figures inform.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys

PROGRAMS = ["agent", "cli", "common", "controller"]
LEAST = 10


def read_counters(root, folder):
    """Of each source file: its path, lines, and those of them that were run."""
    words = ["gcovr", "--root", str(root), "--json-summary", "--gcov-ignore-parse-errors"]
    for program in PROGRAMS:
        words += ["--filter", f"{root}/{program}/"]
    words.append(str(folder))
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    for file in json.loads(text)["files"]:
        yield file["filename"], file["line_total"], file["line_covered"]


def row(name, total, covered):
    share = 100 * covered / total if total else 100
    return f"{name:<44} {covered:>7} of {total:>7}  {share:5.1f} %"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="the build folder")
    folder = parser.parse_args().folder.resolve()
    files = list(read_counters(pathlib.Path(__file__).resolve().parent.parent, folder))
    if not files:
        sys.exit(f"there are no counters in {folder}: run its tests first")

    folders = collections.defaultdict(lambda: [0, 0])
    for name, total, covered in files:
        for key in {str(pathlib.Path(name).parent), "in all"}:
            folders[key][0] += total
            folders[key][1] += covered
    print("lines of")
    for name in sorted(folders, key=lambda key: (key == "in all", key)):
        print(row(name, *folders[name]))
    print(f"\nthe {LEAST} files with the most lines that no test has run")
    for name, total, covered in sorted(files, key=lambda file: file[2] - file[1])[:LEAST]:
        print(row(name, total, covered))


if __name__ == "__main__":
    main()
