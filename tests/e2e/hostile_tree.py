#!/usr/bin/env python3
"""Folders as a hostile client would make them, and what is in a folder, entry by entry.

  hostile_tree.py make FOLDER TARGET...   odd names and kinds of files; links to each TARGET
  hostile_tree.py many FOLDER COUNT       so many small files
  hostile_tree.py sparse FILE GIB         a file of that size with three written pieces
  hostile_tree.py list FOLDER [--kinds]   one line of JSON for each entry; with --kinds only what no
                                          backup can hold, one path a line: fifos, sockets, devices,
                                          links to what is no text

A list has names as Python's repr of their bytes, and is sorted. Content is given by SHA-256, of a large
file by that of its written pieces, their places, and its size.
"""
import hashlib
import json
import os
import socket
import stat
import sys

ODD_NAMES = [
    b"-rf", b"--help", b"-", b"..x", b"...", b".. ", b"..\n", b". .", b" ", b"a\nb", b"\n", b"tab\t", b"cr\r", b"\x01\x1b[31m\x7f",
    b"bell\x07", b"\xff\xfe", b"caf\xc3\xa9", b"cafe\xcc\x81", b"\xe2\x80\xae txt.exe", b"back\\slash", b"quote'\"`", b"$(id)", b"${HOME}", b"%s%n",
    b"*", b"?", b"[a]", b"{b,c}", b"!", b"#", b"~", b"a;b", b"a|b", b"nul", b"x" * 255, b"\xf0\x9f\x92\xa9" * 60,
]


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def make(folder, targets):
    os.makedirs(folder)
    root = os.fsencode(folder)
    for number, name in enumerate(ODD_NAMES):
        write(os.path.join(root, name), b"content %d\n" % number)
    for number, name in enumerate(ODD_NAMES):
        below = os.path.join(root, b"folders", name)
        os.makedirs(below)
        write(os.path.join(below, name), b"below %d\n" % number)
    links = os.path.join(root, b"links")
    os.makedirs(links)
    for number, target in enumerate([os.fsencode(t) for t in targets] + [b"../../..", b"/", b"/proc/self/root/etc", b"nowhere", b"loop-10"]):
        os.symlink(target, os.path.join(links, b"to-%d" % number))
    os.symlink(b"loop-b", os.path.join(links, b"loop-a"))
    os.symlink(b"loop-a", os.path.join(links, b"loop-b"))
    os.symlink(b"a\nb \xc3\xa9 \x01", os.path.join(links, b"odd\ntarget"))
    write(os.path.join(root, b"hard"), b"one content, three names\n")
    os.link(os.path.join(root, b"hard"), os.path.join(root, b"hard-2"))
    os.link(os.path.join(root, b"hard"), os.path.join(links, b"hard-3"))
    for mode in (0o000, 0o400, 0o755, 0o777, 0o1644):
        path = os.path.join(root, b"mode-%o" % mode)
        write(path, b"mode\n")
        os.chmod(path, mode)
    deep = root
    for _ in range(60):
        deep = os.path.join(deep, b"deep")
        os.mkdir(deep)
    write(os.path.join(deep, b"bottom"), b"bottom\n")
    os.mkdir(os.path.join(root, b"empty"))
    write(os.path.join(root, b"nothing"), b"")
    specials = os.path.join(root, b"specials")
    os.mkdir(specials)
    os.mkfifo(os.path.join(specials, b"fifo"))
    os.mknod(os.path.join(specials, b"kmsg"), stat.S_IFCHR | 0o666, os.makedev(1, 11))
    os.mknod(os.path.join(specials, b"zero"), stat.S_IFCHR | 0o666, os.makedev(1, 5))
    os.mknod(os.path.join(specials, b"disk"), stat.S_IFBLK | 0o666, os.makedev(7, 250))
    os.symlink(b"not text \xff", os.path.join(specials, b"link"))
    here = os.getcwd()
    os.chdir(specials)  # the path of a socket is short
    socket.socket(socket.AF_UNIX).bind("socket")
    os.chdir(here)
    for path, folders, files in os.walk(root):
        for name in folders + files:
            os.chown(os.path.join(path, name), 1000, 1000, follow_symlinks=False)
    os.chown(os.path.join(root, b"quote'\"`"), 1000, 1001)
    os.chown(root, 1000, 1000)


def many(folder, count):
    os.makedirs(folder)
    for number in range(count):
        if number % 1000 == 0:
            below = os.path.join(folder, str(number // 1000))
            os.mkdir(below)
            os.chown(below, 1000, 1000)
        path = os.path.join(below, str(number))
        write(path, b"note %d\n" % number)
        os.chown(path, 1000, 1000)
    os.chown(folder, 1000, 1000)


def sparse(path, gib):
    with open(path, "wb") as file:
        file.write(b"begin")
        file.seek((gib << 30) // 2 + 12345)
        file.write(b"middle" * 10000)
        file.seek((gib << 30) - 3)
        file.write(b"end")
    os.chown(path, 1000, 1000)


def content(path, size):
    """SHA-256 of what is not zero, with its places: large files with holes take no time."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            at -= at % 65536
            while at < end:
                file.seek(at)
                piece = file.read(65536)
                if piece.count(0) != len(piece):
                    digest.update(b"%d:" % at + piece)
                at += 65536
    return digest.hexdigest()


def entries(folder):
    root = os.fsencode(folder)
    stack = [root]
    while stack:
        above = stack.pop()
        for entry in os.scandir(above):
            info = entry.stat(follow_symlinks=False)
            yield entry.path, os.path.relpath(entry.path, root), info
            if stat.S_ISDIR(info.st_mode):
                stack.append(entry.path)


def cannot_be_held(path, info):
    if stat.S_ISLNK(info.st_mode):
        try:
            os.readlink(path).decode()
        except UnicodeDecodeError:
            return True
        return False
    return not (stat.S_ISDIR(info.st_mode) or stat.S_ISREG(info.st_mode))


def listing(folder):
    lines, first_names = [], {}
    for path, name, info in sorted(entries(folder), key=lambda e: e[1]):
        if cannot_be_held(path, info):
            continue
        line = {"name": repr(name), "type": stat.S_IFMT(info.st_mode), "mode": oct(stat.S_IMODE(info.st_mode)),
                "owner": [info.st_uid, info.st_gid], "mtime": info.st_mtime_ns}
        if stat.S_ISLNK(info.st_mode):
            line["target"] = repr(os.readlink(path))
        elif stat.S_ISREG(info.st_mode):
            line.update(size=info.st_size, sha256=content(path, info.st_size))
            if info.st_size > 1 << 20:
                line["sparse"] = info.st_blocks * 512 < info.st_size // 2
            if info.st_nlink > 1:
                line["same_as"] = repr(first_names.setdefault(info.st_ino, name))
        lines.append(json.dumps(line, sort_keys=True))
    print("\n".join(lines))


def kinds(folder):
    for path, name, info in sorted(entries(folder), key=lambda e: e[1]):
        if cannot_be_held(path, info):
            print(os.fsdecode(name))


def main():
    action, folder, *rest = sys.argv[1:]
    if action == "make":
        make(folder, rest)
    elif action == "many":
        many(folder, int(rest[0]))
    elif action == "sparse":
        sparse(folder, int(rest[0]))
    elif rest == ["--kinds"]:
        kinds(folder)
    else:
        listing(folder)


if __name__ == "__main__":
    main()
