#!/usr/bin/env python3
"""Breaks one file of a repository of restic, as a seed says: one bit flipped, or cut short.

  flip.py FOLDER SEED COPY   keeps the whole file as COPY and prints its path

restic names files by what is in them. So that a seed hits about the same in another repository, files are
taken by kind and size.
"""
import os
import random
import shutil
import sys


def main():
    folder, seed, copy = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    files = []
    for path, _, names in os.walk(folder):
        kind = os.path.relpath(path, folder).split("/")[0]
        if kind != "locks":
            files += [(kind, os.path.getsize(os.path.join(path, name)), os.path.join(path, name)) for name in names]
    chosen = random.Random(seed)
    # Every kind is hit, also those with one small file.
    kind = chosen.choice(sorted({entry[0] for entry in files}))
    path = chosen.choice(sorted(entry for entry in files if entry[0] == kind))[2]
    shutil.copy2(path, copy)
    with open(path, "rb") as file:
        content = bytearray(file.read())
    at = int(chosen.random() * len(content))
    if chosen.random() < 0.25:
        del content[at:]
    else:
        content[at] ^= 1 << chosen.randrange(8)
    with open(path, "wb") as file:
        file.write(content)
    print(path)


if __name__ == "__main__":
    main()
