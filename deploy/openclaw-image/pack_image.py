#!/usr/bin/env python3
"""Packs layer tars into an image archive that `docker load` takes, without a Docker engine.

  pack_image.py --out FILE --tag REF [--user U] [--workdir D] [--env K=V]... [--cmd WORD]...
                [--entrypoint WORD]... [--stop-signal S] LAYER.tar...
  pack_image.py --retag REF --out FILE IMAGE.tar

The same input gives the same bytes, and so the same image id on every host: no time, host name or
random id goes in. FILE appears whole or not at all.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import shutil
import sys
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Docker shows this as the image's age; a fixed one keeps the image id a function of the content.
CREATED = "2026-01-01T00:00:00Z"


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def add_bytes(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def manifest(config_name, tag, layers):
    return json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": layers}]).encode()


def write_atomically(path, write):
    temporary = f"{path}.new.{os.getpid()}"
    try:
        with tarfile.open(temporary, "w", format=tarfile.GNU_FORMAT) as archive:
            write(archive)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def pack(options):
    digests = [sha256_of(layer) for layer in options.layers]
    settings = {
        "User": options.user,
        "WorkingDir": options.workdir,
        "Env": options.env,
        "Entrypoint": options.entrypoint or None,
        "Cmd": options.cmd or None,
        "StopSignal": options.stop_signal,
        "Labels": dict(label.split("=", 1) for label in options.label) or None,
        "ExposedPorts": {port: {} for port in options.expose} or None,
    }
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": CREATED,
            "config": {key: value for key, value in settings.items() if value},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + d for d in digests]},
            "history": [{"created": CREATED, "created_by": "pack_image"} for _ in digests],
        },
        sort_keys=True,
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    names = [f"{digest}/layer.tar" for digest in digests]

    def write(archive):
        # The manifest comes first, so that changing the tag later reads little.
        add_bytes(archive, "manifest.json", manifest(config_name, options.tag, names))
        add_bytes(archive, config_name, config)
        for name, layer in zip(names, options.layers):
            info = tarfile.TarInfo(name)
            info.size = os.path.getsize(layer)
            with open(layer, "rb") as file:
                archive.addfile(info, file)

    write_atomically(options.out, write)


def retag(options):
    (source_path,) = options.layers
    with tarfile.open(source_path, "r:") as source:
        old = json.load(source.extractfile("manifest.json"))[0]
        if old["RepoTags"] == [options.retag]:
            shutil.copyfile(source_path, options.out + ".new")
            os.replace(options.out + ".new", options.out)
            return

        def write(archive):
            add_bytes(archive, "manifest.json", manifest(old["Config"], options.retag, old["Layers"]))
            for name in [old["Config"], *old["Layers"]]:
                info = source.getmember(name)
                archive.addfile(info, source.extractfile(info))

        write_atomically(options.out, write)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--tag")
    parser.add_argument("--retag")
    parser.add_argument("--user", default="")
    parser.add_argument("--workdir", default="/")
    parser.add_argument("--stop-signal", default="")
    for name in ("env", "cmd", "entrypoint", "label", "expose"):
        parser.add_argument("--" + name, action="append", default=[])
    parser.add_argument("layers", nargs="+")
    options = parser.parse_args()
    if bool(options.tag) == bool(options.retag):
        parser.error("give either --tag or --retag")
    (retag if options.retag else pack)(options)


if __name__ == "__main__":
    sys.exit(main())
